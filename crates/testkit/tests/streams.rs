//! Streams through a client: large, intact in both directions, closed when they end.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

use testkit::{Brig, Client, clients, root};

/// Bytes that look random, made once: a block begins somewhere in them.
#[derive(Debug)]
struct Noise(Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every byte there is.
    Binary,
    /// Lines, some of whose characters JSON has to escape.
    Text,
}

const BLOCK: usize = 1 << 20;

impl Noise {
    fn new(kind: Kind) -> Self {
        let mut state = 1_u64;
        let bytes = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let mut bytes: Vec<u8> = bytes.flatten().take(2 * BLOCK).collect();
        if kind == Kind::Text {
            // From '0' to 'o', a backslash among them.
            bytes.iter_mut().for_each(|b| *b = (*b & 0x3f) + b'0');
            bytes.iter_mut().step_by(120).for_each(|b| *b = b'\n');
        }
        Self(bytes)
    }

    fn block(&self, number: usize) -> &[u8] {
        &self.0[number * 8191 % BLOCK..][..BLOCK]
    }
}

/// Sends blocks through `cat` in a container and compares what comes back.
fn there_and_back(brig: &Brig, client: Client, words: &[&str], kind: Kind, blocks: usize) {
    let words = [&["run", "-i", "--network", "none"], words, &["bb", "cat"]].concat();
    let mut child = brig
        .command(client, &words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        let noise = Noise::new(kind);
        for number in 0..blocks {
            input.write_all(noise.block(number)).unwrap();
        }
    });
    compare(child.stdout.take().unwrap(), kind, blocks);
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
}

/// Reads blocks to the end and compares them with what they were made as.
fn compare(mut output: impl Read, kind: Kind, blocks: usize) {
    let (noise, mut block) = (Noise::new(kind), vec![0; BLOCK]);
    for number in 0..blocks {
        output
            .read_exact(&mut block)
            .unwrap_or_else(|e| panic!("block {number}: {e}"));
        assert!(
            block == noise.block(number),
            "block {number} changed on the way"
        );
    }
    let more = output.read(&mut block).unwrap();
    assert_eq!(more, 0, "more came back than went in");
}

/// Emulation is twenty times slower.
fn blocks(many: usize) -> usize {
    match std::env::var_os("BRIG_IN_VM") {
        Some(_) => 2,
        None => many,
    }
}

#[test]
fn a_gigabyte_goes_in_and_comes_out_unchanged() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let many = if client == Client::Docker20 { 32 } else { 1024 };
        there_and_back(&brig, client, &["--rm"], Kind::Text, blocks(many));
    }
    brig.finish();
}

#[test]
fn random_bytes_go_in_and_come_out_unchanged() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        // The log has six bytes for most of those that are no text.
        there_and_back(&brig, client, &["--rm"], Kind::Binary, blocks(32));
        let (words, many) = (["--rm", "--log-driver", "none"], blocks(128));
        there_and_back(&brig, client, &words, Kind::Binary, many);
    }
    brig.finish();
}

#[test]
fn the_log_has_all_that_went_out() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let blocks = blocks(16);
    there_and_back(
        &brig,
        Client::Brig,
        &["--name", "whole"],
        Kind::Text,
        blocks,
    );
    for client in clients() {
        let mut command = brig.command(client, &["logs", "whole"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        compare(child.stdout.take().unwrap(), Kind::Text, blocks);
        assert!(child.wait().unwrap().success());
    }
    brig.finish();
}

#[test]
fn standard_input_ends_when_the_clients_ends() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let counted = brig.with_input(client, &["run", "--rm", "-i", "bb", "wc", "-c"], b"four");
        assert_eq!(counted.ok(), "4", "{client:?}");
        let closed = brig.with_input(client, &["run", "--rm", "bb", "wc", "-c"], b"not passed on");
        assert_eq!(closed.ok(), "0", "{client:?}");
        // A command that reads nothing ends all the same.
        let deaf = brig.with_input(
            client,
            &["run", "--rm", "-i", "bb", "true"],
            &vec![0; 1 << 20],
        );
        deaf.ok();
    }
    brig.finish();
}

#[test]
fn a_slow_reader_loses_nothing() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let mut command = brig.command(client, &["run", "--rm", "bb", "seq", "1", "300000"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let (mut all, mut block) = (Vec::new(), [0; 1000]);
        while let Ok(n @ 1..) = output.read(&mut block) {
            all.extend_from_slice(&block[..n]);
            if all.len() < 100_000 {
                thread::yield_now();
            }
        }
        assert!(child.wait().unwrap().success());
        let text = String::from_utf8(all).unwrap();
        assert!(
            text.lines()
                .map(|l| l.parse::<u32>().unwrap())
                .eq(1..=300_000),
            "{client:?}"
        );
    }
    brig.finish();
}
