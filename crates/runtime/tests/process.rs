//! `process` of the configuration: what the command finds itself to be. One container a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::running::Running;
use support::{Bundle, status_line, text};

/// Skips visibly where there can be no containers.
macro_rules! needs_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            return support::skip(reason);
        }
    };
}

fn with_process(script: &str, name: &str, value: Value) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.config["process"][name] = value;
    bundle
}

/// The fields of the command's own stat from the third on, proc_pid_stat(5).
const STAT: &str = "cat /proc/self/stat";

fn stat_field(stat: &str, number: usize) -> String {
    let rest = stat.rsplit_once(") ").unwrap().1;
    rest.split(' ').nth(number - 3).unwrap().to_owned()
}

#[test]
fn a_scheduler_is_set_and_joined() {
    needs_containers!();
    let batch = json!({"policy": "SCHED_BATCH", "priority": 0, "nice": 19});
    let bundle = with_process(STAT, "scheduler", batch);
    let stat = bundle.run();
    assert_eq!(
        (stat_field(&stat, 19), stat_field(&stat, 41)),
        ("19".into(), "3".into())
    );
    let running = Running::new(bundle);
    let stat = running.succeed(json!({"args": ["cat", "/proc/self/stat"]}));
    assert_eq!(stat_field(&stat, 41), "3", "as the first process");
    let idle = json!({"args": ["cat", "/proc/self/stat"], "scheduler": {"policy": "SCHED_IDLE"}});
    assert_eq!(stat_field(&running.succeed(idle), 41), "5");
    let fifo = json!({"args": ["cat", "/proc/self/stat"],
        "scheduler": {"policy": "SCHED_FIFO", "priority": 7}});
    let (succeeded, said) = running.exec(fifo);
    if succeeded {
        assert_eq!(
            (stat_field(&said, 40), stat_field(&said, 41)),
            ("7".into(), "1".into())
        );
    } else {
        // A version 1 cpu cgroup without real-time budget.
        support::skip(&format!(
            "SKIP: no real-time scheduling in this cgroup: {said}"
        ));
    }
}

