//! Hooks: their order, where they run, what they are told, and what becomes of those that fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::running::Running;
use support::{Bundle, text};

/// Skips visibly where there can be no containers.
macro_rules! needs_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            return support::skip(reason);
        }
    };
}

const POINTS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

fn shell(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script]})
}

/// A bundle with a directory of the host's for hooks to write to, which the container sees too.
fn with_log(bundle: &mut Bundle) -> std::path::PathBuf {
    let log = bundle.path().join("log");
    std::fs::create_dir(&log).unwrap();
    bundle.mount(json!({"destination": log, "type": "bind", "source": log, "options": ["bind"]}));
    std::fs::create_dir_all(bundle.in_root(log.strip_prefix("/").unwrap().to_str().unwrap()))
        .unwrap();
    log
}

fn read(log: &std::path::Path, name: &str) -> String {
    std::fs::read_to_string(log.join(name)).unwrap_or_default()
}

#[test]
fn all_points_come_in_order_and_are_told_the_state() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let log = with_log(&mut bundle);
    let dir = log.display().to_string();
    let hook = |point: &str, number: u32| {
        // Two of each, to see the order within a point.
        shell(&format!(
            "read state; echo {point}{number} \"$state\" >> {dir}/states"
        ))
    };
    for point in POINTS {
        bundle.config["hooks"][point] = json!([hook(point, 0), hook(point, 1)]);
    }
    bundle.config["annotations"] = json!({"a": "b"});
    // After its root was made, for which others had a say.
    bundle.config["root"]["readonly"] = json!(false);
    bundle.config["process"]["args"] = json!(["sh", "-c", format!("echo command >> {dir}/states")]);
    bundle.run();
    let states = read(&log, "states");
    let mut names = Vec::new();
    for line in states.lines() {
        let (name, state) = line.split_once(' ').unwrap_or((line, ""));
        names.push(name.to_owned());
        if name == "command" {
            continue;
        }
        let state: Value = serde_json::from_str(state).unwrap();
        let status = match name.trim_end_matches(['0', '1']) {
            "startContainer" => "created",
            "poststart" => "running",
            "poststop" => "stopped",
            _ => "creating",
        };
        assert_eq!(state["status"], status, "{name}");
        assert_eq!(state["id"], json!(bundle.id));
        assert_eq!(state["bundle"], json!(bundle.path()));
        assert_eq!(state["annotations"], json!({"a": "b"}));
        assert_eq!(state["ociVersion"], bundle.config["ociVersion"]);
        assert_eq!(state["pid"].is_null(), status == "stopped", "{name}");
    }
    // The command runs while the hooks after its start do.
    names.retain(|name| name != "command");
    let expected: Vec<_> = POINTS
        .iter()
        .flat_map(|point| [format!("{point}0"), format!("{point}1")])
        .collect();
    assert_eq!(names, expected);
    assert!(states.contains("command\n"));
}

#[test]
fn hooks_run_in_the_namespaces_of_their_point() {
    needs_containers!();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    let log = with_log(&mut bundle);
    let dir = log.display().to_string();
    for point in POINTS {
        let script = format!(
            "for kind in mnt net pid uts ipc; do readlink /proc/self/ns/$kind; done > {dir}/{point}"
        );
        bundle.config["hooks"][point] = json!([shell(&script)]);
    }
    let running = Running::new(bundle);
    let of = |process: &str| -> String {
        let link = |kind: &str| {
            let link = std::fs::read_link(format!("/proc/{process}/ns/{kind}")).unwrap();
            format!("{}\n", link.display())
        };
        ["mnt", "net", "pid", "uts", "ipc"].map(link).concat()
    };
    let (host, container) = (of("self"), of(&running.pid()));
    for (point, expected) in [
        ("prestart", &host),
        ("createRuntime", &host),
        ("createContainer", &container),
        ("startContainer", &container),
        ("poststart", &host),
    ] {
        assert_eq!(&read(&log, point), expected, "{point}");
    }
    assert_eq!(read(&log, "poststop"), "");
    // The log goes with the bundle, so what the last hook says must be had before.
    let deleted = running.bundle.output(&["delete", "--force", "ID"]);
    assert!(deleted.status.success());
    assert_eq!(read(&log, "poststop"), host);
}

