//! The command line, as runc's callers use it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::{Bundle, text};

macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{reason}");
            return;
        }
    };
}

fn succeed(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    text(&output.stdout)
}

fn refuse(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    assert!(
        !output.status.success(),
        "{words:?}: {}",
        text(&output.stdout)
    );
    text(&output.stderr)
}

/// Runs a verb whose container outlives it: its output must not be a pipe that the container keeps.
fn detached(bundle: &Bundle, words: &[&str]) {
    let file = |name: &str| {
        let options = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .to_owned();
        options.open(bundle.path().join(name)).unwrap()
    };
    let status = bundle
        .command(words)
        .stdout(file("out"))
        .stderr(file("err"))
        .status()
        .unwrap();
    let said = std::fs::read_to_string(bundle.path().join("err")).unwrap();
    assert!(status.success(), "{words:?}: {said}");
}

fn state(bundle: &Bundle) -> Value {
    serde_json::from_str(&succeed(bundle, &["state", "ID"])).unwrap()
}

#[test]
fn exit_codes_are_the_commands() {
    need_containers!();
    let code = |args: &[&str]| {
        let bundle = Bundle::new(args);
        bundle.write();
        bundle.output(&["run", "ID"]).status.code().unwrap()
    };
    assert_eq!(code(&["true"]), 0);
    assert_eq!(code(&["sh", "-c", "exit 42"]), 42);
    assert_eq!(code(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]), 137);
    assert_eq!(code(&["nothing"]), 1);
}

#[test]
fn a_life_in_single_commands() {
    need_containers!();
    let bundle = Bundle::script("echo started; sleep 1000");
    bundle.write();
    detached(&bundle, &["create", "--pid-file", "pid", "ID"]);
    let created = state(&bundle);
    assert_eq!(
        (created["status"].as_str(), created["id"].as_str()),
        (Some("created"), Some(bundle.id.as_str()))
    );
    assert_eq!(
        created["bundle"].as_str().unwrap(),
        bundle.path().to_str().unwrap()
    );
    let pid = std::fs::read_to_string(bundle.path().join("pid")).unwrap();
    assert_eq!(created["pid"].to_string(), pid);
    assert_eq!(
        std::fs::read_to_string(bundle.path().join("out")).unwrap(),
        ""
    );
    assert!(refuse(&bundle, &["create", "ID"]).contains("already exists"));

    detached(&bundle, &["start", "ID"]);
    assert_eq!(state(&bundle)["status"], "running");
    assert!(refuse(&bundle, &["start", "ID"]).contains("already running container"));
    assert!(refuse(&bundle, &["delete", "ID"]).contains("that is not stopped: running"));
    let listed = succeed(&bundle, &["list", "-q"]);
    assert_eq!(listed, format!("{}\n", bundle.id));
    let listed: Value = serde_json::from_str(&succeed(&bundle, &["list", "-f", "json"])).unwrap();
    assert_eq!(listed[0]["status"], "running");
    assert!(succeed(&bundle, &["ps", "ID"]).contains("sleep 1000"));

    succeed(&bundle, &["pause", "ID"]);
    assert_eq!(state(&bundle)["status"], "paused");
    succeed(&bundle, &["resume", "ID"]);
    assert_eq!(state(&bundle)["status"], "running");

    let pid = state(&bundle)["pid"].as_i64().unwrap();
    let pidfd = sys::pidfd::open(i32::try_from(pid).unwrap()).unwrap();
    succeed(&bundle, &["kill", "ID", "KILL"]);
    let patience = std::time::Duration::from_secs(60);
    assert!(sys::pidfd::ended_within(&pidfd, patience).unwrap());
    assert_eq!(state(&bundle)["status"], "stopped");
    assert_eq!(state(&bundle)["pid"], 0);
    assert!(refuse(&bundle, &["kill", "ID"]).contains("container not running"));
    succeed(&bundle, &["delete", "ID"]);
    bundle.assert_nothing_left();
    assert!(refuse(&bundle, &["state", "ID"]).contains("does not exist"));
    assert_eq!(
        std::fs::read_to_string(bundle.path().join("out")).unwrap(),
        "started\n"
    );
}

