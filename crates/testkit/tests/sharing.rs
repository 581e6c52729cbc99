//! What a container shares with the host and with other containers: namespaces, and the memory that
//! goes with them; and by which runtime it is run.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

use std::fs;

use testkit::{Brig, Client, Output, Setup, clients, program, root};

fn run(brig: &Brig, client: Client, flags: &str, script: &str) -> Output {
    let words: Vec<&str> = flags.split_whitespace().collect();
    let args = [&["run", "--rm"], &words[..], &["bb", "sh", "-c", script]];
    brig.with(client, &args.concat())
}

/// `pid:[4026531836]`, as this test has it.
fn own(kind: &str) -> String {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
    link.to_str().unwrap().to_owned()
}

#[test]
fn namespaces_of_the_host_are_the_hosts() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        for (flag, kind) in [
            ("--pid", "pid"),
            ("--ipc", "ipc"),
            ("--uts", "uts"),
            ("--cgroupns", "cgroup"),
        ] {
            let look = format!("readlink /proc/self/ns/{kind}");
            let shared = run(&brig, client, &format!("{flag} host"), &look);
            assert_eq!(shared.ok(), own(kind), "{client:?} {flag}: {shared}");
            let private = run(&brig, client, "", &look);
            assert_ne!(private.ok(), own(kind), "{client:?} {flag}: {private}");
        }
        let all = "--pid host --ipc host --uts host --cgroupns host --userns host --network host";
        let kinds = ["pid", "ipc", "uts", "cgroup", "user", "net"];
        let shown = run(
            &brig,
            client,
            all,
            "cd /proc/self/ns; for i in pid ipc uts cgroup user net; do readlink $i; done",
        );
        let expected: Vec<String> = kinds.into_iter().map(own).collect();
        assert_eq!(shown.ok().lines().collect::<Vec<_>>(), expected, "{shown}");
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = run(&brig, client, "--uts host", "hostname");
        assert_eq!(host.ok(), name.trim(), "{host}");
        let both = run(&brig, client, "--uts host --hostname ship", "true");
        assert!(
            both.fails(125).contains("hostname and the UTS mode"),
            "{both}"
        );
    }
    brig.finish();
}

#[test]
fn what_such_a_container_leaves_running_ends_with_it() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        run(&brig, client, "--pid host", "sleep 100000 & true").ok();
        run(&brig, client, "--pid host --init", "sleep 100000 & true").ok();
    }
    // Which finds every process that is left.
    brig.finish();
}

#[test]
fn processes_are_seen_from_a_container_that_joins() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let donor = ["run", "-d", "--name", "worker", "bb", "sleep", "4321"];
        brig.with(client, &donor).ok();
        let seen = run(&brig, client, "--pid container:worker", "ps");
        assert!(seen.ok().contains("sleep 4321"), "{seen}");
        let shown = brig.with(
            client,
            &[
                "create",
                "--name",
                "helper",
                "--pid",
                "container:worker",
                "bb",
                "true",
            ],
        );
        shown.ok();
        let id = brig.inspect("worker")["Id"].as_str().unwrap().to_owned();
        let helper = brig.inspect("helper");
        assert_eq!(helper["HostConfig"]["PidMode"], format!("container:{id}"));
        brig.with(client, &["rm", "helper"]).ok();
        brig.with(client, &["kill", "worker"]).ok();
        brig.with(client, &["wait", "worker"]).ok();
        let late = run(&brig, client, "--pid container:worker", "true");
        assert!(
            late.fails(125).contains("a non running container"),
            "{late}"
        );
        brig.with(client, &["rm", "worker"]).ok();
        let nobody = run(&brig, client, "--pid container:worker", "true");
        assert!(nobody.fails(125).contains("No such container"), "{nobody}");
    }
    brig.finish();
}

#[test]
fn memory_is_shared_by_those_who_may() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let donor = [
            "run",
            "-d",
            "--name",
            "giver",
            "--ipc",
            "shareable",
            "--shm-size",
            "4m",
            "bb",
            "sh",
            "-c",
            "echo hello > /dev/shm/word; exec sleep 1000",
        ];
        brig.with(client, &donor).ok();
        let first = run(
            &brig,
            client,
            "--ipc container:giver",
            "until [ -s /dev/shm/word ]; do sleep 0.1; done; cat /dev/shm/word; \
             readlink /proc/self/ns/ipc; df -k /dev/shm | tail -1 | awk '{print $2}'",
        );
        let ipc = brig.with(client, &["exec", "giver", "readlink", "/proc/self/ns/ipc"]);
        assert_eq!(
            first.ok().lines().collect::<Vec<_>>(),
            ["hello", ipc.ok(), "4096"],
            "{first}"
        );
        run(
            &brig,
            client,
            "--ipc container:giver",
            "echo back > /dev/shm/answer",
        )
        .ok();
        let answer = brig.with(client, &["exec", "giver", "cat", "/dev/shm/answer"]);
        assert_eq!(answer.ok(), "back");
        brig.with(client, &["rm", "-f", "giver"]).ok();

        brig.with(
            client,
            &["run", "-d", "--name", "miser", "bb", "sleep", "1000"],
        )
        .ok();
        let refused = run(&brig, client, "--ipc container:miser", "true");
        assert!(
            refused.fails(125).contains("non-shareable IPC"),
            "{refused}"
        );
        brig.with(client, &["rm", "-f", "miser"]).ok();

        let none = run(
            &brig,
            client,
            "--ipc none",
            "grep -c ' /dev/shm ' /proc/mounts",
        );
        assert_eq!(none.fails(1), "", "{none}");
        let host = run(&brig, client, "--ipc host", "stat -c %d /dev/shm");
        let device = std::os::unix::fs::MetadataExt::dev(&fs::metadata("/dev/shm").unwrap());
        assert_eq!(host.ok(), device.to_string(), "{host}");
    }
    brig.finish();
}

