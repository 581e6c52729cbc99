//! How far a log has been sent.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Lines up to this time, and so many of that very time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    time: i64,
    count: u64,
}

impl Place {
    /// What is kept; the beginning if nothing is.
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), sys::Error> {
        // Two numbers: there is nothing that JSON has not.
        let text = serde_json::to_vec(self).unwrap_or_default();
        sys::file::replace_unsynced(path, &text, 0o600)
    }

    /// Nanoseconds since the Unix epoch.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// After one more line.
    pub(super) fn after(self, time: i64) -> Self {
        match time > self.time {
            true => Self { time, count: 1 },
            false => Self {
                count: self.count + 1,
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_of_one_time() {
        let place = Place::default()
            .after(5)
            .after(5)
            .after(7)
            .after(7)
            .after(7);
        assert_eq!((place.time(), place.count()), (7, 3));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("place");
        assert_eq!(Place::read(&path), Place::default());
        place.write(&path).unwrap();
        assert_eq!(Place::read(&path), place);
    }
}
