//! Logs: what was written, by whom and when; following; tails.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use testkit::{Brig, clients, root, until};

#[test]
fn both_streams_come_back_where_they_were_written() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&[
        "run",
        "--name",
        "l1",
        "bb",
        "sh",
        "-c",
        "echo one; echo two >&2; printf three",
    ])
    .ok();
    for client in clients() {
        let shown = brig.with(client, &["logs", "l1"]);
        assert_eq!(
            (shown.stdout.as_str(), shown.stderr.as_str()),
            ("one\nthree", "two\n"),
            "{client:?}"
        );
    }
    brig.finish();
}

#[test]
fn tails_and_times() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let count = "i=0; while [ $i -lt 100 ]; do echo line$i; i=$((i+1)); done; sleep 1.2; echo last";
    brig.brig(&["run", "--name", "l1", "bb", "sh", "-c", count])
        .ok();
    for client in clients() {
        let logs = |flags: &[&str]| {
            let shown = brig.with(client, &[&["logs"], flags, &["l1"]].concat());
            shown
                .lines()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(logs(&[]).len(), 101);
        assert_eq!(logs(&["--tail", "3"]), ["line98", "line99", "last"]);
        assert_eq!(logs(&["-n", "1"]), ["last"]);
        assert_eq!(logs(&["--tail", "0"]).len(), 0);
        assert_eq!(logs(&["--tail", "all"]).len(), 101);
        let stamped = logs(&["-t"]);
        let (time, text) = stamped[100].split_once(' ').unwrap();
        assert_eq!(text, "last");
        assert!(
            time.ends_with('Z') && time.contains('T') && time.len() >= 30,
            "{time}"
        );
        // From that moment on there is only the last line; before it, all the others.
        assert_eq!(logs(&["--since", time]), ["last"], "{time}");
        let (earlier, _) = stamped[99].split_once(' ').unwrap();
        assert_eq!(logs(&["--until", earlier]).len(), 100);
        assert_eq!(logs(&["--since", "1h"]).len(), 101);
        assert_eq!(logs(&["--since", "2100-01-01T00:00:00"]).len(), 0);
    }
    brig.finish();
}

#[test]
fn following_shows_lines_as_they_come_and_ends_with_the_container() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let script = "echo early; while ! [ -e /go ]; do sleep 0.05; done; echo late";
        brig.with(
            client,
            &["run", "-d", "--name", "f1", "bb", "sh", "-c", script],
        )
        .ok();
        let mut follow = brig.command(client, &["logs", "-f", "f1"]);
        let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "early");
        brig.with(client, &["exec", "f1", "touch", "/go"]).ok();
        assert_eq!(lines.next().unwrap().unwrap(), "late");
        assert!(lines.next().is_none());
        assert!(follow.wait().unwrap().success());
        brig.with(client, &["rm", "f1"]).ok();
    }
    brig.finish();
}

#[test]
fn no_byte_is_lost_or_changed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // Long lines, bytes that are no text, no newline at the end.
    let script = "head -c 100000 /dev/zero | tr '\\0' 'x'; echo; printf '\\001\\177\"\\\\quoted\\n'; seq 1 5000; printf end";
    brig.brig(&["run", "--name", "b1", "bb", "sh", "-c", script])
        .ok();
    for client in clients() {
        let shown = brig.with(client, &["logs", "b1"]).stdout;
        let mut lines = shown.lines();
        assert_eq!(lines.next().unwrap().len(), 100_000, "{client:?}");
        assert_eq!(lines.next().unwrap(), "\u{1}\u{7f}\"\\quoted");
        let numbers: Vec<_> = lines
            .by_ref()
            .take(5000)
            .map(|l| l.parse::<u32>().unwrap())
            .collect();
        assert!(numbers.into_iter().eq(1..=5000));
        assert_eq!(lines.next(), Some("end"));
    }
    brig.finish();
}

#[test]
fn a_container_of_nobody_has_no_log() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let none = brig.with(client, &["logs", "nobody"]);
        assert!(
            none.fails(1)
                .to_lowercase()
                .contains("no such container: nobody"),
            "{none}"
        );
        brig.with(client, &["create", "--name", "idle", "bb", "true"])
            .ok();
        let empty = until("an answer", || Some(brig.with(client, &["logs", "idle"])));
        assert_eq!(empty.ok(), "");
        brig.with(client, &["rm", "idle"]).ok();
    }
    brig.finish();
}

#[test]
fn several_logs_are_one_in_the_order_of_their_lines() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let run = |name: &str, text: &str| {
        brig.brig(&["run", "--name", name, "bb", "sh", "-c", text])
            .ok();
    };
    run("early", "echo one; echo two");
    run("late", "echo three; echo four");
    brig.brig(&["start", "-a", "early"]).ok();
    let shown = brig.brig(&["logs", "late", "early"]);
    let expected = [
        "early | one",
        "early | two",
        "late  | three",
        "late  | four",
        "early | one",
        "early | two",
    ];
    assert_eq!(shown.lines(), expected);
    let some = brig.brig(&["logs", "--grep", "^t", "late", "early"]);
    let expected = ["early | two", "late  | three", "early | two"];
    assert_eq!(some.lines(), expected);
    assert_eq!(brig.brig(&["logs", "--grep", "e$", "late"]).ok(), "three");
    // What follows is shown once, and all of it.
    let script = "echo one; read x; echo two";
    brig.brig(&["run", "-di", "--name", "slow", "bb", "sh", "-c", script])
        .ok();
    until("the first line", || {
        (brig.brig(&["logs", "slow"]).ok() == "one").then_some(())
    });
    let mut command = brig.command(testkit::Client::Brig, &["logs", "-f", "slow", "late"]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(|line| line.unwrap());
    assert_eq!(next().unwrap(), "late | three");
    assert_eq!(next().unwrap(), "late | four");
    assert_eq!(next().unwrap(), "slow | one");
    brig.with_input(testkit::Client::Brig, &["attach", "slow"], b"\n");
    assert_eq!(next().unwrap(), "slow | two");
    assert_eq!(next(), None);
    assert!(following.wait().unwrap().success());
    brig.finish();
}
