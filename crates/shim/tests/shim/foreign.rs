//! Other runtimes, by their command line: the same container, the same streams.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use shim::Call;
use shim::log::Stream;
use types::{ErrorKind, Mount, Signal};

use crate::guest::{ALL, Setup, can_run, read_all, read_until, send_all, skip, unframe};

/// Those of this machine, each as it can be run here.
fn runtimes(dir: &Path) -> Vec<PathBuf> {
    let candidates = ["/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc"].map(PathBuf::from);
    let found: Vec<_> = candidates
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    if found.is_empty() {
        skip("there is neither crun nor runc");
    }
    found
        .into_iter()
        .map(|path| {
            if path.ends_with("crun") {
                wrapped(dir, &path)
            } else {
                path
            }
        })
        .collect()
}

/// crun wants either version of cgroups alone: on a machine with both it gets to see the first.
fn wrapped(dir: &Path, crun: &Path) -> PathBuf {
    // Written by a process of its own, as `make_rootfs` copies programs.
    let script = format!(
        "#!/bin/sh\numount /sys/fs/cgroup/unified 2>/dev/null\nexec {} \"$@\"\n",
        crun.display()
    );
    let path = dir.join("crun");
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let mut shell = Command::new("sh");
    let written = shell.args(["-c", write]).arg(&path).arg(script).status();
    assert!(written.unwrap().success());
    path
}

/// Runs a part of a test with each runtime.
fn each(test: impl Fn(PathBuf)) {
    if can_run() {
        let dir = tempfile::tempdir().unwrap();
        runtimes(dir.path()).into_iter().for_each(test);
    }
}

fn with(runtime: PathBuf, mut setup: Setup) -> Setup {
    setup.launch.foreign_runtime = Some(runtime);
    setup
}

#[test]
fn another_runtime_runs_a_container() {
    each(|runtime| {
        let setup = Setup::shell("cat; echo err >&2; exit 7").stdin();
        let guest = with(runtime, setup).create();
        let mut client = guest.attach(ALL, true);
        guest.start();
        send_all(&client, b"through\n");
        assert_eq!(
            unframe(&read_all(&mut client)),
            ("through\n".into(), "err\n".into())
        );
        assert_eq!(guest.wait().code, 7);
        assert_eq!(guest.logged(Stream::Stdout), "through\n");
        assert!(!guest.dir.path().join("foreign").exists());
    });
}

#[test]
fn another_runtime_runs_further_processes() {
    each(|runtime| {
        let guest = with(runtime, Setup::new(&["sleep", "1000"])).start();
        let mut client = guest.exec(1, &["sh", "-c", "echo in; exit 4"], false);
        assert_eq!(unframe(&read_all(&mut client)).0, "in\n");
        let shim::Reply::State(state) = guest.shim.call(&Call::State, &[]).unwrap() else {
            panic!()
        };
        assert_eq!(state.execs[0].1, Some(4));
        let mut terminal = guest.exec(2, &["sh"], true);
        terminal.write_all(b"stty size; exit\n").unwrap();
        read_until(&mut terminal, "24 80");
        guest
            .shim
            .call(
                &Call::Kill {
                    signal: Signal::KILL,
                },
                &[],
            )
            .unwrap();
        assert_eq!(guest.wait().code, 137);
    });
}

#[test]
fn another_runtime_gives_a_terminal() {
    each(|runtime| {
        let guest = with(runtime, Setup::new(&["sh"]).terminal()).create();
        let mut client = guest.attach(ALL, false);
        guest.start();
        guest
            .shim
            .call(
                &Call::Resize {
                    exec: None,
                    size: [33, 99],
                },
                &[],
            )
            .unwrap();
        client.write_all(b"stty size; exit 2\n").unwrap();
        read_until(&mut client, "33 99");
        assert_eq!(guest.wait().code, 2);
    });
}

/// The root is an overlay that only the shim and the container see.
#[test]
fn another_runtime_gets_its_root_mounted() {
    each(|runtime| {
        let layers = tempfile::tempdir().unwrap();
        let layer = |name: &str| layers.path().join(name);
        for name in ["upper", "work"] {
            std::fs::create_dir(layer(name)).unwrap();
        }
        let setup = with(runtime, Setup::shell("echo written > /file; echo $(ls /)"));
        let mut guest = setup;
        let lower = tempfile::tempdir().unwrap();
        crate::guest::make_rootfs(lower.path());
        guest.launch.rootfs = vec![Mount {
            kind: "overlay".into(),
            source: "overlay".into(),
            target: "/".into(),
            options: ["upper", "work"]
                .map(|n| format!("{n}dir={}", layer(n).display()))
                .into(),
            lower: vec![lower.path().to_owned()],
            subpath: None,
        }];
        let guest = guest.start();
        assert_eq!(guest.wait().code, 0);
        assert_eq!(
            std::fs::read_to_string(layer("upper").join("file")).unwrap(),
            "written\n"
        );
        assert!(!lower.path().join("file").exists());
        let link = std::fs::read_link(layer("upper").join("etc/mtab")).unwrap();
        assert_eq!(link, Path::new("/proc/mounts"));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(guest.dir.path().to_str().unwrap()));
    });
}

#[test]
fn another_runtimes_refusal_is_told() {
    each(|runtime| {
        let guest = with(runtime, Setup::new(&["/no/such/command"])).launch();
        let answer = guest
            .shim
            .call(&Call::Create { filter: None }, &[])
            .and_then(|_| guest.shim.call(&Call::Start, &[]));
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
        assert!(sys::pidfd::ended_within(guest.shim.pidfd(), crate::guest::LONG).unwrap());
        assert!(!guest.dir.path().join("foreign").exists());
    });
}
