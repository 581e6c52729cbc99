//! Interactive terminals: raw mode, size, detaching, signals.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use testkit::{Brig, Terminal, clients, kill, root, until};

/// Typed, ends when the terminal has the size of the client's: Docker's clients tell it only after the
/// start.
const SIZED: &str = "until [ \"$(stty size)\" = '24 80' ]; do sleep 0.05; done; echo si$((0))zed\r";

#[test]
fn a_shell_on_a_terminal_answers_line_by_line() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let mut shell =
            Terminal::start(&mut brig.command(client, &["run", "--rm", "-it", "bb", "sh"]));
        shell.expect("/ # ");
        shell.type_in("tty; echo $TERM\r");
        shell.expect("/dev/pts/0");
        shell.expect("xterm");
        shell.type_in(SIZED);
        shell.expect("si0zed");
        // Ctrl-C reaches the command inside and not the client. One process: a shell that says something
        // and then forks may be interrupted before it does.
        shell.type_in("sh -c 'echo g$((0))ing; exec sleep 1000'\r");
        shell.expect("g0ing");
        shell.type_in("\u{3}");
        shell.expect("^C");
        shell.type_in("echo still-$((40 + 2))\r");
        shell.expect("still-42");
        shell.type_in("exit 7\r");
        assert_eq!(shell.wait(), 7, "{client:?}: {:?}", shell.screen());
    }
    brig.finish();
}

#[test]
fn the_size_of_the_window_is_followed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let script =
            "trap 'echo size:$(stty size)' WINCH; echo ready; while :; do sleep 0.05; done";
        let run = [
            "run", "-it", "--rm", "--name", "w1", "bb", "sh", "-c", script,
        ];
        let mut window = Terminal::start(&mut brig.command(client, &run));
        window.expect("ready");
        // Docker's clients begin to watch the window some time after the start: its corner is dragged
        // again where that was too early.
        let followed = (101..113).any(|columns| {
            window.resize(33, columns);
            window.shows_within(Duration::from_secs(5), &format!("size:33 {columns}"))
        });
        assert!(followed, "{client:?}: {:?}", window.screen());
        brig.brig(&["kill", "w1"]).ok();
        assert_eq!(window.wait(), 137);
    }
    brig.finish();
}

#[test]
fn keys_detach_and_attach_comes_back() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let mut shell =
            Terminal::start(&mut brig.command(client, &["run", "-it", "--name", "d1", "bb", "sh"]));
        shell.expect("/ # ");
        shell.type_in("kept=yes\r");
        shell.type_in("\u{10}\u{11}");
        shell.wait();
        brig.wait_for_state("d1", "running");
        let keys = ["attach", "--detach-keys", "ctrl-x,y", "d1"];
        let mut again = Terminal::start(&mut brig.command(client, &keys));
        again.type_in("echo was-$kept\r");
        again.expect("was-yes");
        again.type_in("\u{18}y");
        again.wait();
        brig.wait_for_state("d1", "running");
        let mut session = Terminal::start(&mut brig.command(client, &["exec", "-it", "d1", "sh"]));
        session.expect("/ # ");
        session.type_in(SIZED);
        session.expect("si0zed");
        session.type_in("exit 4\r");
        assert_eq!(session.wait(), 4);
        brig.with(client, &["rm", "-f", "d1"]).ok();
    }
    brig.finish();
}

#[test]
fn a_terminal_is_refused_when_there_is_none() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let none = brig.with(client, &["run", "--rm", "-it", "bb", "true"]);
        assert!(none.code != 0, "{none}");
        assert!(none.stderr.to_uppercase().contains("TTY"), "{none}");
    }
    brig.finish();
}

#[test]
fn signals_of_the_client_reach_the_command() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        let mut command = brig.command(client, &["run", "--rm", "bb", "sh", "-c", script]);
        let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        kill("TERM", running.id());
        assert_eq!(lines.next().unwrap().unwrap(), "caught");
        assert_eq!(running.wait().unwrap().code(), Some(5), "{client:?}");
    }
    until("no container left", || {
        brig.brig(&["ps", "-aq"]).ok().is_empty().then_some(())
    });
    brig.finish();
}