#[test]
fn a_deadline_is_kept_on_all_cpus_only() {
    needs_containers!();
    let deadline = json!({"policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        "runtime": 4_200_000, "deadline": 100_000_000, "period": 1_000_000_000});
    let mut bundle = with_process("exec cat /proc/self/stat", "scheduler", deadline);
    bundle.config["hooks"] = json!({"startContainer": [{"path": "/bin/true", "args": ["true"]}]});
    assert_eq!(stat_field(&bundle.run(), 41), "6");
    if std::thread::available_parallelism().unwrap().get() == 1 {
        support::skip("SKIP: one CPU is all there is");
        return;
    }
    bundle.config["linux"]["resources"]["cpu"] = json!({"cpus": "0", "mems": "0"});
    let said = bundle.fail();
    assert!(
        said.contains("process scheduler can't be used together with AllowedCPUs"),
        "{said}"
    );
}

#[test]
fn a_scheduler_that_cannot_be_is_told() {
    needs_containers!();
    let bundle = with_process("true", "scheduler", json!({"policy": "SCHED_ISO"}));
    let said = bundle.fail();
    assert!(said.contains("cannot set the scheduler policy 4"), "{said}");
    assert!(said.contains("this kernel has no such policy"), "{said}");
}

#[test]
fn an_io_priority_is_set_and_joined() {
    needs_containers!();
    let good = json!({"class": "IOPRIO_CLASS_BE", "priority": 4});
    let running = Running::new(with_process("true", "ioPriority", good));
    let shown = |pid: String| {
        let shown = std::process::Command::new("ionice")
            .args(["-p", &pid])
            .output();
        text(&shown.unwrap().stdout)
    };
    assert_eq!(shown(running.pid()), "best-effort: prio 4\n");
    let file = running.bundle.path().join("pid");
    let path = file.to_str().unwrap();
    for (asked, expected) in [
        (Value::Null, "best-effort: prio 4\n"),
        (json!({"class": "IOPRIO_CLASS_IDLE"}), "idle\n"),
    ] {
        let process = json!({"args": ["sleep", "1000"], "ioPriority": asked});
        let words = ["--detach", "--pid-file", path];
        assert!(running.exec_with(&words, process).0);
        assert_eq!(shown(std::fs::read_to_string(&file).unwrap()), expected);
    }
    let bad = json!({"class": "IOPRIO_CLASS_BE", "priority": 9});
    let said = with_process("true", "ioPriority", bad).fail();
    assert!(
        said.contains("process.ioPriority.priority: 9 is not between 0 and 7"),
        "{said}"
    );
}

fn allowed_cpus(status: &str) -> &str {
    status_line(status, "Cpus_allowed_list")
}

#[test]
fn a_process_runs_where_its_cgroup_allows_and_not_where_the_caller_does() {
    needs_containers!();
    if std::thread::available_parallelism().unwrap().get() == 1 {
        support::skip("SKIP: one CPU is all there is");
        return;
    }
    let everywhere = Bundle::new(&["cat", "/proc/self/status"]).run();
    // This thread, and with it what it starts, keeps to one CPU.
    let first = allowed_cpus(&everywhere)
        .split([',', '-'])
        .next()
        .unwrap()
        .to_owned();
    sys::sched::set_affinity(&sys::sched::Numbers::cpus(&first).unwrap()).unwrap();
    let free = Bundle::new(&["cat", "/proc/self/status"]).run();
    assert_eq!(allowed_cpus(&free), allowed_cpus(&everywhere));
    let running = Running::new(Bundle::new(&["true"]));
    let joined = running.succeed(json!({"args": ["cat", "/proc/self/status"]}));
    assert_eq!(allowed_cpus(&joined), allowed_cpus(&everywhere));
    sys::sched::reset_affinity().unwrap();
    let asked = json!({"args": ["cat", "/proc/self/status"],
        "execCPUAffinity": {"initial": "0", "final": first}});
    assert_eq!(allowed_cpus(&running.succeed(asked)), first);
    let nowhere = json!({"args": ["true"], "execCPUAffinity": {"final": "8000"}});
    let (succeeded, said) = running.exec(nowhere);
    assert!(!succeeded);
    assert!(
        said.contains("run on the CPUs of execCPUAffinity.final"),
        "{said}"
    );
}

#[test]
fn memory_comes_from_the_nodes_asked_for() {
    needs_containers!();
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        support::skip("SKIP: this kernel has no NUMA");
        return;
    }
    let policy = "head -n 1 /proc/self/numa_maps";
    let mut bundle = Bundle::script(policy);
    bundle.config["linux"]["memoryPolicy"] =
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    let maps = bundle.run();
    assert!(maps.contains("bind=static:0"), "{maps}");
    let running = Running::new(bundle);
    let maps = running.succeed(json!({"args": ["sh", "-c", policy]}));
    assert!(maps.contains("bind=static:0"), "{maps}");
    drop(running);
    let mut bundle = Bundle::script(policy);
    for (policy, reason) in [
        (
            json!({"mode": "MPOL_BIND", "nodes": "0-9876543210"}),
            "invalid memory policy node",
        ),
        (
            json!({"mode": "MPOL_DEFAULT", "nodes": "0-7", "flags": ["MPOL_F_STATIC_NODES"]}),
            "set_mempolicy: invalid argument",
        ),
    ] {
        bundle.config["linux"]["memoryPolicy"] = policy;
        let said = bundle.fail();
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn a_personality_is_worn_by_all() {
    needs_containers!();
    let mut bundle = Bundle::script("cat /proc/self/personality");
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX32", "flags": []});
    assert_eq!(bundle.run(), "00000008\n");
    let running = Running::new(bundle);
    let worn = running.succeed(json!({"args": ["cat", "/proc/self/personality"]}));
    assert_eq!(worn, "00000008\n");
    drop(running);
    let mut bundle = Bundle::script("true");
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX", "flags": ["X"]});
    assert!(bundle.fail().contains("linux.personality.flags"));
}

#[test]
fn a_home_is_found_where_none_is_named() {
    needs_containers!();
    let home = |env: Value, user: Value| {
        let mut bundle = with_process("echo $HOME; env | grep -c ^HOME=", "env", env);
        bundle.config["process"]["user"] = user;
        let users = b"root:x:0:0::/root:/bin/sh\nuser:x:2000:2000::/home/user:/bin/sh\n";
        sys::file::replace_unsynced(&bundle.in_root("etc/passwd"), users, 0o644).unwrap();
        bundle.run()
    };
    let (root, user, other) = (json!({}), json!({"uid": 2000}), json!({"uid": 3}));
    assert_eq!(
        home(json!(["PATH=/bin", "HOME=/x"]), root.clone()),
        "/x\n1\n"
    );
    assert_eq!(
        home(json!(["PATH=/bin", "HOME=/x", "HOME="]), root),
        "/root\n1\n"
    );
    assert_eq!(home(json!(["PATH=/bin"]), user), "/home/user\n1\n");
    assert_eq!(home(json!(["PATH=/bin"]), other), "/\n1\n");
}

/// A users file may be anything: a pipe must not stop the container, nor a link lead out of it.
#[test]
fn a_users_file_of_a_trickster_names_no_home() {
    needs_containers!();
    let bundle = with_process("echo $HOME", "env", json!(["PATH=/bin"]));
    let made = std::process::Command::new("mkfifo")
        .arg(bundle.in_root("etc/passwd"))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(bundle.run(), "/\n");
    let bundle = with_process("echo $HOME", "env", json!(["PATH=/bin"]));
    let host = bundle.path().join("passwd");
    sys::file::replace_unsynced(&host, b"root:x:0:0::/host:/bin/sh\n", 0o644).unwrap();
    std::os::unix::fs::symlink(&host, bundle.in_root("etc/passwd")).unwrap();
    assert_eq!(bundle.run(), "/\n");
}

#[test]
fn without_a_word_about_capabilities_there_are_none() {
    needs_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/status"]);
    bundle.config["process"]
        .as_object_mut()
        .unwrap()
        .remove("capabilities");
    let status = bundle.run();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status_line(&status, set), "0000000000000000", "{set}");
    }
}

#[test]
fn all_five_sets_are_had() {
    needs_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/status"]);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let kill = json!(["CAP_KILL"]);
    bundle.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": kill, "effective": [],
        "inheritable": kill, "ambient": kill,
    });
    let status = bundle.run();
    // Ambient ones are made effective by execve(2).
    for (set, bits) in [
        ("CapInh", "20"),
        ("CapPrm", "20"),
        ("CapEff", "20"),
        ("CapBnd", "21"),
        ("CapAmb", "20"),
    ] {
        assert_eq!(status_line(&status, set), format!("{bits:0>16}"), "{set}");
    }
}

