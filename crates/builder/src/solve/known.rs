//! What has been found out about files that do not change: of each selection of them its digest.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use types::Digest;

/// So many selections are remembered of the same files.
const MOST: usize = 256;
/// What the digests of [`super::digest`] are about, as a number: another one whenever that changes.
const FORM: u32 = 1;

/// What is known of some files.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<String, Digest>>);

impl Known {
    /// As what was known is written down; none of what is written that is no such thing, or about something
    /// else than digests are now.
    pub fn read(written: &BTreeMap<String, String>) -> Option<Self> {
        let prefix = prefix();
        let digests = written.iter().map(|(selections, digest)| {
            let selections = selections.strip_prefix(&prefix)?;
            Some((selections.to_owned(), digest.parse().ok()?))
        });
        Some(Self(Mutex::new(digests.collect::<Option<_>>()?)))
    }

    /// The same to be written down.
    pub fn written(&self) -> BTreeMap<String, String> {
        let prefix = prefix();
        let all = self.all();
        let lines = all.iter();
        lines
            .map(|(selections, digest)| (format!("{prefix}{selections}"), digest.to_string()))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn extend(&self, other: Self) {
        let other = other.all().clone();
        self.all().extend(other);
    }

    pub(super) fn get(&self, selections: &str) -> Option<Digest> {
        self.all().get(selections).cloned()
    }

    pub(super) fn add(&self, selections: String, digest: Digest) {
        let mut all = self.all();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(selections, digest);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Digest>> {
        // Things are added whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prefix() -> String {
    format!("{FORM} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let known = Known::default();
        let digest = super::super::digest::text("x");
        known.add("all".to_owned(), digest.clone());
        let mut written = known.written();
        assert_eq!(Known::read(&written).unwrap().get("all"), Some(digest));
        assert_eq!(Known::default().get("all"), None);
        written.insert("0 all".to_owned(), "sha256:1".to_owned());
        assert!(Known::read(&written).is_none());
    }
}
