//! Clients: what they get, what they send, and what happens when they do not keep up.

use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use shim::AttachOptions;
use shim::log::Stream;

use crate::guest::{
    ALL, Guest, OUTPUT, STDIN, Setup, can_run, read_all, read_until, send_all, unframe,
};

#[test]
fn a_client_attached_before_the_start_misses_nothing() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("echo out; echo err >&2").create();
    let mut framed = guest.attach(OUTPUT, true);
    let mut raw = guest.attach(
        shim::Streams {
            stderr: false,
            ..OUTPUT
        },
        false,
    );
    guest.start();
    assert_eq!(
        unframe(&read_all(&mut framed)),
        ("out\n".into(), "err\n".into())
    );
    assert_eq!(read_all(&mut raw), b"out\n");
    guest.wait();
}

#[test]
fn input_of_a_client_ends_with_its_half_of_the_connection() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["cat"]).stdin().create();
    let options = AttachOptions {
        streams: ALL,
        framed: true,
        early: b"early, ".to_vec(),
        ..AttachOptions::default()
    };
    let mut client = guest.attach_with(options);
    guest.start();
    send_all(&client, b"and late");
    assert_eq!(unframe(&read_all(&mut client)).0, "early, and late");
    assert_eq!(guest.wait().code, 0);
}

#[test]
fn every_client_feeds_standard_input_that_stays_open() {
    if !can_run() {
        return;
    }
    let mut setup = Setup::shell("read a; read b; echo $a $b");
    setup.launch.open_stdin = true;
    let guest = setup.start();
    send_all(&guest.attach(STDIN, false), b"one\n");
    let mut output = guest.attach(OUTPUT, false);
    send_all(&guest.attach(STDIN, false), b"two\n");
    assert_eq!(read_all(&mut output), b"one two\n");
    guest.wait();
}

#[test]
fn without_open_input_there_is_none() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["cat"]).create();
    let mut client = guest.attach(ALL, false);
    client.write_all(b"nobody reads this").unwrap();
    guest.start();
    assert_eq!(guest.wait().code, 0);
    assert_eq!(read_all(&mut client), b"");
}

#[test]
fn a_hundred_megabytes_pass_both_ways_intact() {
    if !can_run() {
        return;
    }
    const SIZE: usize = 100 << 20;
    let mut setup = Setup::new(&["cat"]).stdin();
    setup.launch.log = None;
    let guest = setup.start();
    let mut client = guest.attach(ALL, false);
    let sender = client.try_clone().unwrap();
    let sent = std::thread::spawn(move || send_noise(sender, SIZE));
    let (length, received) = checksum(&mut client);
    assert_eq!((length, received), (SIZE, sent.join().unwrap()));
    assert_eq!(guest.wait().code, 0);
}

/// Bytes without a pattern that a shift or a swap of blocks would keep.
fn send_noise(mut client: UnixStream, size: usize) -> u64 {
    let (mut hasher, mut state) = (DefaultHasher::new(), 1_u64);
    let mut block = vec![0; 1 << 20];
    for _ in 0..size / block.len() {
        for word in block.chunks_exact_mut(8) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            word.copy_from_slice(&state.to_le_bytes());
        }
        hasher.write(&block);
        client.write_all(&block).unwrap();
    }
    client.shutdown(std::net::Shutdown::Write).unwrap();
    hasher.finish()
}

/// Blocks of one size, as what a hasher makes of bytes depends on how they are cut.
fn checksum(client: &mut UnixStream) -> (usize, u64) {
    let (mut hasher, mut length) = (DefaultHasher::new(), 0);
    let mut block = Vec::new();
    loop {
        block.clear();
        let n = Read::by_ref(client)
            .take(1 << 20)
            .read_to_end(&mut block)
            .unwrap();
        if n == 0 {
            return (length, hasher.finish());
        }
        hasher.write(&block);
        length += n;
    }
}

/// A client that reads nothing for a while: the container waits, and then nothing is missing.
#[test]
fn a_slow_client_holds_the_container_up_and_loses_nothing() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("echo begin; seq 1 200000; echo end").create();
    let mut slow = guest.attach(OUTPUT, true);
    guest.start();
    let watch = guest.shim.watch().unwrap();
    // Far more than pipes and sockets hold: it cannot have ended while nobody reads.
    wait_until_stuck(&guest);
    assert!(watch.try_next().unwrap().is_none());
    let numbers: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(unframe(&read_all(&mut slow)).0 == format!("begin\n{numbers}end\n"));
    assert_eq!(guest.wait().code, 0);
    assert!(guest.logged(Stream::Stdout) == format!("begin\n{numbers}end\n"));
}

/// Until the log stops growing: two looks with many calls between them that see the same.
fn wait_until_stuck(guest: &Guest) {
    let length = || {
        std::fs::metadata(guest.launch.log.as_ref().unwrap())
            .unwrap()
            .len()
    };
    let mut before = u64::MAX;
    while length() != before || before == 0 {
        before = length();
        for _ in 0..2000 {
            guest.shim.call(&shim::Call::State, &[]).unwrap();
        }
    }
}

/// A client that never reads cannot keep the end of the container from being known.
#[test]
fn a_client_that_never_reads_does_not_delay_the_end() {
    if !can_run() {
        return;
    }
    let guest =
        // The first piece in one write, so that all of it has come when its first byte has.
        Setup::shell(
            "dd if=/dev/zero bs=30000 count=1 2>/dev/null; head -c 400000 /dev/zero & sleep 1000",
        )
        .create();
    let mut stuck = guest.attach(OUTPUT, false);
    guest.start();
    let mut first = [0; 1];
    stuck.read_exact(&mut first).unwrap();
    guest
        .shim
        .call(
            &shim::Call::Kill {
                signal: types::Signal::KILL,
            },
            &[],
        )
        .unwrap();
    assert_eq!(guest.wait().code, 137);
    // What it had not read is still there for it, to the end.
    assert!(read_all(&mut stuck).len() >= 29_999);
}

#[test]
fn a_client_that_goes_is_dropped_and_the_container_goes_on() {
    if !can_run() {
        return;
    }
    let mut setup = Setup::shell("while read line; do echo got $line; done");
    setup.launch.open_stdin = true;
    let guest = setup.start();
    let mut gone = guest.attach(ALL, false);
    gone.write_all(b"one\n").unwrap();
    read_until(&mut gone, "got one\n");
    drop(gone);
    let mut stays = guest.attach(ALL, false);
    stays.write_all(b"two\n").unwrap();
    assert_eq!(read_until(&mut stays, "\n"), "got two\n");
}
