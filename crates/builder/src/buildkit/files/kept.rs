//! Directories in which a client's files wait for the next build of the same client and directory, so that
//! only what has changed is sent again, and only that is read again.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::Received;
use super::content::{self, Content, Stamp};
use crate::solve::Known;

/// So many directories are kept; more only while they are in use.
const MOST: usize = 32;

/// The directories.
#[derive(Debug, Clone)]
pub struct Kept(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    remover: Remover,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Names of those in use.
    held: BTreeSet<String>,
    /// What is known of what is in a directory; nothing of what may be in the middle of a change.
    contents: HashMap<String, Content>,
}

/// Removes a directory; it may take its time for that somewhere else.
struct Remover(Box<dyn Fn(&Path) + Send + Sync>);

impl fmt::Debug for Remover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remover").finish_non_exhaustive()
    }
}

/// One of them, for one build.
#[derive(Debug)]
pub struct Held {
    inner: Arc<Inner>,
    name: String,
    /// What it held when it was taken.
    before: Option<Content>,
}

impl Kept {
    /// Those below a directory, which is made when the first one is needed. `remove` takes away those that are
    /// too many: what it leaves is removed another time.
    pub fn new(root: impl Into<PathBuf>, remove: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            root: root.into(),
            remover: Remover(Box::new(remove)),
            state: Mutex::default(),
        }))
    }

    /// A directory for files that `key` tells apart, with those of the last time if nobody uses them now.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn take(&self, key: &str) -> io::Result<Held> {
        let mut state = self.0.lock();
        let hash = Sha256::digest(key.as_bytes());
        let stem: String = hash[..12].iter().map(|b| format!("{b:02x}")).collect();
        let mut number = 0;
        let name = loop {
            let name = format!("{stem}-{number}");
            if !state.held.contains(&name) {
                break name;
            }
            number += 1;
        };
        make_private(&self.0.root)?;
        let path = self.0.root.join(&name);
        make_private(&path)?;
        // What was written down is true until somebody has the directory.
        let written = content::take(&path);
        touch(&path);
        state.held.insert(name.clone());
        self.0.trim(&state.held, MOST);
        let before = state.contents.remove(&name).or(written);
        drop(state);
        Ok(Held {
            inner: self.0.clone(),
            name,
            before,
        })
    }

    /// Bytes and number of those that nobody uses.
    pub fn usage(&self) -> (u64, usize) {
        let state = self.0.lock();
        let idle = self.0.idle(&state.held);
        let bytes = idle.iter().map(|(_, path)| size(path)).sum();
        (bytes, idle.len())
    }

    /// Removes all that nobody uses; how many bytes they had.
    pub fn clear(&self) -> u64 {
        let mut state = self.0.lock();
        let idle = self.0.idle(&state.held);
        let bytes = idle.iter().map(|(_, path)| size(path)).sum();
        self.0.trim(&state.held, state.held.len());
        state.contents.clear();
        bytes
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Names and numbers are whole at any moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that nobody uses, the ones last used first.
    fn idle(&self, held: &BTreeSet<String>) -> Vec<(SystemTime, PathBuf)> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut idle: Vec<(SystemTime, PathBuf)> = entries
            .filter(|entry| {
                let name = entry.file_name();
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                is_dir && !name.to_str().is_some_and(|name| held.contains(name))
            })
            .map(|entry| {
                let modified = entry.metadata().and_then(|m| m.modified());
                (modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path())
            })
            .collect();
        idle.sort_by(|a, b| b.cmp(a));
        idle
    }

    /// Removes what is too many. What cannot be removed now can be another time.
    fn trim(&self, held: &BTreeSet<String>, most: usize) {
        let spare = most.saturating_sub(held.len());
        for (_, path) in self.idle(held).into_iter().skip(spare) {
            content::forget(&path);
            (self.remover.0)(&path);
        }
    }
}

impl Held {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.inner.root.join(&self.name)
    }

    /// What the client called the list of the files that are in it since the last time.
    pub fn list(&self) -> Option<&str> {
        self.before.as_ref()?.list.as_deref()
    }

    /// What is known of the files that are in it now, as they were `received` into it. It is written down
    /// when the directory is left, for the next daemon.
    pub fn received(&self, received: &Received) -> Arc<Known> {
        let before = self.before.as_ref();
        let known = before.map_or_else(Arc::default, |before| before.known.clone());
        known.forget(&received.changes);
        let content = Content {
            list: received.list.clone(),
            known: known.clone(),
            stamp: Stamp::of(&self.path()),
        };
        let mut state = self.inner.lock();
        state.contents.insert(self.name.clone(), content);
        known
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let content = self.inner.lock().contents.get(&self.name).cloned();
        // Nobody else has it yet.
        if let Some(content) = content {
            content.write(&self.path());
        }
        self.inner.lock().held.remove(&self.name);
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)
}

/// Its time says when it was used last; none is worth failing for.
fn touch(path: &Path) {
    let opened = fs::File::open(path);
    let _ = opened.and_then(|dir| dir.set_modified(SystemTime::now()));
}

