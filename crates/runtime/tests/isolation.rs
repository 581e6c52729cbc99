//! What a container is kept from, looked at from inside.

mod support;

use serde_json::json;
use support::{Bundle, status_line};

/// Ends the test with a visible reason where containers cannot run.
macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{reason}");
            return;
        }
    };
}

#[test]
fn namespaces_are_its_own() {
    need_containers!();
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let script = "for kind in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$kind; done";
    let inside = Bundle::script(script).run();
    assert_eq!(inside.lines().count(), kinds.len());
    for (kind, inside) in kinds.iter().zip(inside.lines()) {
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(own.to_str().unwrap(), inside);
    }
}

#[test]
fn host_name_and_loopback_are_its_own() {
    need_containers!();
    let mut bundle =
        Bundle::script("hostname; ip -o addr show up; cat /proc/sys/kernel/domainname");
    bundle.config["hostname"] = json!("ship");
    bundle.config["domainname"] = json!("sea");
    let printed = bundle.run();
    assert!(printed.starts_with("ship\n1: lo"), "{printed}");
    assert!(
        printed.contains("127.0.0.1/8") && printed.ends_with("sea\n"),
        "{printed}"
    );
}

#[test]
fn the_mount_table_holds_only_what_was_asked_for() {
    need_containers!();
    let bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
    let printed = bundle.run();
    let targets: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let beneath = |path: &str, top: &str| path == top || path.starts_with(&format!("{top}/"));
    for target in &targets {
        let known = ["/proc", "/dev", "/sys"]
            .iter()
            .any(|top| beneath(target, top));
        assert!(known || *target == "/", "{target}\n{printed}");
    }
    for target in [
        "/",
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/sys",
    ] {
        assert_eq!(
            targets.iter().filter(|known| **known == target).count(),
            1,
            "{target}"
        );
    }
}

#[test]
fn the_root_is_read_only_when_asked_for() {
    need_containers!();
    let script = "touch /x 2>/dev/null && echo root; touch /dev/shm/x && echo shm";
    assert_eq!(Bundle::script(script).run(), "shm\n");
    let mut bundle = Bundle::script(script);
    bundle.config["root"]["readonly"] = json!(false);
    assert_eq!(bundle.run(), "root\nshm\n");
}

#[test]
fn masked_and_read_only_paths_hold() {
    need_containers!();
    let script = "wc -c < /proc/interrupts; ls -A /sys/firmware | wc -l; \
        echo x > /proc/sys/kernel/domainname; \
        echo 1 > /proc/irq/default_smp_affinity; touch /sys/firmware/x; true";
    let bundle = Bundle::script(script);
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    let (out, err) = (support::text(&output.stdout), support::text(&output.stderr));
    assert_eq!(out, "0\n0\n", "{err}");
    assert_eq!(err.matches("Read-only file system").count(), 3, "{err}");
    bundle.assert_nothing_left();
}

#[test]
fn nothing_is_made_or_removed_in_a_bound_dev() {
    need_containers!();
    // The second by a link of the image's.
    for target in ["/dev", "/given"] {
        let mut bundle = Bundle::new(&["true"]);
        std::os::unix::fs::symlink("/dev", bundle.in_root("given")).unwrap();
        let source = tempfile::tempdir().unwrap();
        for name in ["pts", "shm", "mqueue"] {
            std::fs::create_dir(source.path().join(name)).unwrap();
        }
        sys::file::replace_unsynced(&source.path().join("ptmx"), b"the host's", 0o600).unwrap();
        let mounts = bundle.config["mounts"].as_array_mut().unwrap();
        let mut at = mounts.iter();
        let dev = at.position(|m| m["destination"] == "/dev").unwrap();
        let bind = json!({
            "destination": target, "type": "bind", "source": source.path(), "options": ["rbind"],
        });
        mounts.insert(dev + 1, bind);
        bundle.run();
        let mut names: Vec<_> = std::fs::read_dir(source.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["mqueue", "ptmx", "pts", "shm"], "{target}");
        let ptmx = std::fs::read(source.path().join("ptmx"));
        assert_eq!(ptmx.unwrap(), b"the host's");
    }
}

