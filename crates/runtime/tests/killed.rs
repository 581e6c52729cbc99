//! kill -9 in the middle of every verb: whatever is left then, `delete --force` removes.
//!
//! strace(1) counts the runtime's system calls and kills it at one of them. By default at some twenty-five
//! of each verb; with `BRIG_SOAK` in the environment at every one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Bundle, processes, text};

/// At how many of its system calls each verb is killed.
const POINTS: usize = 25;

/// Why nothing can be tested here, if so.
fn cannot_run() -> bool {
    let strace = Command::new("strace").arg("-V").output();
    let reason = match strace {
        Ok(_) => support::cannot_run(),
        Err(_) => Some("SKIP: no strace (Debian: strace)"),
    };
    if let Some(reason) = reason {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{reason}");
    }
    reason.is_some()
}

/// A bundle whose command is known by its words wherever it runs.
fn bundle() -> Bundle {
    let mut bundle = Bundle::new(&[]);
    let name = format!("first-of-{}", bundle.id);
    bundle.config["process"]["args"] = json!(["sh", "-c", "sleep 1000; true", name]);
    bundle.config["linux"]["resources"]["pids"] = json!({"limit": 100});
    bundle.write();
    bundle
}

/// The same, with mounts that are made where the caller is.
fn sharing_bundle() -> Bundle {
    let mut bundle = bundle();
    let all = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|namespace| namespace["type"] != "mount");
    bundle.write();
    bundle
}

/// Runs a verb under strace with these flags.
fn traced(bundle: &Bundle, flags: &[&str], words: &[&str]) -> std::process::ExitStatus {
    let usual = bundle.command(words);
    Command::new("strace")
        .args(["-qq", "-o", "trace"])
        .args(flags)
        .arg(usual.get_program())
        .args(usual.get_args())
        .current_dir(bundle.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// The system calls a verb makes from its beginning to its end: the name of each, and how often it
/// was made by then, which is how strace counts.
fn calls(bundle: &Bundle, words: &[&str]) -> Vec<(String, usize)> {
    let status = traced(bundle, &[], words);
    assert!(status.success(), "{words:?}: {status:?}");
    let trace = std::fs::read_to_string(bundle.path().join("trace")).unwrap();
    let mut made = BTreeMap::new();
    let names = trace.lines().filter_map(|line| line.split_once('('));
    let numbered = names.map(|(name, _)| {
        let count = made.entry(name.to_owned()).or_insert(0);
        *count += 1;
        (name.to_owned(), *count)
    });
    numbered.filter(|(name, _)| name != "exit_group").collect()
}

fn killed_at(bundle: &Bundle, (name, number): &(String, usize), words: &[&str]) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let inject = format!("inject={name}:signal=KILL:when={number}");
    traced(bundle, &["-e", &inject], words).signal() == Some(9)
}

fn points(calls: &[(String, usize)]) -> impl Iterator<Item = &(String, usize)> {
    let all = std::env::var_os("BRIG_SOAK").is_some();
    let step = if all { 1 } else { calls.len().div_ceil(POINTS) };
    calls.iter().step_by(step)
}

fn plain(bundle: &Bundle, words: &[&str]) {
    let file = tempfile::tempfile().unwrap();
    let mut command = bundle.command(words);
    let status = command.stdout(Stdio::null()).stderr(file).status();
    assert!(status.unwrap().success(), "{words:?}");
}

/// By force, and then there is no process, cgroup, state or mount.
fn assert_removed(bundle: &Bundle, when: &str) {
    let output = bundle.output(&["delete", "--force", "ID"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{when}: {said}");
    // A copy whose maker died ends by itself, and nobody waits for that.
    let patience = Instant::now() + Duration::from_secs(60);
    while !processes(bundle).is_empty() {
        let left = processes(bundle);
        assert!(Instant::now() < patience, "{when}: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let left = bundle.cgroups();
    assert!(left.is_empty(), "{when}: {left:?}");
    assert!(!bundle.state().join(&bundle.id).exists(), "{when}");
    assert_eq!(mounts(bundle), 0, "{when}");
}

/// How many mounts of the bundle are seen here.
fn mounts(bundle: &Bundle) -> usize {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let path = bundle.path().to_str().unwrap();
    table.lines().filter(|line| line.contains(path)).count()
}

/// Kills a verb at its calls, each time after `before`.
fn kill_at_every_step(bundle: &Bundle, words: &[&str], before: &[&[&str]]) {
    let prepare = || before.iter().for_each(|words| plain(bundle, words));
    prepare();
    let calls = calls(bundle, words);
    assert_removed(bundle, "after the whole");
    let (mut tried, mut killed) = (0, 0);
    for call in points(&calls) {
        prepare();
        tried += 1;
        killed += usize::from(killed_at(bundle, call, words));
        let (name, number) = call;
        assert_removed(bundle, &format!("{} at {name} {number}", words[0]));
    }
    // One or the other may not have come as far as it did the first time: who waits for something by
    // asking again and again asks as often as the machine is slow.
    assert!(killed * 4 > tried * 3, "{killed} of {tried}");
}

#[test]
fn create_is_killed() {
    if !cannot_run() {
        kill_at_every_step(&bundle(), &["create", "ID"], &[]);
    }
}

#[test]
fn create_with_mounts_at_the_caller_is_killed() {
    if !cannot_run() {
        kill_at_every_step(&sharing_bundle(), &["create", "ID"], &[]);
    }
}

/// When all its mounts are made.
#[test]
fn mounts_at_the_caller_do_not_outlive_their_killed_maker() {
    use std::os::unix::process::ExitStatusExt;
    if cannot_run() {
        return;
    }
    let mut bundle = sharing_bundle();
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]});
    bundle.config["hooks"] = json!({"createRuntime": [hook]});
    bundle.write();
    let mut create = bundle.command(&["create", "ID"]);
    let status = create.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().signal(), Some(9));
    assert!(mounts(&bundle) > 3);
    assert_removed(&bundle, "at a hook");
}

#[test]
fn start_is_killed() {
    if !cannot_run() {
        kill_at_every_step(&bundle(), &["start", "ID"], &[&["create", "ID"]]);
    }
}

#[test]
fn run_is_killed() {
    if !cannot_run() {
        kill_at_every_step(&bundle(), &["run", "-d", "ID"], &[]);
    }
}

#[test]
fn exec_is_killed() {
    if !cannot_run() {
        // Its last word is for the eyes of `processes`.
        let words = ["exec", "-d", "ID", "sh", "-c", "sleep 1000; true", "ID"];
        kill_at_every_step(&bundle(), &words, &[&["run", "-d", "ID"]]);
    }
}

#[test]
fn delete_of_mounts_at_the_caller_is_killed() {
    if !cannot_run() {
        let before: [&[&str]; 1] = [&["run", "-d", "ID"]];
        kill_at_every_step(&sharing_bundle(), &["delete", "--force", "ID"], &before);
    }
}

#[test]
fn delete_is_killed() {
    if !cannot_run() {
        kill_at_every_step(
            &bundle(),
            &["delete", "--force", "ID"],
            &[&["run", "-d", "ID"]],
        );
    }
}
