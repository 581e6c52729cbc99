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

/// Numbers that look random and can be made twice.
#[derive(Debug)]
struct Noise(u64);

impl Noise {
    fn fill(&mut self, block: &mut [u8]) {
        for chunk in block.chunks_exact_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes());
        }
    }
}

const BLOCK: usize = 1 << 20;

/// Sends blocks through `cat` in a container and compares what comes back.
fn there_and_back(brig: &Brig, client: Client, log: &str, blocks: usize) {
    let mut command = brig.command(
        client,
        &[
            "run",
            "--rm",
            "-i",
            "--log-driver",
            log,
            "--network",
            "none",
            "bb",
            "cat",
        ],
    );
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        let (mut noise, mut block) = (Noise(1), vec![0; BLOCK]);
        for _ in 0..blocks {
            noise.fill(&mut block);
            input.write_all(&block).unwrap();
        }
    });
    let mut output = child.stdout.take().unwrap();
    let (mut noise, mut expected, mut block) = (Noise(1), vec![0; BLOCK], vec![0; BLOCK]);
    for number in 0..blocks {
        noise.fill(&mut expected);
        output
            .read_exact(&mut block)
            .unwrap_or_else(|e| panic!("{client:?} block {number}: {e}"));
        assert!(
            block == expected,
            "{client:?}: block {number} changed on the way"
        );
    }
    assert_eq!(
        output.read(&mut block).unwrap(),
        0,
        "more came back than went in"
    );
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_gigabyte_goes_in_and_comes_out_unchanged() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // Emulation is twenty times slower.
    let emulated = std::env::var_os("BRIG_IN_VM").is_some();
    for client in clients() {
        // The log of a gigabyte is several on the disk.
        there_and_back(&brig, client, "json-file", if emulated { 2 } else { 16 });
        let whole = client != Client::Docker20 && !emulated;
        there_and_back(&brig, client, "none", if whole { 1024 } else { 32 });
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
