//! What programs and tests that were made for runc rely on beyond the specification: its words, and
//! how it behaves where the specification is silent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::running::Running;
use support::{Bundle, status_line, text, until};

macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            return support::skip(reason);
        }
    };
}

/// Runs a verb that succeeds. Its output is no pipe, which a container that waits would hold.
fn succeed(bundle: &Bundle, words: &[&str]) {
    let told = bundle.path().join("told");
    let mut command = bundle.command(words);
    command.stdout(std::process::Stdio::null());
    command.stderr(std::fs::File::create(&told).unwrap());
    let succeeded = command.status().unwrap().success();
    let said = std::fs::read_to_string(told).unwrap();
    assert!(succeeded, "{words:?}: {said}");
}

fn refused(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    assert!(!output.status.success(), "{words:?}");
    text(&output.stderr)
}

fn status(bundle: &Bundle) -> String {
    let state = bundle.output(&["state", "ID"]);
    let state: Value = serde_json::from_slice(&state.stdout).unwrap();
    state["status"].as_str().unwrap().to_owned()
}

/// The first process of a pid namespace is spared what it does not ask for.
#[test]
fn a_created_container_is_ended_by_a_signal() {
    need_containers!();
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let bundle = Bundle::new(&["sleep", "1000"]);
        bundle.write();
        succeed(&bundle, &["create", "ID"]);
        succeed(&bundle, &["kill", "ID", signal]);
        until("the container's end", || status(&bundle) == "stopped");
        succeed(&bundle, &["delete", "ID"]);
        bundle.assert_nothing_left();
    }
}

/// Neither is anything of that left for the command.
#[test]
fn a_started_container_has_no_signal_blocked() {
    need_containers!();
    let mut bundle = Bundle::script("grep SigBlk: /proc/self/status >/told");
    bundle.config["root"]["readonly"] = json!(false);
    bundle.write();
    succeed(&bundle, &["create", "ID"]);
    succeed(&bundle, &["start", "ID"]);
    until("the command's end", || status(&bundle) == "stopped");
    let told = std::fs::read_to_string(bundle.in_root("told")).unwrap();
    assert_eq!(told, "SigBlk:\t0000000000000000\n");
    succeed(&bundle, &["delete", "ID"]);
}

#[test]
fn lines_of_a_terminal_in_the_foreground_end_as_they_were_written() {
    need_containers!();
    let mut bundle = Bundle::script("echo one; echo two");
    bundle.config["process"]["terminal"] = json!(true);
    assert_eq!(bundle.run(), "one\ntwo\n");
    let running = Running::new(Bundle::new(&[]));
    let process = json!({"terminal": true, "args": ["sh", "-c", "echo one; echo two"]});
    assert_eq!(running.succeed(process), "one\ntwo\n");
}

#[test]
fn what_the_kernel_does_not_execute_is_told_as_by_the_command() {
    need_containers!();
    let bundle = Bundle::new(&["/script"]);
    support::write_script(&bundle.in_root("script"), "#!/missing\n");
    assert_eq!(bundle.fail(), "exec /script: no such file or directory\n");
}

#[test]
fn a_mount_that_fails_is_told_in_runcs_words() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    bundle.mount(json!({"destination": "/proc/self", "type": "tmpfs", "source": "x"}));
    let said = bundle.fail();
    let wanted = "runc run failed: unable to start container process: \
                  error during container init: cannot mount on /proc/self";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_capability_for_exec_is_ambient_where_some_are_inherited() {
    need_containers!();
    let mut bundle = Bundle::new(&[]);
    let ambient = |running: &Running| {
        let output = running.bundle.output(&[
            "exec",
            "--cap",
            "CAP_KILL",
            "ID",
            "cat",
            "/proc/self/status",
        ]);
        status_line(&text(&output.stdout), "CapAmb").to_owned()
    };
    let sets = &mut bundle.config["process"]["capabilities"];
    *sets = json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"]});
    let mut inherits = Bundle::new(&[]);
    inherits.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"],
    });
    assert_eq!(ambient(&Running::new(bundle)), "0000000000000000");
    assert_eq!(ambient(&Running::new(inherits)), "0000000000000020");
}

#[test]
fn the_first_cpus_of_a_process_are_told() {
    need_containers!();
    let running = Running::new(Bundle::new(&[]));
    let process = json!({
        "cwd": "/", "args": ["true"], "user": {}, "execCPUAffinity": {"initial": "0"},
        "env": ["PATH=/bin"],
    });
    let path = running.bundle.path().join("process.json");
    sys::file::replace_unsynced(&path, process.to_string().as_bytes(), 0o644).unwrap();
    let words = ["--debug", "exec", "--process", "process.json", "ID"];
    let output = running.bundle.output(&words);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("nsexec["),
        "{said}"
    );
    assert!(said.contains("]: affinity: 0x1\""), "{said}");
}

#[test]
fn the_signal_0_asks_whether_there_is_anybody() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    succeed(&bundle, &["create", "ID"]);
    succeed(&bundle, &["kill", "ID", "0"]);
    succeed(&bundle, &["kill", "ID", "KILL"]);
    until("the container's end", || status(&bundle) == "stopped");
    let said = refused(&bundle, &["kill", "ID", "0"]);
    assert!(said.contains("container not running"), "{said}");
    assert!(
        bundle
            .output(&["kill", "--all", "ID", "0"])
            .status
            .success()
    );
    succeed(&bundle, &["delete", "ID"]);
}

#[test]
fn earlier_images_are_looked_for() {
    need_containers!();
    let running = Running::new(Bundle::new(&[]));
    for parent in ["/missing", "missing", "../missing"] {
        let words = ["checkpoint", "--parent-path", parent, "ID"];
        let said = refused(&running.bundle, &words);
        assert!(said.contains("invalid --parent-path"), "{said}");
    }
    assert!(!running.bundle.path().join("checkpoint").exists());
}

/// The one that is left out needs a filter that asks somebody.
#[test]
fn filter_flags_that_are_offered_are_for_any_filter() {
    let bundle = Bundle::new(&[]);
    let output = bundle.output(&["features"]);
    let features: Value = serde_json::from_slice(&output.stdout).unwrap();
    let flags = |name: &str| features["linux"]["seccomp"][name].as_array().unwrap().len();
    assert_eq!((flags("knownFlags"), flags("supportedFlags")), (4, 3));
}