#[test]
fn a_masked_path_that_is_a_link_stays_inside() {
    need_containers!();
    let mut bundle = Bundle::script("cat /secret; ls -A /dir; cat /etc/shadow | wc -c");
    sys::file::replace_unsynced(&bundle.in_root("etc/shadow"), b"hidden", 0o600).unwrap();
    std::fs::create_dir(bundle.in_root("etc/dir")).unwrap();
    std::fs::create_dir(bundle.in_root("etc/dir/x")).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", bundle.in_root("secret")).unwrap();
    std::os::unix::fs::symlink("../../../etc/dir", bundle.in_root("dir")).unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/secret", "/dir", "/not/there"]);
    assert_eq!(bundle.run(), "0\n");
}

#[test]
fn devices_are_the_usual_ones() {
    need_containers!();
    let mut bundle = Bundle::script(
        "stat -c '%n %a %t:%T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty \
            /dev/mine; readlink /dev/fd /dev/ptmx 2>/dev/null; readlink /dev/fd; \
            readlink /dev/ptmx; head -c 3 /dev/zero | wc -c; head -c 1 /dev/mine 2>&1; \
            mknod /dev/other b 8 0 2>&1",
    );
    bundle.config["linux"]["devices"] = json!([{
        "path": "/dev/mine", "type": "c", "major": 1, "minor": 4, "fileMode": 0o640, "uid": 0,
    }]);
    let caps = json!(["CAP_MKNOD"]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.config["process"]["capabilities"][set] = caps.clone();
    }
    bundle.config["process"]["args"][2] = json!(format!(
        "{}; true",
        bundle.config["process"]["args"][2].as_str().unwrap()
    ));
    let printed = bundle.run();
    let expected = "/dev/null 666 1:3\n/dev/zero 666 1:5\n/dev/full 666 1:7\n\
        /dev/random 666 1:8\n/dev/urandom 666 1:9\n/dev/tty 666 5:0\n/dev/mine 640 1:4\n\
        /proc/self/fd\npts/ptmx\n3\n";
    assert!(printed.starts_with(expected), "{printed}");
    // Made, but not allowed by the rules.
    assert!(
        printed.contains("can't open '/dev/mine'") || printed.contains("not permitted"),
        "{printed}"
    );
}

#[test]
fn rights_are_those_asked_for() {
    need_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/status"]);
    bundle.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN"],
        "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
    });
    let status = bundle.run();
    // Ambient capabilities are effective after execve(2), and root's are computed from bounding.
    assert_eq!(status_line(&status, "CapBnd"), "0000000000002021");
    assert_eq!(status_line(&status, "CapInh"), "0000000000000020");
    assert_eq!(status_line(&status, "NoNewPrivs"), "1");
    bundle.config["process"]["user"] = json!({"uid": 1234, "gid": 55, "additionalGids": [7, 8]});
    let status = bundle.run();
    assert_eq!(status_line(&status, "Uid"), "1234\t1234\t1234\t1234");
    assert_eq!(status_line(&status, "Gid"), "55\t55\t55\t55");
    assert_eq!(status_line(&status, "Groups").trim(), "7 8");
    assert_eq!(status_line(&status, "CapEff"), "0000000000000020");
    assert_eq!(status_line(&status, "CapAmb"), "0000000000000020");
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status_line(&status, set), "0000000000000000", "{set}");
    }
}

#[test]
fn system_calls_are_filtered_with_and_without_no_new_privileges() {
    need_containers!();
    for no_new_privileges in [true, false] {
        let script =
            "grep Seccomp: /proc/self/status; mkdir /dev/shm/x 2>&1; hostname x 2>&1; true";
        let mut bundle = Bundle::script(script);
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}],
        });
        let printed = bundle.run();
        assert!(
            printed.starts_with("Seccomp:\t2\nmkdir: can't create directory"),
            "{printed}"
        );
        assert!(printed.contains("Protocol error"), "{printed}");
    }
}

#[test]
fn limits_are_set() {
    need_containers!();
    let mut bundle = Bundle::script(
        "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; umask; \
         cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; \
         cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true",
    );
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    bundle.config["process"]["oomScoreAdj"] = json!(500);
    bundle.config["process"]["user"]["umask"] = json!(0o27);
    bundle.config["linux"]["resources"]["pids"] = json!({"limit": 33});
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
    assert_eq!(bundle.run(), "100\n200\n500\n0027\n33\n67108864\n");
}