#[test]
fn hooks_get_the_environment_they_are_given_and_no_other() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let log = with_log(&mut bundle);
    // As it was handed over: shells add to what they pass on.
    let script = format!(
        "tr '\\0' '\\n' < /proc/$$/environ > {}/env; pwd > {0}/dir",
        log.display()
    );
    let mut hook = shell(&script);
    hook["env"] = json!(["A=1", "B=2=3"]);
    bundle.config["hooks"] = json!({"createRuntime": [hook]});
    bundle.write();
    let output = bundle
        .command(&["run", "ID"])
        .env("SECRET", "x")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(read(&log, "env"), "A=1\nB=2=3\n");
    assert_eq!(read(&log, "dir").trim(), bundle.path().to_str().unwrap());
}

/// A program that finds the word `run` or `exec` is executed once more, through a mount that it keeps.
#[test]
fn a_container_by_the_name_of_a_verb_passes_on_nothing_more() {
    needs_containers!();
    let seen = ["other", "run", "exec"].map(|name| {
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        bundle.id = name.to_owned();
        let log = with_log(&mut bundle);
        let dir = log.display();
        let look = |at: &str| {
            format!(
                "ls /proc/$$/fd > {dir}/{at}; tr '\\0' '\\n' < /proc/$$/environ > {dir}/{at}-env"
            )
        };
        for point in ["createRuntime", "poststart", "poststop"] {
            bundle.config["hooks"][point] = json!([shell(&look(point))]);
        }
        // Not by this process: the child of another test would hold what is open for writing here.
        let script = format!("#!/bin/sh\n{}\necho PID\n", look("ps"));
        let write = "printf %s \"$1\" > log/ps-program && chmod +x log/ps-program && mkdir log/bin \
                     && mv log/ps-program log/bin/ps";
        let wrote = std::process::Command::new("sh")
            .args(["-c", write, "sh", &script])
            .current_dir(bundle.path())
            .status();
        assert!(wrote.unwrap().success());
        let path = format!("{dir}/bin:{}", std::env::var("PATH").unwrap());
        bundle.write();
        for words in [
            &["create", "ID"][..],
            &["start", "ID"],
            &["state", "ID"],
            &["ps", "ID"],
            &["delete", "-f", "ID"],
        ] {
            let null = || std::fs::File::open("/dev/null").unwrap();
            let mut command = bundle.command(words);
            command.env("PATH", &path).stdout(null()).stderr(null());
            assert!(command.status().unwrap().success(), "{words:?}");
        }
        bundle.assert_nothing_left();
        ["createRuntime", "poststart", "ps", "poststop"].map(|at| {
            let env = read(&log, &format!("{at}-env"));
            assert!(!env.contains("BRIG_SEALED"), "{name}, {at}: {env}");
            assert_eq!(env.contains("PATH="), at == "ps", "{name}, {at}: {env}");
            (at, read(&log, at))
        })
    });
    let [other, named @ ..] = &seen;
    assert!(other.iter().all(|(_, fds)| fds.starts_with("0\n1\n")));
    assert!(named.iter().all(|named| named == other), "{seen:?}");
}

#[test]
fn a_hook_that_fails_is_the_end_and_what_follows_it_runs() {
    needs_containers!();
    for point in [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
    ] {
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        let log = with_log(&mut bundle);
        let dir = log.display();
        let good = json!({"path": "/bin/true"});
        bundle.config["hooks"][point] = json!([
            good,
            shell("echo no; exit 3"),
            shell(&format!("echo third > {dir}/third"))
        ]);
        bundle.config["hooks"]["poststop"] = json!([shell(&format!("echo after > {dir}/after"))]);
        let said = bundle.fail();
        let expected = format!("error running {point} hook #1: /bin/sh: exit code 3: no");
        assert!(said.contains(&expected), "{said}");
        assert_eq!(read(&log, "third"), "");
        assert_eq!(read(&log, "after"), "after\n", "{point}");
    }
}

