//! What strangers send, changed at random: taken or refused, and the store is whole either way. With
//! `BRIG_FUZZ_SECONDS` each target goes on for so long.

use std::time::{Duration, Instant};

use storage::{Check, Wanted};
use types::Platform;

use crate::pull::{Remote, gzip, host};
use crate::support::{Data, Tar, names};

const SECONDS: &str = "BRIG_FUZZ_SECONDS";
const ROUNDS: usize = 150;
const SEED: &str = "BRIG_FUZZ_SEED";

/// xorshift: a seed that is printed is a round that can be had again.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var(SEED).map_or_else(
            |_| {
                let now = std::time::SystemTime::now();
                now.duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as u64
                    | 1
            },
            |seed| seed.parse().unwrap(),
        );
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (at, other) = (self.below(bytes.len()), self.below(bytes.len()));
        let length = self.below(64).min(bytes.len() - at.max(other));
        match self.below(6) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.below(256) as u8,
            2 => bytes.copy_within(other..other + length, at),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + length)),
            _ => {
                let piece = bytes[other..other + length].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// Runs a target for the time asked for, telling the seed of the round that fails.
fn rounds(mut round: impl FnMut(&mut Random)) {
    let long = std::env::var(SECONDS)
        .ok()
        .map(|s| Duration::from_secs(s.parse().unwrap()));
    let start = Instant::now();
    let mut random = Random::new();
    let mut done = 0;
    while long.map_or(done < ROUNDS, |long| start.elapsed() < long) {
        let seed = random.0;
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(&mut random)));
        assert!(answer.is_ok(), "with {SEED}={seed}");
        done += 1;
        if std::env::var_os(SEED).is_some() {
            return;
        }
    }
}

/// Archives in several dialects, with everything that an entry can be.
fn archives() -> Vec<Vec<u8>> {
    let plain = Tar::new()
        .dir("d")
        .file("d/f", &[7; 3000])
        .symlink("d/l", "../x")
        .link("h", "d/f")
        .file("d/.wh.gone", b"")
        .file("d/.wh..wh..opq", b"")
        .file("f", b"x")
        .build();
    let mut pax = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    pax.append_pax_extensions([
        ("SCHILY.xattr.user.a", b"value".as_slice()),
        ("mtime", b"12.5"),
        ("path", b"long/name"),
    ])
    .unwrap();
    pax.append_data(&mut header, "short", b"data".as_slice())
        .unwrap();
    pax.append_pax_extensions([
        ("GNU.sparse.major", b"0".as_slice()),
        ("GNU.sparse.minor", b"1"),
        ("GNU.sparse.map", b"0,2,8192,2"),
        ("GNU.sparse.size", b"8194"),
    ])
    .unwrap();
    pax.append_data(&mut header, "sparse", b"data".as_slice())
        .unwrap();
    let mut gnu = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    gnu.append_data(&mut header, "n".repeat(300), b"ab".as_slice())
        .unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    gnu.append_link(&mut link, "to", "t".repeat(300)).unwrap();
    vec![plain, pax.into_inner().unwrap(), gnu.into_inner().unwrap()]
}

/// Puts the right sum into every block that looks like a header, so that what is inside is read.
fn sum_headers(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if !block[257..262].starts_with(b"ustar") {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

#[test]
fn any_layer_is_unpacked_or_refused() {
    let data = Data::new();
    let around = names(data.dir.path());
    let archives = archives();
    rounds(|random| {
        let mut bytes = archives[random.below(archives.len())].clone();
        for _ in 0..=random.below(6) {
            if bytes.is_empty() {
                return;
            }
            random.change(&mut bytes);
        }
        if random.below(8) > 0 {
            sum_headers(&mut bytes);
        }
        let taken = data.import(&bytes, "x");
        data.assert_clean();
        // What was taken can be told again from its files, and is what the archive says.
        let check = Check {
            repair: false,
            runs: &|_| false,
        };
        let problems = data.storage.check(&check, &mut |_| {}).unwrap().problems;
        assert_eq!(problems, []);
        assert_eq!(names(data.dir.path()), around);
        if taken.is_ok() {
            data.storage.remove("x", true).unwrap();
        }
    });
}

#[test]
fn any_document_is_understood_or_refused() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = Tar::new().file("f", b"x").build();
    let one = remote.image(&Platform::host().to_string(), &[(&tar, gzip(&tar, 6))]);
    let two = remote.image("linux/s390x", &[(&tar, gzip(&tar, 6))]);
    let index = remote.index(&[one.clone(), two]);
    let roots = [one, index];
    rounds(|random| {
        let root = &roots[random.below(2)];
        let mut bytes = remote.blobs[&root.digest].clone();
        for _ in 0..=random.below(4) {
            if bytes.is_empty() {
                return;
            }
            random.change(&mut bytes);
        }
        let changed = storage::Descriptor {
            digest: crate::pull::digest(&bytes),
            size: bytes.len() as u64,
            ..root.clone()
        };
        let wanted = if random.below(2) == 0 {
            host()
        } else {
            Wanted::All
        };
        let pulled = data
            .storage
            .pull(&changed, &bytes, wanted)
            .and_then(|pull| {
                let missing = pull.missing()?;
                for document in &missing.documents {
                    if let Some(bytes) = remote.blobs.get(&document.digest) {
                        pull.document(document, bytes)?;
                    }
                }
                pull.layers()?;
                pull.commit(&[], None)
            });
        drop(pulled);
        data.assert_clean();
    });
}
