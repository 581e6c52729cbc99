//! Streams of several encoders, made again bit for bit.

use super::*;
use flate2::{Compression, GzBuilder};

/// Text like that of programs and their data: words again and again, and noise.
fn text(size: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut text = Vec::new();
    while text.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match state >> 61 {
            0 => text.extend_from_slice(&state.to_le_bytes()),
            1 => text.extend_from_slice(&[0; 40][..(state >> 40 & 31) as usize]),
            _ => text.extend_from_slice(format!("word{} ", (state >> 33) % 3000).as_bytes()),
        }
    }
    text
}

/// Packs by a recipe what was packed; the recipe's size.
fn round_trip(plain: &[u8], packed: &[u8]) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("recipe");
    write(&|| Ok(plain), &|| Ok(packed), &recipe).unwrap();
    let mut back = Vec::new();
    follow(plain, &recipe, &mut back).unwrap();
    assert!(back == packed);
    std::fs::metadata(&recipe).unwrap().len()
}

fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let name = GzBuilder::new().filename("layer.tar").comment("c");
    let mut encoder = name.write(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn streams_of_any_level_are_made_again() {
    let plain = text(60_000);
    for (level, part) in [(0, 3), (1, 1), (6, 3), (9, 3)] {
        let packed = gzip(&plain, level);
        let length = round_trip(&plain, &packed);
        assert!(
            length < packed.len() as u64 / part,
            "{level}: {length} of {}",
            packed.len()
        );
    }
    // Nothing, next to nothing, and several members one after another.
    round_trip(b"", &gzip(b"", 6));
    round_trip(b"x", &gzip(b"x", 6));
    let (one, two) = plain.split_at(20_000);
    round_trip(&plain, &[gzip(one, 6), gzip(two, 1), gzip(b"", 6)].concat());
}

#[test]
fn what_gzip_makes_is_guessed_nearly_always() {
    use std::process::{Command, Stdio};
    let plain = text(150_000);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plain");
    let mut to = File::create(&file).unwrap();
    to.write_all(&plain).unwrap();
    for level in ["-6", "-9"] {
        let output = Command::new("gzip")
            .args(["-c", level])
            .stdin(File::open(&file).unwrap())
            .stderr(Stdio::null())
            .output();
        let Ok(output) = output else {
            let _ = writeln!(io::stderr(), "SKIP: gzip is not installed");
            return;
        };
        let length = round_trip(&plain, &output.stdout);
        assert!(
            length < output.stdout.len() as u64 / 20,
            "{level}: {length} of {}",
            output.stdout.len()
        );
    }
}

#[test]
fn what_is_no_gzip_of_the_archive_has_no_recipe() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("recipe");
    let packed = gzip(b"some text, some text", 6);
    let cut = &packed[..packed.len() - 9];
    let other: &[u8] = b"some text, Some text";
    for (plain, packed) in [
        (other, packed.as_slice()),
        (b"some text, some text", cut),
        (b"", b"plain"),
        (b"", &[0x1f, 0x8b, 8, 0]),
        (b"", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0xff]),
    ] {
        assert!(
            write(&|| Ok(plain), &|| Ok(packed), &recipe).is_err(),
            "{packed:?}"
        );
    }
}

#[test]
fn a_stream_that_would_keep_a_processor_busy_has_no_recipe() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("recipe");
    let refused = |plain: &[u8], packed: &[u8]| {
        let error = write(&|| Ok(plain), &|| Ok(packed), &recipe).unwrap_err();
        assert!(!recipe.exists());
        error.to_string()
    };
    // Blocks with nothing in them, and members too: each costs more than its few bytes.
    let mut blocks = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0];
    let mut bits = BitWriter::new(&mut blocks);
    for block in 0..20_000 {
        bits.put(u32::from(block == 19_999), 1).unwrap();
        bits.put(FIXED, 2).unwrap();
        bits.put(0, 7).unwrap();
    }
    bits.align().unwrap();
    bits.flush().unwrap();
    blocks.extend([0; 8]);
    let why = "the stream is of blocks without text";
    assert_eq!(refused(b"", &blocks), why);
    assert_eq!(refused(b"", &gzip(b"", 6).repeat(2_000)), why);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn any_stream_has_a_recipe_or_none(at: usize, bit in 0..8_u32, cut: usize) {
        let plain = text(5_000);
        let mut packed = gzip(&plain, 6);
        let length = packed.len();
        packed[at % length] ^= 1 << bit;
        packed.truncate(length - cut % 100);
        let dir = tempfile::tempdir().unwrap();
        let recipe = dir.path().join("recipe");
        if write(&|| Ok(plain.as_slice()), &|| Ok(packed.as_slice()), &recipe).is_ok() {
            let mut back = Vec::new();
            // A bit of padding may differ, which whoever tries the recipe sees.
            let _ = follow(plain.as_slice(), &recipe, &mut back);
        }
    }
}
