//! What the product does, one verb a file: containers, exec sessions and images as use cases, their
//! records, undo, recovery.
//!
//! No HTTP, no Docker JSON, no command line, no raw system call. Verbs that only touch memory, disk
//! and a shim are blocking functions, to be called where blocking is allowed; verbs that wait are
//! async.
//!
//! Boundary types: [`Engine`], [`Config`], [`Error`], [`container::View`], [`exec::View`].

pub mod container;
pub mod exec;
pub mod image;
pub mod system;

use std::path::PathBuf;

use types::ErrorKind;

/// Where an engine keeps things and finds its helpers.
#[derive(Debug, Clone)]
pub struct Config {
    /// What survives reboots: images, layers, records, logs.
    pub data_root: PathBuf,
    /// What does not: sockets, bundles.
    pub run_root: PathBuf,
    /// The cgroup under which containers' own are made: `/brig`.
    pub cgroup_parent: String,
    /// `brig-shim`.
    pub shim: PathBuf,
    /// `brig-init`, static, mounted into containers that ask for `--init`.
    pub init: PathBuf,
    /// Another OCI runtime to drive by its command line; none means our own, in the shim.
    pub foreign_runtime: Option<PathBuf>,
}

/// Everything the verbs share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {}

/// Why a verb refused or failed: one sentence a layer, the source kept.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        todo!()
    }
}

impl Engine {
    /// Opens the store, takes back what runs, finishes what a crash interrupted. Must be called
    /// within a tokio runtime, which it uses for what it watches.
    pub async fn open(_config: Config) -> Result<Self, Error> {
        todo!()
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        todo!()
    }

    /// Lets go of all containers, which go on running.
    pub async fn close(&self) {
        todo!()
    }
}
