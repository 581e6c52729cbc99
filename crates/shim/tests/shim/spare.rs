//! Shims that wait for their container.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use shim::Program;
use shim::log::Stream;

use crate::guest::{LONG, Setup, can_run, shim_program};

/// The length of the directories of [`Setup`]: `/tmp/brig-shim-test-` and six more.
const LENGTH: usize = 26;

/// One test at a time can tell whose shim waits.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processes of this program that wait.
fn waiting() -> Vec<i32> {
    let own = std::process::id().to_string();
    let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid = entry.unwrap().file_name().into_string().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        (rest.split_whitespace().nth(1)? == own).then_some(pid)
    });
    let spare = |pid: &String| command_line(pid).starts_with("brig-shim\0spare");
    children
        .filter(spare)
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn command_line(pid: impl std::fmt::Display) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

fn prepared(program: &Program) -> i32 {
    let before = waiting();
    program.prepare(LENGTH).unwrap();
    let deadline = Instant::now() + LONG;
    loop {
        // Its command line is there a moment after it was executed.
        if let Some(new) = waiting().into_iter().find(|pid| !before.contains(pid)) {
            return new;
        }
        assert!(Instant::now() < deadline, "nobody waits");
        std::thread::yield_now();
    }
}

#[test]
fn a_shim_that_waits_keeps_the_next_container() {
    if !can_run() {
        return;
    }
    let _alone = alone();
    let program = shim_program();
    let spare = prepared(&program);
    // One is enough.
    program.prepare(LENGTH).unwrap();

    let script = "busybox readlink /proc/self/ns/net; busybox ifconfig lo | busybox grep -c UP";
    let guest = Setup::new(&["sh", "-c", script]).launch_by(&program);
    assert_eq!(guest.shim.pid(), spare);
    let guest = guest.create();
    let dir = guest.dir.path().to_str().unwrap();
    assert_eq!(dir.len(), LENGTH);
    assert_eq!(command_line(spare), format!("brig-shim\0{dir}\0"));
    guest.start();
    assert_eq!(guest.wait().code, 0);
    let seen = guest.logged(Stream::Stdout);
    let seen: Vec<&str> = seen.lines().collect();
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(seen[0], ours.to_str().unwrap());
    assert_eq!(seen[1..], ["1"]);
}

/// A filter with which these calls fail.
fn refusing(names: &[&str]) -> Value {
    let refused = json!({"names": names, "action": "SCMP_ACT_ERRNO"});
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]})
}

#[test]
fn a_compiled_filter_takes_the_place_of_the_configurations() {
    if !can_run() {
        return;
    }
    let _alone = alone();
    let program = shim_program();
    let directories = refusing(&["mkdir", "mkdirat"]);
    let links = refusing(&["symlink", "symlinkat"]);
    let compiled = Arc::new(serde_json::from_value(directories).unwrap());
    let compiled = program.filters.compiled(&compiled).unwrap();
    for (filter, ended) in [(Some(compiled), "1 0"), (None, "0 1")] {
        prepared(&program);
        let script = "busybox mkdir /a; a=$?; busybox ln -s x /b; echo $a $?";
        let guest = Setup::shell(script).launch_by(&program);
        let path = guest.dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["linux"]["seccomp"] = links.clone();
        std::fs::write(&path, config.to_string()).unwrap();
        let guest = guest.create_with(filter);
        guest.start();
        assert_eq!(guest.wait().code, 0);
        assert_eq!(guest.logged(Stream::Stdout).trim(), ended);
    }
}

#[test]
fn one_that_is_not_needed_ends() {
    if !can_run() {
        return;
    }
    let _alone = alone();
    let program = shim_program();
    let spare = prepared(&program);
    program.dismiss().unwrap();
    assert!(!waiting().contains(&spare));
    program.dismiss().unwrap();
    program.prepare(LENGTH).unwrap();
    assert!(!waiting().contains(&spare));

    let program = shim_program();
    let spare = prepared(&program);
    let pidfd = sys::pidfd::open(spare).unwrap();
    drop(program);
    assert!(sys::pidfd::ended_within(&pidfd, LONG).unwrap());
}

#[test]
fn one_that_has_died_is_not_missed() {
    if !can_run() {
        return;
    }
    let _alone = alone();
    let program = shim_program();
    let spare = prepared(&program);
    let pidfd = sys::pidfd::open(spare).unwrap();
    sys::pidfd::send_signal(&pidfd, types::Signal::KILL).unwrap();
    assert!(sys::pidfd::ended_within(&pidfd, LONG).unwrap());
    let guest = Setup::new(&["true"]).launch_by(&program);
    assert_ne!(guest.shim.pid(), spare);
    let guest = guest.create();
    guest.start();
    assert_eq!(guest.wait().code, 0);
}
