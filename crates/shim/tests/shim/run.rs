//! A container runs, ends and is recorded.

use shim::log::Stream;
use shim::{Call, Notice};
use types::{ErrorKind, Signal};

use crate::guest::{Setup, can_run, next_notice};

#[test]
fn output_exit_code_and_time_are_kept() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("echo out; echo err >&2; printf end; exit 7").start();
    let record = guest.wait();
    assert_eq!((record.code, record.oom_killed), (7, false));
    assert_eq!(guest.logged(Stream::Stdout), "out\nend");
    assert_eq!(guest.logged(Stream::Stderr), "err\n");
    let times: Vec<_> = guest.lines().iter().map(|line| line.time).collect();
    assert!(
        times.is_sorted() && times[0] > 1_700_000_000_000_000_000,
        "{times:?}"
    );
    assert!(record.finished >= times[0]);
}

#[test]
fn a_signal_is_told_as_a_shell_tells_it() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let watch = guest.shim.watch().unwrap();
    guest
        .shim
        .call(
            &Call::Kill {
                signal: Signal::KILL,
            },
            &[],
        )
        .unwrap();
    let Notice::Exited(record) = next_notice(&watch) else {
        panic!()
    };
    assert_eq!(record.code, 137);
    // The record is on disk before anybody is told.
    assert_eq!(guest.record(), record);
    assert_eq!(guest.wait(), record);
}

#[test]
fn much_output_is_logged_to_the_last_byte() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("seq 1 100000; seq 1 100000 >&2").start();
    assert_eq!(guest.wait().code, 0);
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert!(guest.logged(Stream::Stdout) == expected);
    assert!(guest.logged(Stream::Stderr) == expected);
}

#[test]
fn a_command_that_does_not_exist_is_said_and_leaves_nothing() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["/no/such/command"]).launch();
    let answer = guest
        .shim
        .call(&Call::Create { filter: None }, &[])
        .and_then(|_| guest.shim.call(&Call::Start, &[]));
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    assert!(sys::pidfd::ended_within(guest.shim.pidfd(), crate::guest::LONG).unwrap());
    assert!(!guest.launch.exit_record.exists());
}

#[test]
fn calls_out_of_turn_are_conflicts() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).launch();
    let kind = |call| guest.shim.call(&call, &[]).unwrap_err().kind();
    assert_eq!(kind(Call::Start), ErrorKind::Conflict);
    assert_eq!(
        kind(Call::Kill {
            signal: Signal::TERM
        }),
        ErrorKind::Conflict
    );
    guest
        .shim
        .call(&Call::Create { filter: None }, &[])
        .unwrap();
    assert_eq!(kind(Call::Create { filter: None }), ErrorKind::Conflict);
    guest.start();
    assert_eq!(kind(Call::Start), ErrorKind::Conflict);
    assert_eq!(
        kind(Call::Resize {
            exec: None,
            size: [1, 1]
        }),
        ErrorKind::Conflict
    );
    assert_eq!(
        kind(Call::Attach(shim::AttachOptions::default())),
        ErrorKind::Invalid
    );
}

#[test]
fn an_orphan_does_not_keep_the_shim() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("sleep 1000 & echo done").start();
    assert_eq!(guest.wait().code, 0);
    assert_eq!(guest.logged(Stream::Stdout), "done\n");
}
