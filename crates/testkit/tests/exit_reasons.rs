//! What ended a container, in words: by `inspect`, `ps` and the event of its end.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use serde_json::Value;
use testkit::{Brig, Client, clients, now, root, until};

/// A container that has ended, or could not be started.
fn ended(brig: &Brig, name: &str, words: &[&str]) {
    brig.brig(&[&["run", "-d", "--name", name][..], words].concat());
    brig.wait_for_state(name, "exited");
}

#[track_caller]
fn told(brig: &Brig, name: &str, cause: &str, words: &str) {
    let reason = brig.inspect(name)["State"]["ExitReason"].clone();
    assert_eq!(
        (&reason["Cause"], &reason["Words"]),
        (&cause.into(), &words.into()),
        "{name}: {reason}"
    );
    let listed = brig.brig(&[
        "ps",
        "-a",
        "--filter",
        &format!("name=^{name}$"),
        "--format",
        "{{.ExitReason}}",
    ]);
    assert_eq!(listed.ok(), words);
}

#[test]
fn what_ended_by_itself() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    ended(&brig, "well", &["bb", "true"]);
    told(
        &brig,
        "well",
        "exited",
        "its command ended well (exit code 0)",
    );
    ended(&brig, "three", &["bb", "sh", "-c", "exit 3"]);
    told(&brig, "three", "exited", "its command ended (exit code 3)");
    let missing = "its command ended (exit code 127: by convention a program was not found)";
    ended(&brig, "missing", &["bb", "sh", "-c", "nosuch"]);
    told(&brig, "missing", "exited", missing);
    // With an init in between the first process hands the code on.
    let init = ["--init", "bb", "sh", "-c", "kill -SEGV $$"];
    ended(&brig, "handed", &init);
    let handed =
        "its command ended (exit code 139: by convention SIGSEGV has killed a process in it)";
    told(&brig, "handed", "exited", handed);
    brig.brig(&["run", "-d", "--name", "shot", "bb", "sleep", "1000"])
        .ok();
    let pid = brig.inspect("shot")["State"]["Pid"].to_string();
    let shot = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    assert!(shot.unwrap().success());
    brig.wait_for_state("shot", "exited");
    let killed = "killed by SIGKILL, which nobody asked the engine for";
    told(&brig, "shot", "signal", killed);
    brig.brig(&["run", "-d", "--name", "runs", "bb", "sleep", "1000"])
        .ok();
    told_nothing(&brig, "runs");
    brig.brig(&["create", "--name", "made", "bb", "true"]).ok();
    told_nothing(&brig, "made");
    brig.finish();
}

/// Of what has not ended there is nothing to tell, and nothing that Docker does not tell.
fn told_nothing(brig: &Brig, name: &str) {
    let state = brig.inspect(name)["State"].clone();
    assert_eq!(state["ExitReason"], Value::Null, "{state}");
}

#[test]
fn what_was_ended() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let trap = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    for (name, script) in [
        ("obeys", trap),
        (
            "deaf",
            "trap '' TERM; echo ready; while :; do sleep 0.1; done",
        ),
        ("killed", trap),
        (
            "hung-up",
            "trap 'exit 5' HUP; echo ready; while :; do sleep 0.1; done",
        ),
    ] {
        brig.brig(&["run", "-d", "--name", name, "bb", "sh", "-c", script])
            .ok();
        until("the trap", || {
            brig.brig(&["logs", name])
                .stdout
                .contains("ready")
                .then_some(())
        });
    }
    brig.brig(&["stop", "obeys"]).ok();
    let words = "stopped: SIGTERM was sent, its command ended well (exit code 0)";
    told(&brig, "obeys", "stop", words);
    brig.brig(&["stop", "-t", "0", "deaf"]).ok();
    let words = "stopped: SIGTERM, then SIGKILL was sent, SIGKILL killed it";
    told(&brig, "deaf", "stop", words);
    brig.brig(&["kill", "killed"]).ok();
    let words = "killed by request: SIGKILL was sent, that killed it";
    told(&brig, "killed", "kill", words);
    // Anew, and nothing is known of the last time.
    brig.brig(&["start", "killed"]).ok();
    told_nothing(&brig, "killed");
    brig.brig(&["kill", "-s", "HUP", "hung-up"]).ok();
    brig.wait_for_state("hung-up", "exited");
    brig.brig(&["rm", "-f", "killed"]).ok();
    let told = brig.brig(&[
        "events",
        "--since",
        "1",
        "--until",
        &now(),
        "--filter",
        "event=die",
        "--format",
        "{{index .Actor.Attributes \"name\"}}: {{index .Actor.Attributes \"exitReason\"}}",
    ]);
    let lines = told.lines();
    for line in [
        "obeys: stopped: SIGTERM was sent; its command ended well: exit code 0",
        "hung-up: killed by request: SIGHUP was sent; its command ended: exit code 5",
        "killed: killed to be removed: SIGKILL was sent; that killed it",
    ] {
        assert!(lines.contains(&line), "{line}: {told}");
    }
    for client in clients() {
        let state = brig.with(client, &["inspect", "-f", "{{.State.ExitCode}}", "deaf"]);
        assert_eq!(state.ok(), "137");
    }
    brig.finish();
}

#[test]
fn what_ran_out_of_memory_or_was_unwell() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    ended(&brig, "big", &["-m", "16m", "bb", "tail", "/dev/zero"]);
    let words = "killed by the kernel: out of memory, of which it may have 16 MiB";
    told(&brig, "big", "oom", words);
    let reason = brig.inspect("big")["State"]["ExitReason"].clone();
    assert_eq!(reason["MemoryLimit"], 16 << 20, "{reason}");
    assert_eq!(reason["Signal"], "SIGKILL", "{reason}");
    let unwell = [
        "--health-cmd",
        "false",
        "--health-interval",
        "100ms",
        "--health-retries",
        "1",
        "--health-action",
        "kill",
        "bb",
        "sleep",
        "1000",
    ];
    ended(&brig, "unwell", &unwell);
    let words = "ended for being unhealthy: SIGKILL was sent, that killed it";
    told(&brig, "unwell", "unhealthy", words);
    brig.finish();
}

#[test]
fn what_could_not_be_started() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.with(
        Client::Brig,
        &["run", "-d", "--name", "none", "bb", "/nosuch"],
    )
    .fails(127);
    let state = brig.inspect("none")["State"].clone();
    let reason = &state["ExitReason"];
    assert_eq!(
        (&reason["Cause"], &reason["Step"]),
        (&"start-failed".into(), &"start".into()),
        "{state}"
    );
    let error = state["Error"].as_str().unwrap();
    let words = format!("could not be started, at the step start: {error}");
    assert!(
        !error.is_empty() && reason["Words"] == words.as_str(),
        "{state}"
    );
    let nouser = [
        "run", "-d", "--name", "nouser", "-u", "nosuch", "bb", "true",
    ];
    assert_ne!(brig.brig(&nouser).code, 0);
    let reason = brig.inspect("nouser")["State"]["ExitReason"].clone();
    assert_eq!(reason["Step"], "user", "{reason}");
    brig.finish();
}
