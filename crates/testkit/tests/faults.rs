//! Every step of create and of start made to fail in turn: after each, nothing is left.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use testkit::{Brig, Setup, program, root};

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
    for step in &steps {
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        // With a bit of everything, so that each step has something to do.
        let run = [
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
        let failed = brig.brig(&run);
        // A step of an exec alone, or of another runtime's, is not on this way.
        if failed.code == 0 {
            eprintln!("{step} is not on the way of a run");
            brig.brig(&["rm", "-f", failed.ok()]).ok();
        } else {
            assert!([125, 126, 127].contains(&failed.code), "{step}: {failed}");
            assert!(
                failed.stderr.contains(step.as_str()) || !failed.stderr.is_empty(),
                "{step}: {failed}"
            );
        }
        assert!(
            brig.brig(&["ps", "-aq"]).ok().is_empty(),
            "{step} left a record"
        );
        brig.expect_nothing_left();
        // A container that was made stays, as Docker's does, and can be removed.
        if brig
            .brig(&["create", "--name", "made", "bb", "sleep", "1000"])
            .code
            == 0
        {
            brig.brig(&["start", "made"]);
            brig.brig(&["rm", "-f", "made"]).ok();
        }
        brig.expect_nothing_left();
        brig.stop_daemon();
        brig.expect_nothing_left();
    }
    brig.set_flags(&[]);
    brig.start_daemon();
    assert_eq!(
        brig.brig(&["run", "--rm", "bb", "echo", "fine"]).ok(),
        "fine"
    );
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
