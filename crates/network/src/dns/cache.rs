//! What upstreams have said, for as long as they said it holds.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::wire;

/// All answers and their questions together, in bytes, with what it costs to keep one.
const ROOM: usize = 128 * 1024;
const COST: usize = 240;

/// Longer than this nothing is believed, whatever it says (RFC 8767, 4).
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// And a denial no longer than this.
pub(super) const LONGEST_DENIAL: u32 = 900;

/// A bounded memory: the oldest goes first.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Rc<[u8]>, Entry>,
    /// Keys by age. One that was stored again is here twice: the number tells which counts.
    order: VecDeque<(u64, Rc<[u8]>)>,
    number: u64,
    size: usize,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    message: Box<[u8]>,
    stored: Instant,
    until: Instant,
}

impl Cache {
    /// The answer, with the time left that it holds.
    pub(super) fn get(&mut self, now: Instant, key: &[u8]) -> Option<Vec<u8>> {
        let entry = self.entries.get(key)?;
        if entry.until <= now {
            self.forget(key);
            return None;
        }
        let mut message = entry.message.to_vec();
        let age = now.saturating_duration_since(entry.stored).as_secs();
        wire::age(&mut message, u32::try_from(age).unwrap_or(u32::MAX));
        Some(message)
    }

    /// Remembers an answer for some seconds.
    pub(super) fn put(&mut self, now: Instant, key: Rc<[u8]>, message: &[u8], holds: u32) {
        let size = cost(&key, message);
        if holds == 0 || size > ROOM / 8 {
            return;
        }
        self.forget(&key);
        while self.size + size > ROOM {
            self.forget_oldest();
        }
        self.number += 1;
        let entry = Entry {
            number: self.number,
            message: message.into(),
            stored: now,
            until: now + LONGEST.min(Duration::from_secs(holds.into())),
        };
        self.size += size;
        self.order.push_back((self.number, Rc::clone(&key)));
        self.entries.insert(key, entry);
        self.tidy();
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many answers are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.size -= cost(key, &entry.message);
        }
    }

    fn forget_oldest(&mut self) {
        let Some((number, key)) = self.order.pop_front() else {
            self.clear();
            return;
        };
        if self.entries.get(&key).is_some_and(|e| e.number == number) {
            self.forget(&key);
        }
    }

    /// Drops what is in the order only.
    fn tidy(&mut self) {
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            let counts = |(number, key): &(u64, Rc<[u8]>)| {
                entries.get(key).is_some_and(|e| e.number == *number)
            };
            self.order.retain(counts);
        }
    }
}

fn cost(key: &[u8], message: &[u8]) -> usize {
    COST + key.len() + message.len()
}
