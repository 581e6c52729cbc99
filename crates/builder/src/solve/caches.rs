//! Directories that stay from build to build: who has one, and who waits for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::copy::{self, Marks};
use super::files::Files;
use super::run::Run;
use super::{Failure, files};
use crate::dockerfile::Sharing;
use crate::graph::{CacheMount, CopyFiles, Operand};

/// How long somebody who waits sleeps before looking whether the build was given up.
const LOOK: Duration = Duration::from_millis(100);

/// Those in use, by name: by how many, whether by one alone.
#[derive(Debug, Default)]
struct Busy(Mutex<HashMap<String, (usize, bool)>>, Condvar);

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Caches(Arc<Busy>);

/// A directory as long as somebody uses it.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) path: PathBuf,
    id: String,
    busy: Arc<Busy>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut busy = self.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(use_) = busy.get_mut(&self.id) {
            use_.0 -= 1;
            if use_.0 == 0 {
                busy.remove(&self.id);
            }
        }
        self.busy.1.notify_all();
    }
}

impl Caches {
    /// Whether somebody uses it.
    pub(super) fn is_busy(&self, id: &str) -> bool {
        let busy = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.contains_key(id)
    }

    /// Takes one, made of `input` if it is new.
    pub(super) fn take(
        &self,
        run: &Run<'_>,
        cache: &CacheMount,
        input: Option<&Files>,
        selector: &str,
    ) -> Result<Lease, Failure> {
        let id = self.reserve(run, cache)?;
        let lease = |path| Lease {
            path,
            id: id.clone(),
            busy: self.0.clone(),
        };
        let mut lease = lease(PathBuf::new());
        let dir = run.store().cache_dir(&id)?;
        lease.path = dir.path;
        if dir.new
            && let Some(input) = input
        {
            fill(run, input, selector, &lease)?;
        }
        Ok(lease)
    }

    fn reserve(&self, run: &Run<'_>, cache: &CacheMount) -> Result<String, Failure> {
        let alone = cache.sharing != Sharing::Shared;
        let mut busy = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = 0;
        loop {
            let id = match number {
                0 => cache.id.clone(),
                number => format!("{}#{number}", cache.id),
            };
            let free = match busy.get(&id) {
                None => true,
                Some((_, exclusive)) => !alone && !exclusive,
            };
            if free {
                let entry = busy.entry(id.clone()).or_insert((0, alone));
                entry.0 += 1;
                return Ok(id);
            }
            if cache.sharing == Sharing::Private {
                number += 1;
                continue;
            }
            run.check()?;
            let waited = self.0.1.wait_timeout(busy, LOOK);
            busy = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a new one begins with.
fn fill(run: &Run<'_>, input: &Files, selector: &str, lease: &Lease) -> Result<(), Failure> {
    let what = CopyFiles {
        contents: true,
        make_target: true,
        ..CopyFiles::plain(Operand::Empty, selector_or_root(selector), "/data")
    };
    let above = lease.path.parent().map(PathBuf::from).unwrap_or_default();
    // It is made again by the copy, with the owner and mode of what it begins with.
    std::fs::remove_dir(&lease.path)
        .map_err(|error| Failure::internal(format!("cannot begin a cache: {error}")))?;
    let to = sys::dir::Dir::open(&above)
        .map_err(|error| Failure::internal(format!("cannot begin a cache: {error}")))?;
    files::with_mounts(&[input.mount()], &run.solver.place(), |roots| {
        copy::copy(&roots[0], &to, &what, Marks::default())
    })
}

fn selector_or_root(selector: &str) -> &str {
    match selector {
        "" => "/",
        selector => selector,
    }
}
