//! Directories that stay from build to build: who has one, and who waits for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use storage::Draft;

use super::copy::{self, Marks, Target};
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

    /// Whether nobody but one uses it.
    fn is_alone(&self, id: &str) -> bool {
        let busy = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.get(id).is_none_or(|(users, _)| *users < 2)
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
        if self.is_alone(&id) && run.store().empty_cache_dir_if_full(&id)? {
            tracing::info!("the cache {id} has become larger than it may be: it begins again");
        }
        lease.path = match run.store().cache_dir(&id)? {
            Some(path) => path,
            None => {
                let draft = run.store().scratch()?;
                if let Some(input) = input {
                    fill(run, input, selector, &draft)?;
                }
                run.store().add_cache_dir(&id, &draft)?
            }
        };
        Ok(lease)
    }

    /// Takes one for itself, if nobody uses it: nobody begins to as long as what is returned lives.
    pub(super) fn hold(&self, id: &str) -> Option<Lease> {
        let mut busy = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.contains_key(id) {
            return None;
        }
        busy.insert(id.to_owned(), (1, true));
        drop(busy);
        Some(Lease {
            path: PathBuf::new(),
            id: id.to_owned(),
            busy: self.0.clone(),
        })
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

/// What a new one begins with, made aside: nobody sees half of it, and what a crash leaves is no cache.
fn fill(run: &Run<'_>, input: &Files, selector: &str, draft: &Draft) -> Result<(), Failure> {
    let upper = draft.upper();
    let name = upper.file_name().unwrap_or_default().to_string_lossy();
    let what = CopyFiles {
        contents: true,
        make_target: true,
        ..CopyFiles::plain(
            Operand::Empty,
            selector_or_root(selector),
            format!("/{name}"),
        )
    };
    let above = upper.parent().map(PathBuf::from).unwrap_or_default();
    // It is made again by the copy, with the owner and mode of what it begins with.
    std::fs::remove_dir(&upper)
        .map_err(|error| Failure::internal(format!("cannot begin a cache: {error}")))?;
    let to = sys::dir::Dir::open(&above)
        .map_err(|error| Failure::internal(format!("cannot begin a cache: {error}")))?;
    files::with_mounts(&[input.mount()], &run.solver.place(), |roots| {
        copy::copy(&roots[0], Target::plain(&to), &what, Marks::default())
    })
}

fn selector_or_root(selector: &str) -> &str {
    match selector {
        "" => "/",
        selector => selector,
    }
}