#[test]
fn no_descriptor_leaks() {
    need_containers!();
    use std::os::fd::AsFd;
    // Neither by a pipe nor into a file: the shell itself would hold those for a moment.
    let bundle = Bundle::script("ls /proc/self/fd; echo; ls /proc/1/fd; true");
    bundle.write();
    // One that would go through every execve(2).
    let leak = std::fs::File::open("/").unwrap();
    sys::fd::set_close_on_exec(leak.as_fd(), false).unwrap();
    let output = bundle.output(&["run", "ID"]);
    sys::fd::set_close_on_exec(leak.as_fd(), true).unwrap();
    // The streams, and the directory that the first one reads.
    assert_eq!(support::text(&output.stdout), "0\n1\n2\n3\n\n0\n1\n2\n");
}

#[test]
fn descriptors_of_the_host_lead_nowhere() {
    need_containers!();
    let mut bundle = Bundle::new(&["pwd"]);
    for number in 3..20 {
        bundle.config["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        let said = bundle.fail();
        assert!(said.contains("working directory"), "{said}");
    }
    let bundle = Bundle::new(&["/proc/self/fd/7/../../../bin/true"]);
    // Not there, or the socket to the runtime, which leads nowhere.
    assert!(bundle.fail().contains(": stat /proc/self/fd/7/"));
}

#[test]
fn bind_mounts_obey_their_options() {
    need_containers!();
    let mut bundle = Bundle::script(
        "touch /rw/file && echo rw; touch /ro/file 2>/dev/null || echo ro; \
         touch /rro/file 2>/dev/null || echo rro; touch /rro/below/x 2>/dev/null || echo below; \
         cat /etc/name; grep ' /rw ' /proc/self/mounts | cut -d, -f2 2>/dev/null; true",
    );
    let source = bundle.path().join("source");
    std::fs::create_dir_all(source.join("below")).unwrap();
    sys::file::replace_unsynced(&source.join("name"), b"from outside\n", 0o644).unwrap();
    let bind = |target: &str, options: &[&str]| json!({"destination": target, "source": "source", "type": "bind", "options": options});
    bundle.mount(bind("/rw", &["rbind", "nosuid", "rprivate"]));
    bundle.mount(bind("/ro", &["bind", "ro"]));
    bundle.mount(bind("/rro", &["rbind", "rro", "rprivate"]));
    bundle.mount(json!({
        "destination": "/etc/name", "source": "source/name", "type": "bind", "options": ["bind"],
    }));
    for dir in ["rw", "ro", "rro", "proc", "dev", "sys"] {
        std::fs::create_dir(bundle.in_root(dir)).unwrap();
    }
    let printed = bundle.run();
    assert!(
        printed.starts_with("rw\nro\nrro\nbelow\nfrom outside\n"),
        "{printed}"
    );
    assert!(source.join("file").exists());
}

#[test]
fn mount_points_never_leave_the_root() {
    need_containers!();
    let outside = tempfile::tempdir().unwrap();
    let mut bundle = Bundle::script("ls -A /a/b/c /mnt; cat /link");
    let up = "../".repeat(20);
    let target = format!(
        "{up}{}",
        outside.path().strip_prefix("/").unwrap().display()
    );
    // Each would lead out of the root if it were followed by the host's rules.
    std::os::unix::fs::symlink(&target, bundle.in_root("a")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("mnt"), bundle.in_root("mnt")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("file"), bundle.in_root("link")).unwrap();
    std::fs::create_dir(bundle.path().join("source")).unwrap();
    sys::file::replace_unsynced(&bundle.path().join("source/inside"), b"yes\n", 0o644).unwrap();
    let bind = |source: &str, target: &str| json!({"destination": target, "source": source, "type": "bind", "options": ["rbind"]});
    bundle.mount(bind("source", "/a/b/c"));
    bundle.mount(bind("source", "/mnt"));
    bundle.mount(bind("source/inside", "/link"));
    bundle.config["root"]["readonly"] = json!(false);
    let printed = bundle.run();
    assert!(
        printed.ends_with("yes\n") && printed.matches("inside").count() == 2,
        "{printed}"
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_mounted_on_proc_by_way_of_a_link() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    std::os::unix::fs::symlink("/proc/self", bundle.in_root("data")).unwrap();
    std::fs::create_dir(bundle.path().join("source")).unwrap();
    bundle.mount(json!({
        "destination": "/data/attr", "source": "source", "type": "bind", "options": ["bind"],
    }));
    let said = bundle.fail();
    assert!(
        said.contains("cannot mount on /data/attr: it is inside /proc"),
        "{said}"
    );
    let bundle = Bundle::new(&["true"]);
    std::os::unix::fs::symlink("/etc", bundle.in_root("proc")).unwrap();
    let said = bundle.fail();
    assert!(
        said.contains("proc on /proc must be mounted on ordinary directory"),
        "{said}"
    );
}

#[test]
fn file_systems_obey_their_options() {
    need_containers!();
    let mut bundle = Bundle::script(
        "stat -c %a /tmp; cat /conf/a/deep; stat -c '%a %u' /conf/a/deep; readlink /conf/link; \
         touch /conf/new; stat -c %a /conf; cp /bin/busybox /tmp/b; /tmp/b true || echo noexec",
    );
    std::fs::create_dir_all(bundle.in_root("conf/a")).unwrap();
    sys::file::replace_unsynced(&bundle.in_root("conf/a/deep"), b"kept\n", 0o604).unwrap();
    std::os::unix::fs::chown(bundle.in_root("conf/a/deep"), Some(12), Some(13)).unwrap();
    std::os::unix::fs::symlink("a/deep", bundle.in_root("conf/link")).unwrap();
    std::os::unix::fs::symlink("busybox", bundle.in_root("bin/cp")).unwrap();
    bundle.mount(json!({
        "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
        "options": ["nosuid", "noexec", "mode=1777", "size=8m"],
    }));
    bundle.mount(json!({
        "destination": "/conf", "type": "tmpfs", "source": "tmpfs",
        "options": ["tmpcopyup", "mode=750"],
    }));
    std::fs::create_dir(bundle.in_root("tmp")).unwrap();
    let printed = bundle.run();
    assert_eq!(printed, "1777\nkept\n604 12\na/deep\n750\nnoexec\n");
    assert!(!bundle.in_root("conf/new").exists());
}

#[test]
fn propagation_is_what_was_asked_for() {
    need_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
    std::fs::create_dir(bundle.path().join("source")).unwrap();
    bundle.mount(json!({
        "destination": "/dev/x", "source": "source", "type": "bind", "options": ["bind", "shared"],
    }));
    bundle.config["linux"]["rootfsPropagation"] = json!("shared");
    let printed = bundle.run();
    let line = |target: &str| {
        let field = format!(" {target} ");
        printed
            .lines()
            .find(|line| line.contains(&field))
            .unwrap_or_else(|| panic!("{printed}"))
    };
    assert!(line("/dev/x").contains("shared:"));
    assert!(line("/").contains("shared:"));
    assert!(!line("/proc").contains("shared:"));
}

#[test]
fn sysctls_are_the_namespaces_own() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward");
    bundle.config["linux"]["sysctl"] = json!({"kernel.shmmni": "77", "net.ipv4.ip_forward": "1"});
    assert_eq!(bundle.run(), "77\n1\n");
    bundle.config["linux"]["sysctl"] = json!({"kernel.panic": "1"});
    assert!(bundle.fail().contains("linux.sysctl.kernel.panic"));
    bundle.config["linux"]["sysctl"] = json!({"net.no.such": "1"});
    assert!(bundle.fail().contains("cannot set sysctl net.no.such"));
}

#[test]
fn the_working_directory_is_made_where_missing() {
    need_containers!();
    let mut bundle = Bundle::new(&["pwd"]);
    bundle.config["process"]["cwd"] = json!("/not/there/yet");
    assert_eq!(bundle.run(), "/not/there/yet\n");
    sys::file::replace_unsynced(&bundle.in_root("file"), b"", 0o644).unwrap();
    bundle.config["process"]["cwd"] = json!("/file");
    let said = bundle.fail();
    assert!(
        said.contains("cannot enter the working directory /file: chdir: not a directory"),
        "{said}"
    );
}

#[test]
fn cgroups_are_seen_from_their_own_root() {
    need_containers!();
    let bundle = Bundle::script(
        "cut -d: -f3 /proc/self/cgroup | sort -u; ls /sys/fs/cgroup | wc -l; \
        mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x 2>&1 | grep -c Read-only",
    );
    for applet in ["cut", "sort"] {
        std::os::unix::fs::symlink("busybox", bundle.in_root("bin").join(applet)).unwrap();
    }
    let printed = bundle.run();
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some("/"), "{printed}");
    assert!(
        lines.next().unwrap().trim().parse::<u32>().unwrap() > 3,
        "{printed}"
    );
}
