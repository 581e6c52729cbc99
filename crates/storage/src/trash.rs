//! What is being removed: one rename puts a tree out of the way, a thread takes it apart.
//!
//! The thread is started by the first thing thrown away and ends when nothing is left; the store
//! joins it when it is dropped. What a crash leaves here is removed after the next open.

use std::collections::HashSet;
use std::ffi::{CString, OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sys::dir::{self, Dir, Kind};

use crate::error::Error;

/// Directories open at a time; what lies deeper is moved up first. A tree made to be hard to remove
/// is thousands deep.
const MAX_DEPTH: usize = 32;

/// How long the thread waits before it begins: whoever threw away goes on with what is waited for.
const AFTERWARDS: Duration = Duration::from_millis(3);

/// The trash directory.
#[derive(Debug)]
pub(crate) struct Trash {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    dir: Dir,
    /// Distinguishes this process's names from those a crash left.
    prefix: String,
    number: AtomicU64,
    stop: AtomicBool,
    /// Whether there may be something the thread has not seen. A mutex, so that the thread's last
    /// look and its end are one step.
    running: Mutex<State>,
    /// The thread has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    more: bool,
}

impl Trash {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let dir = Dir::open(&path).map_err(Error::file("open", &path))?;
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let shared = Shared {
            path,
            dir,
            prefix: format!("{:x}", since.as_nanos()),
            number: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            running: Mutex::default(),
            ended: Condvar::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        })
    }

    /// Moves a file or a tree here.
    pub(crate) fn discard(&self, path: &Path) -> Result<(), Error> {
        let place = self.shared.path.join(self.shared.name());
        std::fs::rename(path, place).map_err(Error::file("remove", path))?;
        self.empty();
        Ok(())
    }

    /// Moves a name in an open directory here.
    pub(crate) fn discard_at(&self, dir: &Dir, name: &OsStr) -> sys::Result<()> {
        dir.rename(name, &self.shared.dir, &self.shared.name())?;
        self.empty();
        Ok(())
    }

    /// Waits until everything here is gone, or could not be removed, for so long at most.
    pub(crate) fn wait(&self, patience: Duration) {
        let running = |state: &mut State| state.running;
        let ended = &self.shared.ended;
        drop(ended.wait_timeout_while(self.shared.state(), patience, running));
    }

    /// Has the thread take apart what is here.
    pub(crate) fn empty(&self) {
        let mut state = self.shared.state();
        state.more = true;
        if state.running {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("trash".to_owned());
        // Without a thread the trash waits for the next occasion.
        if let Ok(handle) = thread.spawn(move || shared.run()) {
            state.running = true;
            *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        }
    }
}

impl Drop for Trash {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // It only panics by a bug, and then there is nothing to wait for.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> OsString {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        format!("{}.{number}", self.prefix).into()
    }

    fn run(&self) {
        std::thread::sleep(AFTERWARDS);
        // What cannot be removed now is left for the next start instead of being tried for ever.
        let mut stuck = HashSet::new();
        loop {
            self.state().more = false;
            let seen = self.pass(&mut stuck);
            let mut state = self.state();
            if self.stop.load(Ordering::Relaxed) || (!seen && !state.more) {
                state.running = false;
                self.ended.notify_all();
                return;
            }
        }
    }

    /// Removes what is here; whether there was anything new.
    fn pass(&self, stuck: &mut HashSet<CString>) -> bool {
        let Ok(entries) = self.dir.entries() else {
            return false;
        };
        // Names are few: every tree is one.
        let names: Vec<_> = entries
            .flatten()
            .filter(|(name, _)| !stuck.contains(name))
            .collect();
        for (name, kind) in &names {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if self.remove(&self.dir, dir::name(name), *kind, 0).is_err() {
                stuck.insert(name.clone());
            }
        }
        !names.is_empty()
    }

    fn remove(&self, parent: &Dir, name: &OsStr, kind: Kind, depth: usize) -> sys::Result<()> {
        if kind != Kind::Directory {
            return match parent.remove_file(name) {
                // The file system did not say what it was.
                Err(error) if kind == Kind::Unknown && error.errno == sys::Errno::ISDIR => {
                    self.remove(parent, name, Kind::Directory, depth)
                }
                answer => answer,
            };
        }
        if depth == MAX_DEPTH {
            return parent.rename(name, &self.dir, &self.name());
        }
        let dir = parent.open_dir(name)?;
        for entry in dir.entries()? {
            let (name, kind) = entry?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.remove(&dir, dir::name(&name), kind, depth + 1)?;
        }
        drop(dir);
        parent.remove_dir(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the thread to have nothing left to do.
    fn settle(trash: &Trash) {
        let thread = trash.thread.lock().unwrap().take();
        if let Some(thread) = thread {
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let trash_dir = temp.path().join("trash");
        std::fs::create_dir(&trash_dir).unwrap();
        let trash = Trash::open(trash_dir.clone()).unwrap();
        let tree = temp.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let name = OsStr::new("a-directory-with-a-name-of-some-length");
        let mut dir = Dir::open(&tree).unwrap();
        for _ in 0..2000 {
            dir.create_file(OsStr::new("file")).unwrap();
            dir.make_dir(name).unwrap();
            dir = dir.open_dir(name).unwrap();
        }
        trash.discard(&tree).unwrap();
        settle(&trash);
        assert_eq!(std::fs::read_dir(&trash_dir).unwrap().count(), 0);
        // It starts again for what comes later.
        std::fs::create_dir(&tree).unwrap();
        trash.discard(&tree).unwrap();
        settle(&trash);
        assert_eq!(std::fs::read_dir(&trash_dir).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_trash_is_removed_and_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let trash_dir = temp.path().join("trash");
        let kept = temp.path().join("kept");
        let tree = temp.path().join("tree");
        for dir in [&trash_dir, &kept, &tree] {
            std::fs::create_dir(dir).unwrap();
        }
        std::fs::File::create(kept.join("file")).unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("link")).unwrap();
        let trash = Trash::open(trash_dir).unwrap();
        trash.discard(&tree).unwrap();
        settle(&trash);
        assert!(kept.join("file").exists());
    }
}
