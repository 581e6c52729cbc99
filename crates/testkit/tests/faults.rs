//! Every step of create and of start made to fail in turn: after each, nothing is left.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use std::path::Path;

use testkit::{Brig, Output, Setup, program, root};

/// The steps that can be made to fail.
fn steps() -> Vec<String> {
    let output = Command::new(program("brigd"))
        .args(["--fail-at", "list"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// With a bit of everything, so that each step has something to do.
const RUN: [&str; 27] = [
    "run",
    "--rm",
    "-d",
    "--init",
    "-m",
    "64m",
    "--tmpfs",
    "/t",
    "--read-only",
    "--hostname",
    "ship",
    "-t",
    "-w",
    "/tmp",
    "-u",
    "33",
    "--ulimit",
    "nofile=64",
    "--sysctl",
    "kernel.msgmax=4096",
    "--oom-score-adj",
    "500",
    "-p",
    "80",
    "bb",
    "sleep",
    "1000",
];

/// Whether what is said is that this step was told to fail: each layer names its own without its prefix.
fn named(said: &Output, step: &str) -> bool {
    // Who waits at the gate may have nobody left to tell.
    if step == "gate" && said.stderr.contains("the container's process has ended") {
        return true;
    }
    let name = step.rsplit('.').next().unwrap_or(step);
    said.stderr.contains(" to fail") && said.stderr.contains(name)
}

#[test]
fn each_step_that_fails_undoes_those_before_it() {
    if !root() {
        return;
    }
    let steps = steps();
    assert!(steps.len() > 10, "few steps: {steps:?}");
    let mut brig = Brig::prepare(Setup::default());
    brig.start_daemon();
    brig.import_busybox();
    brig.stop_daemon();
    let mut avoided = Vec::new();
    for step in &steps {
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        let failed = brig.brig(&RUN);
        if failed.code == 0 {
            avoided.push(step.as_str());
            brig.brig(&["rm", "-f", failed.ok()]).ok();
        } else {
            assert!([125, 126, 127].contains(&failed.code), "{step}: {failed}");
            assert!(named(&failed, step), "{step}: {failed}");
        }
        // The same by one request, which makes, attaches and starts.
        let attached = brig.brig(&["run", "--rm", "bb", "true"]);
        assert!(
            attached.code == 0 || (125..=127).contains(&attached.code) && named(&attached, step),
            "{step}: {attached}"
        );
        assert!(
            brig.brig(&["ps", "-aq"]).ok().is_empty(),
            "{step} left a record"
        );
        brig.expect_nothing_left();
        // A container that was made stays, as Docker's does, and can be removed.
        let made = brig.brig(&["create", "--name", "made", "bb", "sleep", "1000"]);
        assert_eq!(
            made.code != 0,
            step.starts_with("create."),
            "{step}: {made}"
        );
        if made.code == 0 {
            let started = brig.brig(&["start", "made"]);
            assert!(
                started.code == 0 || named(&started, step),
                "{step}: {started}"
            );
            assert_eq!(brig.brig(&["ps", "-aq"]).lines().len(), 1, "{step}");
            brig.brig(&["rm", "-f", "made"]).ok();
        }
        brig.expect_nothing_left();
        brig.stop_daemon();
        brig.expect_nothing_left();
    }
    // Those of an update, of a network that is left (see below), and of hooks, which only other engines ask for.
    assert_eq!(
        avoided,
        [
            "update.ports",
            "update.volumes",
            "update.mounts",
            "update.limits",
            "disconnect.names",
            "disconnect.interface",
            "disconnect.record",
            "network-create.record",
            "network-create.device",
            "run-maker-hooks"
        ]
    );
    brig.set_flags(&[]);
    brig.start_daemon();
    assert_eq!(
        brig.brig(&["run", "--rm", "bb", "echo", "fine"]).ok(),
        "fine"
    );
    brig.finish();
}

/// A network that comes to nothing leaves no device behind, also where the daemon dies amid its making.
#[test]
fn a_network_that_is_not_made_leaves_nothing() {
    if !root() {
        return;
    }
    let steps = steps();
    let steps: Vec<_> = steps
        .iter()
        .filter(|step| step.starts_with("network-create."))
        .collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    let device = format!("bf{}", std::process::id());
    let name = format!("com.docker.network.bridge.name={device}");
    let create = ["network", "create", "-o", &name, "shop"];
    let is_there = || Path::new("/sys/class/net").join(&device).exists();
    let listed = |brig: &Brig| brig.brig(&["network", "ls", "--filter", "name=shop", "-q"]);
    let mut brig = Brig::with_image();
    for step in steps {
        for dies in [false, true] {
            brig.stop_daemon();
            let end = if dies { "!" } else { "" };
            brig.set_flags(&["--fail-at", &format!("{step}{end}")]);
            brig.start_daemon();
            let failed = brig.brig(&create);
            assert_eq!(failed.code, 1, "{step}{end}: {failed}");
            if dies {
                brig.kill_daemon();
            } else {
                assert!(failed.stderr.contains(step.as_str()), "{step}: {failed}");
                brig.stop_daemon();
            }
            brig.set_flags(&[]);
            brig.start_daemon();
            // It is there and whole, or it is not there.
            let kept = !listed(&brig).ok().is_empty();
            assert_eq!(kept, dies, "{step}{end}");
            if kept {
                let run = ["run", "--rm", "--network", "shop", "bb", "true"];
                brig.brig(&run).ok();
                brig.brig(&["network", "rm", "shop"]).ok();
            }
            assert!(!is_there(), "{step}{end}");
        }
    }
    brig.brig(&create).ok();
    assert!(is_there());
    brig.brig(&["network", "rm", "shop"]).ok();
    brig.finish();
}

/// Who leaves a network and is held up half-way has left it after the next try, and nobody gets its address
/// before.
#[test]
fn a_network_is_left_after_each_step_that_fails() {
    if !root() {
        return;
    }
    let steps = steps();
    let steps: Vec<_> = steps
        .iter()
        .filter(|step| step.starts_with("disconnect."))
        .collect();
    assert_eq!(steps.len(), 3, "{steps:?}");
    let mut brig = Brig::with_image();
    brig.brig(&["network", "create", "shop"]).ok();
    let address = |brig: &Brig, container: &str| {
        let networks = &brig.inspect(container)["NetworkSettings"]["Networks"];
        networks["shop"]["IPAddress"].as_str().map(str::to_owned)
    };
    for step in steps {
        let run = [
            "run",
            "-d",
            "--name",
            "one",
            "--network",
            "shop",
            "-p",
            "80",
        ];
        brig.brig(&[&run[..], &["bb", "sleep", "1000"]].concat())
            .ok();
        brig.brig(&["network", "connect", "bridge", "one"]).ok();
        brig.stop_daemon();
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        let leave = ["network", "disconnect", "shop", "one"];
        let failed = brig.brig(&leave);
        assert!(failed.fails(1).contains(step.as_str()), "{step}: {failed}");
        let kept = address(&brig, "one");
        assert_eq!(kept.is_some(), step != "disconnect.record", "{step}");
        let run = ["run", "-d", "--name", "two", "--network", "shop"];
        brig.brig(&[&run[..], &["bb", "sleep", "1000"]].concat())
            .ok();
        assert_ne!(address(&brig, "two"), kept, "{step}");
        brig.stop_daemon();
        brig.set_flags(&[]);
        brig.start_daemon();
        if kept.is_some() {
            brig.brig(&leave).ok();
        }
        assert_eq!(address(&brig, "one"), None, "{step}");
        let links = brig.brig(&["exec", "one", "ls", "/sys/class/net"]);
        let links: Vec<&str> = links.ok().split_whitespace().collect();
        assert_eq!(links.len(), 2, "{step}: {links:?}");
        brig.brig(&["network", "connect", "shop", "one"]).ok();
        brig.brig(&["rm", "-f", "one", "two"]).ok();
    }
    brig.finish();
}

/// What is changed of a container that runs is as before after each step that fails, and can be changed then.
#[test]
fn an_update_that_fails_changes_nothing() {
    if !root() {
        return;
    }
    let steps = steps();
    let steps = steps.iter().filter(|step| step.starts_with("update."));
    let steps: Vec<_> = steps.collect();
    assert_eq!(steps.len(), 4, "{steps:?}");
    let mut brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "box", "bb", "sleep", "1000"])
        .ok();
    let seen = |brig: &Brig| {
        let limits = "cat /proc/mounts /proc/self/limits; cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null; true";
        let inside = ["exec", "box", "sh", "-c", limits];
        let mut said = brig.inspect("box");
        // The look inside may still be there.
        said["ExecIDs"].take();
        (said, brig.brig(&inside).ok().to_owned())
    };
    let change = [
        "update",
        "--label-add",
        "a=b",
        "-m",
        "64m",
        "--memory-swap",
        "64m",
        "--publish-add",
        "80",
        "--mount-add",
        "type=tmpfs,target=/more",
        "--mount-add",
        "type=volume,source=data,target=/data",
        "box",
    ];
    let before = seen(&brig);
    for step in &steps {
        brig.stop_daemon();
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        let failed = brig.brig(&change);
        assert!(
            failed.code != 0 && failed.stderr.contains(step.as_str()),
            "{step}: {failed}"
        );
        assert_eq!(seen(&brig), before, "{step}");
    }
    for step in &steps {
        brig.stop_daemon();
        brig.set_flags(&["--fail-at", &format!("{step}!")]);
        brig.start_daemon();
        let failed = brig.brig(&change);
        assert_ne!(failed.code, 0, "{step}: {failed}");
        brig.kill_daemon();
        brig.set_flags(&[]);
        brig.start_daemon();
        assert_eq!(seen(&brig), before, "the daemon has died after {step}");
    }
    brig.stop_daemon();
    brig.set_flags(&[]);
    brig.start_daemon();
    brig.brig(&change).ok();
    let after = seen(&brig);
    assert_eq!(after.0["Config"]["Labels"]["a"], "b");
    assert_eq!(after.0["HostConfig"]["Memory"], 64 << 20);
    assert!(after.1.contains(" /more tmpfs ") && after.1.contains(" /data "));
    brig.brig(&["rm", "-f", "box"]).ok();
    brig.brig(&["volume", "rm", "data"]).ok();
    brig.finish();
}

#[test]
fn a_step_that_does_not_exist_is_refused() {
    let output = Command::new(program("brigd"))
        .args(["--fail-at", "nonsense"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nonsense"));
}
