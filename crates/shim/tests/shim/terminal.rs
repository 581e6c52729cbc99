//! A container with a terminal.

use std::io::Write;

use shim::log::Stream;
use shim::{AttachOptions, Call};

use crate::guest::{ALL, Guest, OUTPUT, Setup, can_run, read_all, read_until, unframe};

fn attach(guest: &Guest) -> std::os::unix::net::UnixStream {
    let detach_keys = b"\x10\x11".to_vec();
    guest.attach_with(AttachOptions {
        streams: ALL,
        detach_keys,
        ..AttachOptions::default()
    })
}

#[test]
fn a_terminal_has_a_size_that_changes() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sh"]).terminal().create();
    let mut client = attach(&guest);
    guest.start();
    client.write_all(b"tty; stty size\n").unwrap();
    let seen = read_until(&mut client, "24 80");
    assert!(seen.contains("/dev/"), "{seen}");
    guest
        .shim
        .call(
            &Call::Resize {
                exec: None,
                size: [50, 132],
            },
            &[],
        )
        .unwrap();
    client.write_all(b"stty size; exit 3\n").unwrap();
    read_until(&mut client, "50 132");
    read_all(&mut client);
    assert_eq!(guest.wait().code, 3);
    assert!(guest.logged(Stream::Stdout).contains("50 132\r\n"));
}

#[test]
fn what_a_terminal_says_is_framed_where_that_is_asked_for() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("echo out; echo err >&2").terminal().create();
    let mut client = guest.attach(OUTPUT, true);
    guest.start();
    let (out, err) = unframe(&read_all(&mut client));
    assert_eq!((out.as_str(), err.as_str()), ("out\r\nerr\r\n", ""));
    guest.wait();
}

#[test]
fn detach_keys_take_the_client_off_and_the_container_goes_on() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sh"]).terminal().start();
    let mut client = attach(&guest);
    client.write_all(b"echo be-$((1 + 1))fore\n").unwrap();
    read_until(&mut client, "be-2fore\r\n");
    client.write_all(b"\x10").unwrap();
    client.write_all(b"\x11").unwrap();
    read_all(&mut client);
    let mut again = attach(&guest);
    again.write_all(b"echo af-$((1 + 1))ter; exit 0\n").unwrap();
    read_until(&mut again, "af-2ter\r\n");
    assert_eq!(guest.wait().code, 0);
}

#[test]
fn the_last_output_of_a_terminal_arrives() {
    if !can_run() {
        return;
    }
    for _ in 0..20 {
        let guest = Setup::shell("seq 1 500").terminal().create();
        let mut client = attach(&guest);
        guest.start();
        let expected: String = (1..=500).map(|n| format!("{n}\r\n")).collect();
        assert_eq!(String::from_utf8(read_all(&mut client)).unwrap(), expected);
        assert_eq!(guest.wait().code, 0);
        assert_eq!(guest.logged(Stream::Stdout), expected);
    }
}

#[test]
fn interrupting_reaches_the_foreground() {
    if !can_run() {
        return;
    }
    let guest =
        Setup::shell("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 1; done")
            .terminal()
            .create();
    let mut client = attach(&guest);
    guest.start();
    read_until(&mut client, "ready");
    client.write_all(b"\x03").unwrap();
    read_until(&mut client, "caught");
    assert_eq!(guest.wait().code, 9);
}
