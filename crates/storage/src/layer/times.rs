//! Modification times of directories, kept until nothing changes the directories any more.

use std::collections::BTreeMap;

use crate::error::Malformed;

/// Bytes kept at most. An archive may come back to any directory, so that all wait until its end;
/// images with a hundred thousand directories need a fifth of this.
const MAX_BYTES: usize = 64 << 20;
/// What one directory costs beside its path: its place in the tree, its time, the allocation.
const EACH: usize = 64;

/// Seconds since the Unix epoch and nanoseconds.
type Time = (i64, u32);

/// The times by path, parents before what is in them.
#[derive(Default)]
pub(super) struct Times {
    all: BTreeMap<Box<[u8]>, Time>,
    bytes: usize,
}

impl Times {
    /// Keeps a directory's time instead of what an earlier entry said.
    pub(super) fn keep(&mut self, path: &[u8], time: Time) -> Result<(), Malformed> {
        if let Some(there) = self.all.get_mut(path) {
            *there = time;
            return Ok(());
        }
        if self.bytes + cost(path) > MAX_BYTES {
            return Err(Malformed::TooLong("list of directories"));
        }
        self.bytes += cost(path);
        self.all.insert(path.into(), time);
        Ok(())
    }

    /// Forgets a directory and all below it.
    pub(super) fn forget(&mut self, path: &[u8]) {
        if self.all.remove(path).is_some() {
            self.bytes -= cost(path);
        }
        // `0` comes after the slash.
        let at = |end: &[u8]| [path, end].concat().into_boxed_slice();
        let below = at(b"/")..at(b"0");
        for (path, _) in self.all.extract_if(below, |_, _| true) {
            self.bytes -= cost(&path);
        }
    }

    /// What is in a directory before the directory.
    pub(super) fn inside_out(&self) -> impl Iterator<Item = (&[u8], Time)> {
        self.all.iter().rev().map(|(path, time)| (&**path, *time))
    }
}

fn cost(path: &[u8]) -> usize {
    path.len() + EACH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_with_all_below_it() {
        let mut times = Times::default();
        for (path, time) in [("a", 1), ("a/b", 2), ("a/b/c", 3), ("a/b-", 4), ("a/b", 5)] {
            times.keep(path.as_bytes(), (time, 0)).unwrap();
        }
        let show = |times: &Times| -> Vec<String> {
            times
                .inside_out()
                .map(|(path, (time, _))| format!("{} {time}", path.escape_ascii()))
                .collect()
        };
        assert_eq!(show(&times), ["a/b/c 3", "a/b- 4", "a/b 5", "a 1"]);
        times.forget(b"a/b");
        assert_eq!(show(&times), ["a/b- 4", "a 1"]);
        times.forget(b"a");
        assert_eq!((show(&times).len(), times.bytes), (0, 0));
    }

    #[test]
    fn more_than_memory_should_hold_are_refused() {
        let mut times = Times::default();
        let path = |n: usize| format!("{}/{n:06}", "d".repeat(4000)).into_bytes();
        let kept = (0..)
            .take_while(|n| times.keep(&path(*n), (0, 0)).is_ok())
            .count();
        assert_eq!(kept, MAX_BYTES / cost(&path(0)));
        assert_eq!(
            times.keep(&path(kept), (0, 0)).unwrap_err().to_string(),
            "its list of directories is longer than any this program accepts"
        );
        // One that is known costs nothing more, and one that goes makes room.
        times.keep(&path(0), (1, 0)).unwrap();
        times.forget(&path(1));
        times.keep(&path(kept), (0, 0)).unwrap();
    }
}
