//! The executing half: a graph becomes files, a Dockerfile an image.
//!
//! Whoever asks is a [`Client`], whoever looks on a [`Progress`]; a build is given up by a [`Cancel`]. All
//! of it blocks: it is called on threads that may.
//!
//! A vertex is found again by the digest of what it has read ([`digest`]): the operation, the contents of
//! the files that it copies or mounts, the layers that it stands on. What it has made is a layer of the
//! store; a crash in the middle leaves nothing of it, and all that was whole before.

mod actions;
mod cache;
mod caches;
mod client;
mod copy;
mod digest;
mod elsewhere;
mod exec;
mod failure;
mod files;
mod git;
mod given;
mod image;
mod known;
mod memory;
mod mode;
mod name;
mod named;
mod progress;
mod run;
mod said;
mod scan;
mod sources;
mod stubs;
mod tree;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine::Engine;
use types::Digest;

pub use cache::{Prune, Pruned, Record};
use caches::Caches;
pub use client::{Client, Tree};
pub use elsewhere::{Blobs, CacheFrom, CacheMode};
pub use engine::step::Cancel;
pub use failure::Failure;
pub use files::{Files, tar};
pub use given::{Given, ignored, leave_out, read_file, read_in};
pub use image::{Build, Built, Described, ImageOutput, WrittenImage, look_through};
pub use known::{Change, Known, Noted};
pub use memory::Memory;
pub use named::NamedCache;
pub use progress::{Event, Progress, Silent, Status, Time, VertexState};
use run::{Run, lock};
pub use said::Said;
pub use storage::{Compression, MediaTypes, Method};

use crate::graph::{Graph, Output};

/// Digests of files of layers that are remembered.
const DIGESTS: usize = 4096;
/// How long who waits for a turn sleeps before looking whether the build was given up.
const LOOK: Duration = Duration::from_millis(100);

/// Who asks for a build, who looks on, and what it may.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Has the files.
    pub client: &'a dyn Client,
    /// Looks on.
    pub progress: &'a dyn Progress,
    /// Gives up.
    pub cancel: &'a Cancel,
    /// What its commands may beyond the ordinary: `network.host`, `security.insecure`, `device`.
    pub entitlements: &'a [String],
    /// What has been found out for it so far.
    pub memory: &'a Memory,
}

/// Runs builds. Cheap to clone; one serves a whole daemon.
#[derive(Debug, Clone)]
pub struct Solver {
    engine: Engine,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    caches: Caches,
    /// Commands that may still be run beside those that are.
    turns: Mutex<usize>,
    turned: Condvar,
    /// What files of layers hash to.
    digests: Mutex<HashMap<String, Digest>>,
}

/// The right to run a command.
struct Turn<'a>(&'a Inner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.turns) += 1;
        self.0.turned.notify_one();
    }
}

impl Solver {
    /// One for an engine.
    pub fn new(engine: Engine) -> Self {
        let turns = std::thread::available_parallelism().map_or(2, |n| n.get().max(2));
        Self {
            engine,
            inner: Arc::new(Inner {
                caches: Caches::default(),
                turns: Mutex::new(turns),
                turned: Condvar::new(),
                digests: Mutex::default(),
            }),
        }
    }

    /// Makes results of a graph.
    ///
    /// # Errors
    /// What fails first.
    pub fn solve(
        &self,
        ask: &Ask<'_>,
        graph: &Graph,
        results: &[Output],
    ) -> Result<Vec<Files>, Failure> {
        let run = Run::new(self, ask, None);
        let files = run.run(graph, results)?;
        if let Err(error) = self.engine.storage().settle_results() {
            tracing::warn!(%error, "results of a build may be lost in a power cut");
        }
        Ok(files)
    }

    /// Whether a file is a tar archive, compressed or not, as far as its beginning says.
    pub fn is_archive(file: &std::fs::File) -> bool {
        storage::Storage::is_archive(file)
    }

    /// The engine whose images it builds from.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn caches(&self) -> &Caches {
        &self.inner.caches
    }

    /// A directory to mount on, for a thread with a mount namespace of its own.
    fn place(&self) -> PathBuf {
        self.engine.config().run_root.join("containers")
    }

    /// Waits for the right to run a command: no more at a time than there are processors, whatever
    /// number of builds there is.
    fn turn(&self, run: &Run<'_>) -> Result<Turn<'_>, Failure> {
        let mut turns = lock(&self.inner.turns);
        while *turns == 0 {
            run.check()?;
            let waited = self.inner.turned.wait_timeout(turns, LOOK);
            turns = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *turns -= 1;
        drop(turns);
        run.check().map(|()| Turn(&self.inner)).inspect_err(|_| {
            *lock(&self.inner.turns) += 1;
        })
    }
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask")
            .field("cancel", self.cancel)
            .field("entitlements", &self.entitlements)
            .finish_non_exhaustive()
    }
}