fn size(path: &Path) -> u64 {
    let mut bytes = 0;
    let mut ahead = vec![path.to_owned()];
    while let Some(path) = ahead.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => ahead.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's own files")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::solve::{Change, Noted};

    fn kept(root: PathBuf) -> Kept {
        Kept::new(root, |path| fs::remove_dir_all(path).unwrap())
    }

    /// What a builder has found out about what is at "x".
    fn noted() -> BTreeMap<String, Noted> {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let noted = serde_json::json!({"2 what": {"digest": empty, "read": ["x"]}});
        serde_json::from_value(noted).unwrap()
    }

    #[test]
    fn files_wait_for_the_next_build_unless_somebody_has_them() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = kept(temporary.path().join("files"));
        let first = kept.take("a").unwrap();
        fs::write(first.path().join("x"), "1").unwrap();
        let second = kept.take("a").unwrap();
        assert_ne!(first.path(), second.path());
        assert!(!second.path().join("x").exists());
        let path = first.path();
        drop(first);
        assert_eq!(kept.usage(), (1, 1));
        let again = kept.take("a").unwrap();
        assert_eq!(again.path(), path);
        assert!(path.join("x").exists());
        assert_ne!(kept.take("b").unwrap().path(), path);
        drop(again);
        assert_eq!(kept.clear(), 1);
        assert!(!path.exists() && second.path().exists());
    }

    #[test]
    fn of_files_that_have_not_changed_is_known_what_was() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = kept(temporary.path().join("files"));
        let take = |name: &str, changes: &[Change]| {
            kept.take(name).unwrap().received(&Received {
                changes: changes.to_vec(),
                ..Received::default()
            })
        };
        let learn = |known: &Known| known.extend(Known::read(noted()).unwrap());
        let first = take("a", &[Change::all("x")]);
        assert!(first.written().is_empty());
        learn(&first);
        assert_eq!(take("a", &[]).written(), noted());
        assert_eq!(take("a", &[Change::all("other")]).written(), noted());
        assert!(take("a", &[Change::all("x/y")]).written().is_empty());
        // Who took them may have left in the middle of a change, and they may have been removed.
        learn(&take("a", &[]));
        drop(kept.take("a").unwrap());
        assert!(take("a", &[]).written().is_empty());
        learn(&take("a", &[]));
        kept.clear();
        assert!(take("a", &[]).written().is_empty());
        learn(&take("a", &[]));
        assert!(take("b", &[]).written().is_empty());
    }

    /// What is known of the files of "a" by a daemon that has just begun.
    fn told_after(root: &Path) -> Option<String> {
        let held = kept(root.to_owned()).take("a").unwrap();
        let list = held.list().map(str::to_owned);
        let known = held.received(&Received {
            list: list.clone(),
            ..Received::default()
        });
        assert_eq!(known.written().is_empty(), list.is_none());
        list
    }

    #[test]
    fn the_next_daemon_believes_what_is_whole_and_of_now() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("files");
        let told = || {
            let held = kept(root.clone()).take("a").unwrap();
            let known = held.received(&Received {
                list: Some("l".to_owned()),
                ..Received::default()
            });
            known.extend(Known::read(noted()).unwrap());
            held.path()
        };
        let path = told();
        assert_eq!(told_after(&root).as_deref(), Some("l"));
        assert_eq!(told_after(&root).as_deref(), Some("l"));
        // Killed while it had them.
        drop(kept(root.clone()).take("a").unwrap());
        assert_eq!(told_after(&root), None);
        // Somebody else had them meanwhile, or they are others.
        told();
        fs::write(path.join("new"), "").unwrap();
        assert_eq!(told_after(&root), None);
        // Half of it, other bytes, nothing, no file.
        let record = path.with_extension("known");
        for damage in [
            |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2),
            |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1,
            |bytes: &mut Vec<u8>| bytes[70] ^= 1,
            Vec::clear,
        ] {
            told();
            let mut bytes = fs::read(&record).unwrap();
            damage(&mut bytes);
            fs::write(&record, bytes).unwrap();
            assert_eq!(told_after(&root), None);
        }
        told();
        fs::remove_file(&record).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &record).unwrap();
        assert_eq!(told_after(&root), None);
        told();
        let one = kept(root.clone());
        assert!(record.exists());
        one.clear();
        assert!(!record.exists() && !path.exists());
    }

    #[test]
    fn the_name_of_a_list_is_known_until_somebody_takes_it_and_leaves() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = kept(temporary.path().join("files"));
        let named = Received {
            list: Some("l".to_owned()),
            ..Received::default()
        };
        kept.take("a").unwrap().received(&named);
        assert_eq!(kept.take("b").unwrap().list(), None);
        let again = kept.take("a").unwrap();
        assert_eq!(again.list(), Some("l"));
        drop(again);
        assert_eq!(kept.take("a").unwrap().list(), None);
        kept.take("a").unwrap().received(&named);
        kept.clear();
        assert_eq!(kept.take("a").unwrap().list(), None);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = kept(temporary.path().to_owned());
        for number in 0..MOST + 5 {
            drop(kept.take(&number.to_string()).unwrap());
        }
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), MOST);
    }
}
