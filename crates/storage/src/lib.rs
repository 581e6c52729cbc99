//! Everything under the data root that becomes a mount: content, images, snapshots, and the one
//! transactional store that says what refers to what (the engine's records live in it too).
//!
//! Emits [`types::Mount`] values and mounts nothing for others. Knows no registry, no Docker JSON
//! and no container beyond its id. Synchronous; callers with an event loop bring their own threads.
//!
//! Boundary types: [`Storage`], [`Image`], [`Snapshot`], [`Records`], [`Error`].

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use types::{ContainerId, Digest, ErrorKind, ImageRef, Mount, Platform};

/// The store under one data root. Cheap to clone; safe to share between threads.
#[derive(Debug, Clone)]
pub struct Storage {}

/// An image as the store knows it.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the manifest or index that references name: the image's id, as in Docker 29.
    pub id: Digest,
    /// Digest of the manifest of this machine's platform.
    pub manifest: Digest,
    /// References that name it.
    pub references: Vec<ImageRef>,
    /// The OCI image configuration.
    pub config: oci_spec::image::ImageConfiguration,
    /// Chain of unpacked layers' diff ids, the lowest first.
    pub layers: Vec<Digest>,
    /// Bytes: content and unpacked layers.
    pub size: u64,
    /// When it came into this store, nanoseconds since the Unix epoch.
    pub added: i64,
}

/// A container's writable layer.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What mounts it: one overlay at `/`.
    pub mounts: Vec<Mount>,
}

/// How a write of a record must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// kill -9 of the daemon, not a power cut: for what a power cut undoes anyway.
    Process,
    /// A power cut.
    Power,
}

/// One record of the engine: `body` is the engine's own versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The container.
    pub id: ContainerId,
    /// Its name, unique among all.
    pub name: String,
    /// The image it was made from, which it keeps from being collected.
    pub image: Digest,
    /// The record.
    pub body: String,
}

/// What an import, load or save refuses or fails at. One sentence that names the object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        todo!()
    }
}

/// What to make of an imported tar.
#[derive(Debug, Default)]
pub struct Import {
    /// The name it gets.
    pub reference: Option<ImageRef>,
    /// The platform it is for; none means the host's.
    pub platform: Option<Platform>,
    /// The message of its one history entry.
    pub message: String,
    /// `CMD`, `ENTRYPOINT`, `ENV`, ... applied to its configuration, as `import --change`.
    pub changes: Vec<String>,
}

/// What a load found: references and ids of the images, in order.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The name, if the archive gave one.
    pub reference: Option<ImageRef>,
    /// The image.
    pub id: Digest,
}

/// What removing an image did, in order.
#[derive(Debug, Clone)]
pub enum Removed {
    /// This reference no longer names it.
    Untagged(ImageRef),
    /// This content is gone.
    Deleted(Digest),
}

impl Storage {
    /// Opens or makes the store at `root`, and finishes or undoes what a crash interrupted.
    pub fn open(_root: &Path) -> Result<Self, Error> {
        todo!()
    }

    /// All images.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        todo!()
    }

    /// The image named by a reference, an id (with or without `sha256:`) or a unique prefix of one.
    pub fn image(&self, _name: &str) -> Result<Image, Error> {
        todo!()
    }

    /// A root file system as a new image of one layer; plain, gzip, zstd, xz or bzip2.
    pub fn import(&self, _tar: &mut dyn Read, _import: &Import) -> Result<Digest, Error> {
        todo!()
    }

    /// A docker-archive or an OCI layout; compressed or not.
    pub fn load(&self, _archive: &mut dyn Read) -> Result<Vec<Loaded>, Error> {
        todo!()
    }

    /// An archive that is both docker-archive and OCI layout.
    pub fn save(&self, _names: &[String], _archive: &mut dyn Write) -> Result<(), Error> {
        todo!()
    }

    /// Names an image.
    pub fn tag(&self, _source: &str, _target: &ImageRef) -> Result<(), Error> {
        todo!()
    }

    /// Removes a reference, and the image when it was the last. Never one a container needs.
    pub fn remove(&self, _name: &str, _force: bool) -> Result<Vec<Removed>, Error> {
        todo!()
    }

    /// Makes the writable layer of a container on an image. `throwaway` layers need not survive
    /// a power cut.
    pub fn prepare(
        &self,
        _id: &ContainerId,
        _image: &Image,
        _throwaway: bool,
    ) -> Result<Snapshot, Error> {
        todo!()
    }

    /// The writable layer made before.
    pub fn snapshot(&self, _id: &ContainerId) -> Result<Snapshot, Error> {
        todo!()
    }

    /// Drops a writable layer: at once out of the way, its files in the background.
    pub fn discard(&self, _id: &ContainerId) -> Result<(), Error> {
        todo!()
    }

    /// Bytes in a writable layer.
    pub fn usage(&self, _id: &ContainerId) -> Result<u64, Error> {
        todo!()
    }

    /// Where a container's files other than its root live (log, hosts, exit record); made by
    /// `prepare`, dropped by `discard`.
    pub fn container_dir(&self, _id: &ContainerId) -> PathBuf {
        todo!()
    }

    /// The engine's records.
    pub fn records(&self) -> Records {
        todo!()
    }
}

/// The engine's records in the one store.
#[derive(Debug, Clone)]
pub struct Records {}

impl Records {
    /// Adds one. [`ErrorKind::Conflict`] when the name or id is taken.
    pub fn insert(&self, _record: &Record, _durability: Durability) -> Result<(), Error> {
        todo!()
    }

    /// Replaces body and name of one that is there.
    pub fn update(&self, _record: &Record, _durability: Durability) -> Result<(), Error> {
        todo!()
    }

    /// Removes one.
    pub fn delete(&self, _id: &ContainerId, _durability: Durability) -> Result<(), Error> {
        todo!()
    }

    /// All of them.
    pub fn all(&self) -> Result<Vec<Record>, Error> {
        todo!()
    }
}