#[test]
fn shared_memory_survives_a_daemon_that_does_not() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&[
        "run",
        "-d",
        "--name",
        "giver",
        "--ipc",
        "shareable",
        "bb",
        "sleep",
        "1000",
    ])
    .ok();
    brig.brig(&["exec", "giver", "sh", "-c", "echo kept > /dev/shm/word"])
        .ok();
    brig.kill_daemon();
    brig.start_daemon();
    let read = run(
        &brig,
        Client::Brig,
        "--ipc container:giver",
        "cat /dev/shm/word",
    );
    assert_eq!(read.ok(), "kept");
    brig.brig(&["restart", "-t", "0", "giver"]).ok();
    let read = run(&brig, Client::Brig, "--ipc container:giver", "ls /dev/shm");
    assert_eq!(read.ok(), "");
    brig.finish();
}

/// Who shares the network of a container that has another's has its files of names, too.
#[test]
fn networks_are_shared_in_a_row() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let run = |name: &str, network: &str| {
        let words = ["run", "-d", "--name", name, "--network", network, "bb"];
        let all = [&words[..], &["sleep", "1000"]].concat();
        brig.brig(&all).ok();
        brig.brig(&["exec", name, "cat", "/etc/hosts", "/etc/resolv.conf"])
            .ok()
            .to_owned()
    };
    let first = run("first", "bridge");
    assert!(first.contains("127.0.0.11"), "{first}");
    assert_eq!(run("second", "container:first"), first);
    assert_eq!(run("third", "container:second"), first);
    brig.brig(&["rm", "-f", "first", "second", "third"]).ok();
    brig.finish();
}

#[test]
fn modes_that_are_none_are_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        for (flags, says) in [
            ("--pid mine", "invalid PID mode"),
            ("--ipc mine", "invalid IPC mode"),
            ("--uts mine", "invalid UTS mode"),
            ("--cgroupns mine", "invalid CGROUP mode"),
            ("--userns mine", "invalid USER mode"),
            ("--ipc host --sysctl kernel.msgmax=1000", "IPC mode"),
        ] {
            let refused = run(&brig, client, flags, "true");
            assert!(
                refused.code == 125 && refused.stderr.contains(says),
                "{client:?} {flags}: {refused}"
            );
        }
    }
    brig.finish();
}

#[test]
fn runtimes_are_chosen_by_name() {
    if !root() {
        return;
    }
    let ours = format!("other={}", program("brig-runtime").display());
    let setup = Setup {
        flags: vec!["--add-runtime".into(), ours],
        ..Setup::default()
    };
    let brig = Brig::start_with(setup);
    brig.import_busybox();
    for client in clients() {
        let create = [
            "run",
            "-d",
            "--name",
            "odd",
            "--runtime",
            "other",
            "bb",
            "sleep",
            "1000",
        ];
        brig.with(client, &create).ok();
        assert_eq!(brig.inspect("odd")["HostConfig"]["Runtime"], "other");
        // Another runtime keeps its state where its command line says.
        let id = brig.inspect("odd")["Id"].as_str().unwrap().to_owned();
        let state = brig
            .run_root()
            .join("containers")
            .join(&id)
            .join("foreign/state");
        assert!(state.exists(), "{}", state.display());
        let inside = brig.with(client, &["exec", "odd", "cat", "/proc/1/comm"]);
        assert_eq!(inside.ok(), "sleep");
        brig.with(client, &["restart", "-t", "0", "odd"]).ok();
        brig.with(client, &["rm", "-f", "odd"]).ok();
        let own = run(&brig, client, "--runtime brig", "echo mine");
        assert_eq!(own.ok(), "mine");
        let unknown = run(&brig, client, "--runtime kata", "true");
        assert!(
            unknown
                .fails(125)
                .contains("unknown or invalid runtime name: kata"),
            "{unknown}"
        );
        let info = brig
            .with(client, &["info", "--format", "{{json .Runtimes}}"])
            .json();
        assert!(
            info["other"]["path"]
                .as_str()
                .unwrap()
                .ends_with("brig-runtime"),
            "{info}"
        );
        assert!(info["brig"].is_object(), "{info}");
    }
    brig.finish();
}

#[test]
fn a_runtime_that_is_not_known_any_more_is_not_another_one() {
    if !root() {
        return;
    }
    let ours = format!("other={}", program("brig-runtime").display());
    let mut brig = Brig::start_with(Setup {
        flags: vec!["--add-runtime".into(), ours],
        ..Setup::default()
    });
    brig.import_busybox();
    let create = [
        "create",
        "--name",
        "strict",
        "--runtime",
        "other",
        "bb",
        "true",
    ];
    brig.brig(&create).ok();
    brig.stop_daemon();
    brig.set_flags(&[]);
    brig.start_daemon();
    let refused = brig.brig(&["start", "strict"]);
    assert!(
        refused
            .fails(1)
            .contains("unknown or invalid runtime name: other"),
        "{refused}"
    );
    brig.finish();
}