#[test]
fn who_joins_is_confined_as_the_first() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]);
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    let running = Running::new(bundle);
    let script = "cat /proc/self/status /proc/self/oom_score_adj; ulimit -n";
    let said = running.succeed(json!({"args": ["sh", "-c", script]}));
    assert_eq!(status_line(&said, "CapBnd"), "0000000020000420");
    assert_eq!(status_line(&said, "NoNewPrivs"), "1");
    assert!(said.ends_with("321\n77\n"), "{said}");
    let said = running.succeed(json!({"args": ["sh", "-c", script], "oomScoreAdj": 5,
        "noNewPrivileges": false, "capabilities": {}, "rlimits": []}));
    assert_eq!(status_line(&said, "CapBnd"), "0000000000000000");
    assert_eq!(status_line(&said, "NoNewPrivs"), "0");
    assert!(said.contains("\n5\n"), "{said}");
}

#[test]
fn ids_groups_and_mask_are_the_users() {
    needs_containers!();
    let user = json!({"uid": 1000, "gid": 1001, "umask": 0o077, "additionalGids": [5, 6],
        "username": "ignored"});
    let bundle = with_process("id -u; id -g; id -G; umask", "user", user);
    assert_eq!(bundle.run(), "1000\n1001\n1001 5 6\n0077\n");
}

/// The profile `brig-test`, as apparmor_parser 3.0 packs it for Linux 5.4 and later:
///
/// ```text
/// profile brig-test flags=(attach_disconnected,mediate_deleted) {
///   file, capability, network, mount, umount, pivot_root, signal, ptrace, unix,
///   deny /denied w,
/// }
/// ```
const PROFILE: &[u8] = include_bytes!("data/apparmor.profile");

/// Loads it, or takes it away again.
fn profile(file: &str, policy: &[u8]) {
    let input = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut input.as_file(), policy).unwrap();
    // Where securityfs is mounted is nobody else's business.
    let script = "s=/sys/kernel/security; [ -d $s/apparmor ] || mount -t securityfs none $s; \
                  dd bs=64k status=none of=$s/apparmor/$0";
    let done = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, file])
        .stdin(input.reopen().unwrap())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
}

