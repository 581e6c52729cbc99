//! Documents changed at random, the same for the same seed. What a fuzzer does, without its
//! instruments: runs on every compiler, and for as long as `BRIG_FUZZ_SECONDS` says.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from((self.next() >> 11) % end).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len());
        &from[at]
    }
}

/// Calls with many seeds: with as many as `cases`, or for the time that is asked for.
pub(crate) fn with_seeds(cases: u64, what: &str, mut call: impl FnMut(&mut Random)) {
    let asked = std::env::var("BRIG_FUZZ_SECONDS").ok();
    let limit = asked.map(|text| Duration::from_secs(text.parse().unwrap()));
    let since = Instant::now();
    let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let first = limit.map_or(1, |_| u64::try_from(clock & 0xffff_ffff_ffff).unwrap());
    let mut seed = first;
    while limit.map_or(seed < first + cases, |limit| since.elapsed() < limit) {
        let mut random = Random::new(seed);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(&mut random)));
        if let Err(panic) = done {
            println!("{what}: seed {seed}");
            std::panic::resume_unwind(panic);
        }
        seed += 1;
    }
    if limit.is_some() {
        println!("{what}: {} cases", seed - first);
    }
}

/// Values that are at some limit.
fn extreme(random: &mut Random) -> Value {
    let deep = (0..60).fold(json!([]), |inner, _| json!([inner]));
    let all = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(u32::MAX),
        json!(1u64 << 32),
        json!(65_536),
        json!(4_096),
        json!(0.5),
        json!(1e300),
        json!(""),
        json!("\0"),
        json!("/"),
        json!("../../../.."),
        json!("\u{fffd}\u{202e}\n"),
        json!("x".repeat(5_000)),
        json!([]),
        json!({}),
        json!([[]]),
        json!({"": ""}),
        deep,
    ];
    random.pick(&all).clone()
}

/// Every place in a document.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Array(list) => {
            for (number, one) in list.iter().enumerate() {
                pointers(one, &format!("{at}/{number}"), into);
            }
        }
        Value::Object(map) => {
            for (name, one) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(one, &format!("{at}/{name}"), into);
            }
        }
        _ => {}
    }
}

/// A document with one to four places changed.
pub(crate) fn value(random: &mut Random, of: &Value) -> Value {
    let mut changed = of.clone();
    for _ in 0..=random.below(4) {
        let mut places = Vec::new();
        pointers(&changed, "", &mut places);
        let from: &String = random.pick(&places);
        let from = changed.pointer(from).unwrap().clone();
        let new = match random.below(3) {
            0 => from,
            _ => extreme(random),
        };
        let place: &String = random.pick(&places);
        let place = changed.pointer_mut(place).unwrap();
        match (random.below(4), place) {
            (0, Value::Array(list)) => list.push(new),
            (0, Value::Object(map)) => {
                let names: Vec<_> = map.keys().cloned().collect();
                if !names.is_empty() {
                    let name: &String = random.pick(&names);
                    map.remove(name);
                }
            }
            (1, Value::String(text)) => {
                let at = random.below(text.chars().count() + 1);
                *text = text.chars().take(at).chain("\0/..".chars()).collect();
            }
            (_, place) => *place = new,
        }
    }
    changed
}

/// A text with some bytes changed.
pub(crate) fn bytes(random: &mut Random, of: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 10] = [
        b"{", b"[", b"\"", b"\\u0000", b"null", b"-1", b"1e999", b"\xff", b"\0", b",",
    ];
    let mut changed = of.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(changed.len() + 1);
        let end = (at + random.below(20)).min(changed.len());
        match random.below(5) {
            0 => drop(changed.drain(at..end)),
            1 => {
                let copy = changed[at..end].to_vec();
                changed.splice(at..at, copy);
            }
            2 => drop(changed.splice(at..at, random.pick(&WORDS).iter().copied())),
            3 => changed.truncate(at),
            _ => {
                let new = random.next().to_le_bytes()[0];
                if let Some(byte) = changed.get_mut(at) {
                    *byte = new;
                }
            }
        }
    }
    changed
}
