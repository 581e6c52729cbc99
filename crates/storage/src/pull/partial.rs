//! Content on its way in that survives whoever brings it: a file named by what it will hash to.
//!
//! Each has one writer at a time; others wait for it. Nothing is believed of what the file holds: it
//! is hashed again by whoever goes on. Files that nobody came back for are collected.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use types::Digest;

use crate::error::Error;
use crate::store::Store;

/// After so long nobody comes back.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Which are being written.
#[derive(Debug, Default)]
pub(crate) struct Partials {
    /// A std mutex, held for moments.
    writing: Mutex<HashSet<Digest>>,
    ended: Condvar,
}

impl Partials {
    fn writing(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write one, until dropped.
#[derive(Debug)]
pub(super) struct Claim {
    store: Arc<Store>,
    digest: Digest,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.store.partials.writing().remove(&self.digest);
        self.store.partials.ended.notify_all();
    }
}

/// Content that another pull is bringing.
#[derive(Debug)]
pub struct Busy {
    store: Arc<Store>,
    digest: Digest,
}

impl Busy {
    /// Waits until the other has ended, one way or the other; true when it has.
    pub fn wait(&self, at_most: Duration) -> bool {
        let partials = &self.store.partials;
        let writing = partials.writing();
        let answer = partials
            .ended
            .wait_timeout_while(writing, at_most, |set| set.contains(&self.digest));
        let answer = answer.unwrap_or_else(PoisonError::into_inner);
        !answer.1.timed_out()
    }
}

/// Claims content.
pub(super) fn claim(store: &Arc<Store>, digest: &Digest) -> Result<Claim, Busy> {
    let (store, digest) = (Arc::clone(store), digest.clone());
    let ours = store.partials.writing().insert(digest.clone());
    if ours {
        Ok(Claim { store, digest })
    } else {
        Err(Busy { store, digest })
    }
}

impl Partials {
    /// Removes those that nobody writes and, unless all are to go, nobody has written for long.
    /// Returns the bytes they took.
    pub(crate) fn collect(&self, dir: &Path, all: bool) -> Result<u64, Error> {
        use std::os::unix::fs::MetadataExt;
        let mut bytes = 0;
        // Held throughout, so that nobody begins one that goes.
        let writing = self.writing();
        let busy: HashSet<&str> = writing.iter().map(Digest::hex).collect();
        for entry in std::fs::read_dir(dir).map_err(Error::file("read", dir))? {
            let entry = entry.map_err(Error::file("read", dir))?;
            let name = entry.file_name();
            let Ok(status) = entry.metadata() else {
                continue;
            };
            let stale = status.modified().is_ok_and(|at| {
                let age = SystemTime::now().duration_since(at);
                age.is_ok_and(|age| age > STALE)
            });
            let written = name.to_str().is_some_and(|name| busy.contains(name));
            if written || !(all || stale) {
                continue;
            }
            std::fs::remove_file(entry.path()).map_err(Error::file("remove", &entry.path()))?;
            bytes += status.blocks() * 512;
        }
        Ok(bytes)
    }
}