#[test]
fn a_profile_of_apparmor_confines_who_is_under_it() {
    needs_containers!();
    let apparmor = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if !apparmor.is_ok_and(|text| text.starts_with('Y')) {
        return support::skip("SKIP: AppArmor is not enabled in this kernel");
    }
    profile(".replace", PROFILE);
    let script =
        "cat /proc/self/attr/current; touch /fine && echo made; touch /denied || echo kept";
    let mut bundle = with_process(script, "apparmorProfile", json!("brig-test"));
    bundle.config["root"]["readonly"] = json!(false);
    let said = bundle.run();
    assert!(said.starts_with("brig-test (enforce)\nmade\n"), "{said}");
    assert!(
        said.ends_with("kept\n") && !bundle.in_root("denied").exists(),
        "{said}"
    );
    let running = Running::new(Bundle::new(&["true"]));
    let under = json!({"args": ["cat", "/proc/self/attr/current"], "apparmorProfile": "brig-test"});
    assert_eq!(running.succeed(under), "brig-test (enforce)\n");
    drop(running);
    profile(".remove", b"brig-test");
}

#[test]
fn security_modules_are_there_or_missed() {
    needs_containers!();
    let apparmor = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if apparmor.is_ok_and(|text| text.starts_with('Y')) {
        let said = with_process("true", "apparmorProfile", json!("brig-no-such-profile")).fail();
        assert!(
            said.contains("AppArmor has no profile") && said.contains("brig-no-such-profile"),
            "{said}"
        );
        let confined = with_process(
            "cat /proc/self/attr/current",
            "apparmorProfile",
            json!("unconfined"),
        );
        assert_eq!(confined.run(), "unconfined\n");
    } else {
        let said = with_process("true", "apparmorProfile", json!("x")).fail();
        assert!(
            said.contains("AppArmor is not enabled in this kernel"),
            "{said}"
        );
    }
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        support::skip("SKIP: what SELinux does with labels depends on its policy");
    } else {
        let said = with_process("true", "selinuxLabel", json!("a:b:c:d")).fail();
        let none = "SELinux is not enabled in this kernel";
        assert!(said.contains(none), "{said}");
        let mut bundle = Bundle::new(&["true"]);
        bundle.config["linux"]["mountLabel"] = json!("a:b:c:d");
        let said = bundle.fail();
        assert!(
            said.contains("linux.mountLabel") && said.contains(none),
            "{said}"
        );
    }
}

#[test]
fn groups_of_resctrl_are_used_or_missed() {
    needs_containers!();
    let mut bundle = Bundle::script("true");
    bundle.config["linux"]["intelRdt"] = json!({"enableMonitoring": true});
    let mounted = std::fs::read_to_string("/proc/mounts").unwrap();
    if mounted
        .lines()
        .any(|line| line.split(' ').nth(2) == Some("resctrl"))
    {
        bundle.run();
        let group = std::path::Path::new("/sys/fs/resctrl").join(&bundle.id);
        assert!(!group.exists());
    } else {
        let said = bundle.fail();
        assert!(said.contains("no resctrl file system is mounted"), "{said}");
    }
}

/// It may wait for long, and be looked at by who shares its pid namespace.
#[test]
fn who_waits_to_be_started_holds_nothing_of_the_host() {
    needs_containers!();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let mut command = bundle.command(&["create", "ID"]);
    let null = || std::fs::File::open("/dev/null").unwrap();
    command.stdin(null()).stdout(null()).stderr(null());
    assert!(command.status().unwrap().success());
    let state = bundle.output(&["state", "ID"]);
    let state: Value = serde_json::from_slice(&state.stdout).unwrap();
    let held = std::fs::read_dir(format!("/proc/{}/fd", state["pid"])).unwrap();
    for entry in held {
        let to = std::fs::read_link(entry.unwrap().path()).unwrap();
        let to = to.to_str().unwrap();
        // What signals are heard by is its own.
        let own = to.starts_with("socket:") || to == "anon_inode:[signalfd]";
        assert!(to == "/dev/null" || own, "{to}");
    }
    assert!(bundle.output(&["delete", "--force", "ID"]).status.success());
    bundle.assert_nothing_left();
}