#[test]
fn a_command_that_ends_at_once_has_its_poststart_hooks() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let log = with_log(&mut bundle);
    let hook = shell(&format!(
        "read state; echo \"$state\" > {}/state",
        log.display()
    ));
    bundle.config["hooks"]["poststart"] = json!([hook]);
    bundle.write();
    let mut create = bundle.command(&["create", "ID"]);
    let null = || std::fs::File::open("/dev/null").unwrap();
    create.stdout(null()).stderr(null());
    assert!(create.status().unwrap().success());
    let started = bundle.output(&["start", "ID"]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    let state: Value = serde_json::from_str(&read(&log, "state")).unwrap();
    assert_eq!(state["status"], "running");
    assert!(bundle.output(&["delete", "--force", "ID"]).status.success());
    bundle.assert_nothing_left();
}

#[test]
fn poststop_hooks_that_fail_change_nothing() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let log = with_log(&mut bundle);
    let second = shell(&format!("echo second > {}/second", log.display()));
    bundle.config["hooks"]["poststop"] = json!([shell("exit 1"), second]);
    bundle.run();
    assert_eq!(read(&log, "second"), "second\n");
}

#[test]
fn a_hook_that_takes_too_long_is_killed() {
    needs_containers!();
    for point in [
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
    ] {
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        bundle.config["hooks"][point] =
            json!([{"path": "/bin/sleep", "args": ["sleep", "99"], "timeout": 1}]);
        let said = bundle.fail();
        assert!(said.contains(&format!("{point} hook #0")), "{said}");
        assert!(said.contains("took longer than 1 s"), "{said}");
    }
}

#[test]
fn hooks_that_cannot_be_are_refused_before_anything_is_made() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    for (hook, reason) in [
        (
            json!({"path": "bin/true"}),
            "hooks.poststop[0].path: must be an absolute path",
        ),
        (
            json!({"path": "/bin/true", "timeout": 0}),
            "hooks.poststop[0].timeout: must be greater than zero",
        ),
    ] {
        bundle.config["hooks"] = json!({"poststop": [hook]});
        let said = bundle.fail();
        assert!(said.contains(reason), "{said}");
    }
    bundle.config["hooks"] = json!({"prestart": [{"path": "/no/such/hook"}]});
    let said = bundle.fail();
    assert!(
        said.contains("prestart hook #0: /no/such/hook: execve: no such file"),
        "{said}"
    );
}

/// What a hook mounts or makes there is the container's (prestart and createRuntime ones enter the
/// mount namespace by the pid they are told).
#[test]
fn hooks_see_the_root_with_its_mounts_at_its_path() {
    needs_containers!();
    let mut bundle = Bundle::new(&["cat", "/dev/shm/made", "/dev/shm/entered"]);
    let root = bundle.in_root("").display().to_string();
    let made =
        format!("grep -q ' {root}dev/shm ' /proc/self/mounts && echo made > {root}dev/shm/made");
    let entered = format!(
        "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); \
         nsenter --target $pid --mount sh -c 'echo entered > {root}dev/shm/entered'"
    );
    let mut entering = shell(&entered);
    entering["env"] = json!(["PATH=/usr/bin:/bin"]);
    let mut making = shell(&made);
    making["env"] = json!(["PATH=/usr/bin:/bin"]);
    bundle.config["hooks"] = json!({"createRuntime": [entering], "createContainer": [making]});
    assert_eq!(bundle.run(), "made\nentered\n");
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&root));
}

/// As runc has it. A hook of any other point gets nothing it does not name.
#[test]
fn the_last_hook_has_the_commands_environment_if_it_names_none() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let log = with_log(&mut bundle);
    let script = format!("env | grep -v PWD= > {}/env", log.display());
    bundle.config["process"]["env"] = json!(["PATH=/bin", "ONE=two"]);
    bundle.config["hooks"]["startContainer"] = json!([shell(&script)]);
    bundle.run();
    let env = read(&log, "env");
    assert!(
        env.contains("ONE=two\n") && env.contains("HOME=/\n"),
        "{env}"
    );
}

/// As runc has it: such a hook is as confined as the command.
#[test]
fn the_last_hook_is_behind_the_filter_and_has_the_commands_rights() {
    needs_containers!();
    let mut bundle = Bundle::new(&["true"]);
    bundle.config["hooks"]["startContainer"] = json!([shell("mkdir /dev/shm/x")]);
    bundle.config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]});
    for no_new_privileges in [true, false] {
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        let said = bundle.fail();
        assert!(
            said.contains("error running startContainer hook #0"),
            "{said}"
        );
        assert!(said.contains("ad system call"), "{said}");
    }
}
