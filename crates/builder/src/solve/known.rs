//! What has been found out about files that change only when somebody says so: of selections of them their
//! digests, and of each file that of its bytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use types::Digest;

use super::name::text;

/// So many selections are remembered of the same files.
const MOST: usize = 256;
/// So many files, of all that is known; a hundred bytes each.
const MOST_FILES: usize = 200_000;
/// How many there are.
static FILES: AtomicUsize = AtomicUsize::new(0);
/// What the digests of [`super::digest`] are about, as a number: another one whenever that changes.
const FORM: u32 = 2;

/// The SHA-256 of a file's bytes.
pub(super) type Content = [u8; 32];

/// What is known of some files.
#[derive(Debug, Default)]
pub struct Known(Mutex<Things>);

#[derive(Debug, Default)]
struct Things {
    selections: BTreeMap<String, Noted>,
    /// By the files' paths. It is not written down: to read it all would often take longer than to find out
    /// what is needed.
    contents: BTreeMap<String, Content>,
}

/// What is known of a selection, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    digest: Digest,
    /// Paths that all of it is at or below; none when any file may be of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<Vec<String>>,
}

/// A path at which something has become another thing: its parts joined by `/`, from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    path: String,
    /// Only what describes a directory, and nothing that is in it.
    own: bool,
}

impl Change {
    /// Of what is at a path, or was there, with all below.
    pub fn all(path: &str) -> Self {
        Self {
            path: spelt(path),
            own: false,
        }
    }

    /// Of what describes the directory at a path.
    pub fn own(path: &str) -> Self {
        Self {
            path: spelt(path),
            own: true,
        }
    }

    /// Whether it changes what is at a path, or below.
    fn touches(&self, path: &str) -> bool {
        is_below(&self.path, path) || (!self.own && is_below(path, &self.path))
    }
}

/// A path as those are written by which files are found.
fn spelt(path: &str) -> String {
    let parts: Vec<_> = path.split('/').map(|part| text(part.as_ref())).collect();
    parts.join("/")
}

/// Whether a path is another one, or leads on from it.
fn is_below(path: &str, above: &str) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Known {
    /// As what was known is written down; none of what is written about something else than digests are now.
    pub fn read(written: BTreeMap<String, Noted>) -> Option<Self> {
        let prefix = prefix();
        let noted = written.into_iter().map(|(selections, noted)| {
            let selections = selections.strip_prefix(&prefix)?;
            Some((selections.to_owned(), noted))
        });
        Some(Self(Mutex::new(Things {
            selections: noted.collect::<Option<_>>()?,
            contents: BTreeMap::new(),
        })))
    }

    /// The same to be written down.
    pub fn written(&self) -> BTreeMap<String, Noted> {
        let prefix = prefix();
        let things = self.things();
        let lines = things.selections.iter();
        lines
            .map(|(selections, noted)| (format!("{prefix}{selections}"), noted.clone()))
            .collect()
    }

    /// Nothing is known any more of what has changed.
    pub fn forget(&self, changes: &[Change]) {
        let mut things = self.things();
        if changes.is_empty() {
            return;
        }
        things.selections.retain(|_, noted| {
            let mut read = noted.read.iter().flatten();
            noted.read.is_some() && !read.any(|path| changes.iter().any(|c| c.touches(path)))
        });
        if things.contents.is_empty() {
            return;
        }
        for change in changes.iter().filter(|change| !change.own) {
            things.forget_files(&change.path);
        }
    }

    #[cfg(test)]
    pub(crate) fn extend(&self, other: Self) {
        let other = std::mem::take(&mut other.things().selections);
        self.things().selections.extend(other);
    }

    pub(super) fn get(&self, selections: &str) -> Option<Digest> {
        let things = self.things();
        Some(things.selections.get(selections)?.digest.clone())
    }

    pub(super) fn add(&self, selections: String, digest: Digest, read: Option<Vec<String>>) {
        let all = &mut self.things().selections;
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(selections, Noted { digest, read });
    }

    pub(super) fn content(&self, path: &str) -> Option<Content> {
        self.things().contents.get(path).copied()
    }

    pub(super) fn add_content(&self, path: String, content: Content) {
        let contents = &mut self.things().contents;
        // One more than the most where two come at once does no harm.
        let has_room = FILES.load(Ordering::Relaxed) < MOST_FILES;
        if has_room && contents.insert(path, content).is_none() {
            FILES.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        // Things are added whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Things {
    fn forget_files(&mut self, path: &str) {
        self.forget_file(path);
        // `0` comes right behind `/`.
        let (first, end) = (format!("{path}/"), format!("{path}0"));
        let below = self.contents.range(first..end);
        let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            self.forget_file(&path);
        }
    }

    fn forget_file(&mut self, path: &str) {
        if self.contents.remove(path).is_some() {
            FILES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Things {
    fn drop(&mut self) {
        FILES.fetch_sub(self.contents.len(), Ordering::Relaxed);
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
        known.add("all".to_owned(), digest.clone(), None);
        let mut written = known.written();
        let read = Known::read(written.clone()).unwrap();
        assert_eq!(read.get("all"), Some(digest));
        assert_eq!(Known::default().get("all"), None);
        let (_, noted) = written.pop_first().unwrap();
        written.insert("0 all".to_owned(), noted);
        assert!(Known::read(written).is_none());
    }

    /// What is left after changes: selections by what they have read, and files.
    fn left(changes: &[Change]) -> String {
        let known = Known::default();
        for read in ["a", "a/b", "ab", "", "c"] {
            let paths = Some(vec!["z".to_owned(), read.to_owned()]);
            known.add(format!("[{read}]"), super::super::digest::text(read), paths);
        }
        known.add("*".to_owned(), super::super::digest::text("*"), None);
        for file in ["a/b", "a/x/y", "a-", "ab", "c"] {
            known.add_content(file.to_owned(), [0; 32]);
        }
        known.forget(changes);
        let things = known.things();
        let left = things.selections.keys().chain(things.contents.keys());
        left.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_has_not_changed_stays_known() {
        assert_eq!(left(&[]), "* [] [a/b] [a] [ab] [c] a- a/b a/x/y ab c");
        assert_eq!(left(&[Change::all("a")]), "[ab] [c] a- ab c");
        assert_eq!(left(&[Change::all("a/b")]), "[ab] [c] a- a/x/y ab c");
        assert_eq!(
            left(&[Change::all("a/x/y/new")]),
            "[a/b] [ab] [c] a- a/b a/x/y ab c"
        );
        assert_eq!(
            left(&[Change::own("a")]),
            "[a/b] [ab] [c] a- a/b a/x/y ab c"
        );
        assert_eq!(
            left(&[Change::all("c"), Change::all("ab")]),
            "[a/b] [a] a- a/b a/x/y"
        );
        assert_eq!(left(&[Change::all("z/1")]), "a- a/b a/x/y ab c");
    }
}
