//! What the verbs share: the paths, the database, what is on its way in, the trash.

use std::fs::DirBuilder;
use std::io::ErrorKind as IoErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};
use sys::file::Lock;
use types::Algorithm;

use crate::Durability;
use crate::db::Database;
use crate::error::Error;
use crate::paths::Paths;
use crate::pull::Partials;
use crate::stage::Leases;
use crate::temp::Ingest;
use crate::trash::Trash;

/// An open data root.
#[derive(Debug)]
pub(crate) struct Store {
    pub paths: Paths,
    pub trash: Trash,
    /// What pulls are bringing.
    pub partials: Partials,
    state: Mutex<State>,
    layer: AtomicU64,
    volume: AtomicU64,
    first_volume: u64,
    /// The first number that was free when the store was opened.
    first: u64,
    temporary: AtomicU64,
    /// Held as long as the store is open.
    _lock: Lock,
}

/// A std mutex, held for microseconds, or for one sync of the log, by threads that may block.
#[derive(Debug)]
pub(crate) struct State {
    pub database: Database,
    pub leases: Leases,
}

impl Store {
    /// Opens or makes it, and finishes or undoes what a crash interrupted.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let paths = Paths {
            root: root.to_owned(),
        };
        make_dir(root, 0o710)?;
        let lock = lock(&paths)?;
        let shown = [
            paths.layers(),
            paths.containers(),
            paths.volumes(),
            paths.caches(),
        ];
        for dir in paths.blobs().iter().chain(&shown) {
            make_dir(dir, 0o710)?;
        }
        for dir in [paths.partials(), paths.tmp(), paths.trash()] {
            make_dir(&dir, 0o700)?;
        }
        let database = Database::open(&paths.database(), root)?;
        let trash = Trash::open(paths.trash())?;
        let mut store = Self {
            paths,
            trash,
            partials: Partials::default(),
            state: Mutex::new(State {
                database,
                leases: Leases::default(),
            }),
            layer: AtomicU64::new(0),
            volume: AtomicU64::new(0),
            first_volume: 0,
            first: 0,
            temporary: AtomicU64::new(0),
            _lock: lock,
        };
        let layers = crate::recover::recover(&store)?;
        store.layer = AtomicU64::new(layers);
        store.first = layers;
        store.first_volume = crate::recover::volumes(&store)?;
        store.volume = AtomicU64::new(store.first_volume);
        Ok(store)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic rolls the transaction back; what is in memory is changed last.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the database.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(self.state().database.read())
    }

    /// Changes the database.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.state().database.write(durability, change)
    }

    /// A new file in `tmp/`, named by SHA-256 in the end.
    pub(crate) fn ingest(&self) -> Result<Ingest, Error> {
        self.ingest_as(Algorithm::Sha256)
    }

    /// A new file in `tmp/`.
    pub(crate) fn ingest_as(&self, algorithm: Algorithm) -> Result<Ingest, Error> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        Ingest::create(self.paths.tmp().join(number.to_string()), algorithm)
    }

    /// A new directory in `tmp/`.
    pub(crate) fn temporary_dir(&self) -> Result<PathBuf, Error> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.paths.tmp().join(number.to_string());
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::file("create", &path))?;
        Ok(path)
    }

    /// Whether a layer's number was given since the store was opened: what has it may be on its way.
    pub(crate) fn is_new(&self, number: u64) -> bool {
        number >= self.first
    }

    /// Whether a volume's directory was made since the store was opened: it may be on its way.
    pub(crate) fn is_new_volume(&self, number: u64) -> bool {
        number >= self.first_volume
    }

    /// The number of a new directory of a volume.
    pub(crate) fn next_volume(&self) -> u64 {
        self.volume.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of a new layer.
    pub(crate) fn next_layer(&self) -> u64 {
        self.layer.fetch_add(1, Ordering::Relaxed)
    }
}

fn lock(paths: &Paths) -> Result<Lock, Error> {
    let path = paths.lock();
    let lock = Lock::take(&path).map_err(Error::file("lock", &path))?;
    lock.ok_or_else(|| Error::Locked {
        root: paths.root.clone(),
        pid: sys::file::holder(&path).map_or_else(String::new, |pid| pid.to_string()),
    })
}

/// Makes a directory, with those above it, unless it is there.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<(), Error> {
    match DirBuilder::new().recursive(true).mode(mode).create(path) {
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => Ok(()),
        answer => answer.map_err(Error::file("create", path)),
    }
}