#[test]
fn a_create_looks_for_its_command() {
    need_containers!();
    let mut bundle = Bundle::new(&["nothing"]);
    // What its user may not see is not there.
    for (user, command) in [(0, "nothing"), (1000, "hidden")] {
        bundle.config["process"]["args"] = json!([command]);
        bundle.config["process"]["user"] = json!({"uid": user, "gid": user});
        bundle.config["process"]["env"] = json!(["PATH=/bin:/sbin"]);
        std::fs::create_dir_all(bundle.in_root("sbin")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(bundle.in_root("sbin"), mode).unwrap();
        std::fs::copy(bundle.in_root("bin/busybox"), bundle.in_root("sbin/hidden")).unwrap();
        bundle.write();
        let said = refuse(&bundle, &["create", "ID"]);
        let message = format!("exec: \\\"{command}\\\": executable file not found in $PATH");
        assert!(said.contains(&message), "{said}");
        bundle.assert_nothing_left();
    }
}

#[test]
fn a_start_that_fails_says_why() {
    need_containers!();
    let bundle = Bundle::new(&["broken"]);
    support::write_script(&bundle.in_root("bin/broken"), "neither\n");
    bundle.write();
    detached(&bundle, &["create", "ID"]);
    let said = refuse(&bundle, &["start", "ID"]);
    assert!(
        said.contains("exec /bin/broken: exec format error"),
        "{said}"
    );
    succeed(&bundle, &["delete", "--force", "ID"]);
    bundle.assert_nothing_left();
}

#[test]
fn created_and_running_containers_are_deleted_by_force() {
    need_containers!();
    for start in [false, true] {
        let bundle = Bundle::new(&["sleep", "1000"]);
        bundle.write();
        detached(&bundle, &["create", "ID"]);
        if start {
            detached(&bundle, &["start", "ID"]);
        }
        succeed(&bundle, &["delete", "-f", "ID"]);
        bundle.assert_nothing_left();
        succeed(&bundle, &["delete", "-f", "ID"]);
    }
}

#[test]
fn commands_are_executed_in_a_running_container() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    detached(&bundle, &["run", "-d", "ID"]);
    let out = succeed(
        &bundle,
        &[
            "exec",
            "-e",
            "A=b",
            "--cwd",
            "/etc",
            "-u",
            "12:34",
            "ID",
            "sh",
            "-c",
            "echo $A; pwd; id",
        ],
    );
    assert_eq!(out, "b\n/etc\nuid=12 gid=34\n");
    let status = bundle.output(&["exec", "ID", "sh", "-c", "exit 5"]).status;
    assert_eq!(status.code(), Some(5));
    let failed = bundle.output(&["exec", "ID", "nothing"]);
    assert_eq!(failed.status.code(), Some(255));
    assert!(text(&failed.stderr).contains("executable file not found in $PATH"));
    let process = json!({
        "args": ["id", "-u"], "cwd": "/", "user": {"uid": 3, "gid": 0}, "env": ["PATH=/bin"],
    });
    let path = bundle.path().join("process.json");
    sys::file::replace_unsynced(&path, process.to_string().as_bytes(), 0o644).unwrap();
    assert_eq!(
        succeed(&bundle, &["exec", "-p", "process.json", "ID"]),
        "3\n"
    );
    succeed(&bundle, &["delete", "-f", "ID"]);
    bundle.assert_nothing_left();
}

#[test]
fn the_terminal_goes_to_the_console_socket() {
    need_containers!();
    let mut bundle = Bundle::script("tty; sleep 1000");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.write();
    assert!(refuse(&bundle, &["create", "ID"]).contains("--console-socket"));
    let path = bundle.path().join("console.sock");
    let listener = sys::socket::listen(&path, sys::socket::Kind::Stream).unwrap();
    // Its streams are the terminal's, not the maker's: the output ends although it waits.
    let words = ["create", "--console-socket", "console.sock", "ID"];
    assert_eq!(succeed(&bundle, &words), "");
    let connection = sys::socket::accept(&listener, false).unwrap().unwrap();
    let mut message = sys::socket::receive(&connection).unwrap().unwrap();
    let master = message.fds.pop().unwrap();
    detached(&bundle, &["start", "ID"]);
    let mut said = Vec::with_capacity(64);
    while !said.contains(&b'\n') {
        sys::event::try_read(&master, &mut said).unwrap();
    }
    assert_eq!(text(&said).trim(), "/dev/pts/0");
    succeed(&bundle, &["delete", "-f", "ID"]);
}

#[test]
fn signals_are_passed_on() {
    need_containers!();
    let bundle = Bundle::script("trap 'exit 33' TERM; echo ready; while :; do sleep 0.1; done");
    bundle.write();
    let mut child = bundle
        .command(&["run", "ID"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
    let pidfd = sys::pidfd::open(i32::try_from(child.id()).unwrap()).unwrap();
    sys::pidfd::send_signal(&pidfd, types::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(33));
    bundle.assert_nothing_left();
}

#[test]
fn errors_go_to_the_log_too() {
    need_containers!();
    let bundle = Bundle::new(&["nothing"]);
    bundle.write();
    refuse(
        &bundle,
        &["--log", "log.json", "--log-format", "json", "run", "ID"],
    );
    let log = std::fs::read_to_string(bundle.path().join("log.json")).unwrap();
    let line: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(
        line["msg"],
        "exec: \"nothing\": executable file not found in $PATH"
    );
}

#[test]
fn bad_input_is_refused_in_a_sentence() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    bundle.write();
    assert!(refuse(&bundle, &["run", "../x"]).contains("invalid container ID format"));
    assert!(refuse(&bundle, &["state", "ID"]).contains("does not exist"));
    bundle.config["process"]["args"] = json!([]);
    assert!(bundle.fail().contains("process.args: must name a command"));
    bundle.config["process"]["args"] = json!(["true"]);
    bundle.config["process"]["cwd"] = json!("relative");
    assert!(
        bundle
            .fail()
            .contains("process.cwd: must be an absolute path")
    );
    bundle.config["process"]["cwd"] = json!("/");
    bundle.config["root"]["path"] = json!("nowhere");
    let said = bundle.fail();
    assert!(
        said.contains("nowhere as the root: open_tree: no such file or directory"),
        "{said}"
    );
    bundle.config["root"]["path"] = json!("rootfs");
    bundle.config["linux"]["intelRdt"] = json!({});
    assert!(
        bundle
            .fail()
            .contains("unsupported configuration: linux.intelRdt")
    );
}

#[test]
fn spec_writes_a_configuration_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brig-runtime"));
        command
            .arg("spec")
            .current_dir(dir.path())
            .output()
            .unwrap()
    };
    assert!(run().status.success());
    assert!(dir.path().join("config.json").exists());
    assert!(text(&run().stderr).contains("config.json exists. Remove it first"));
}

#[test]
fn features_are_json() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brig-runtime"));
    let output = command.arg("features").output().unwrap();
    let features: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
}
