//! Everything under the data root that becomes a mount: content, images, snapshots, and the one
//! transactional store that says what refers to what (the engine's records live in it too).
//!
//! Emits [`types::Mount`] values and mounts nothing for others. Knows no registry, no Docker JSON
//! and no container beyond its id. Synchronous; callers with an event loop bring their own threads.
//!
//! Boundary types: [`Storage`], [`Image`], [`Snapshot`], [`Records`], [`Error`].

mod build;
mod check;
mod clock;
mod compact;
mod compress;
mod content;
mod db;
mod deflate;
mod descriptor;
mod encoder;
mod error;
mod gc;
mod hash;
mod image;
mod layer;
mod networks;
mod paths;
mod pipe;
mod places;
mod pull;
mod push;
mod quota;
mod records;
mod recover;
mod relieve;
mod snapshot;
mod stage;
mod store;
mod tail;
mod tar;
mod temp;
mod trash;
mod usage;
mod volume;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sys::dir::Dir;
use types::{ContainerId, Digest, ImageRef, Mount, Platform};

pub use build::{BuildRecord, CacheUsage, Draft, Kept, Layers, Packed};
pub use check::{Check, Checked, Checking, Problem, Remedy};
pub use compact::Compacted;
pub use descriptor::Descriptor;
pub use error::{Error, Malformed};
pub use image::documents::MAX_NESTING;
pub use image::{
    Asked, Assembled, Assembly, Compression, DockerConfig, Empty, Healthcheck, MediaTypes, Method,
    Part, RunConfig, STATEMENT, Statement, Variant,
};
pub use layer::{Among, unpack_among};
pub use networks::{NetworkRecord, NetworkRecords};
pub use places::PLACES;
pub use pull::{Busy, Committed, Ingest, Layer, Missing, Opened, Pull, Wanted, choose};
pub use push::{Push, PushBlob};
pub use records::Records;
pub use relieve::{Relieved, Watermarks};
pub use snapshot::Parts;
use store::Store;
pub use usage::{ContainerUsage, DiskUsage, ImageUsage};
pub use volume::archive::Archive;
pub use volume::{
    ANONYMOUS, Backing, CopiedTree, NewContent, NewVolume, StagedVolume, Volume, VolumeSnapshot,
};

/// Writes a tar archive of what `name` of `parent` is, with all that is in it, as `called`. Without that,
/// of what is in it only. No name is followed.
///
/// # Errors
/// When something cannot be read, or the archive not be written.
pub fn archive(
    parent: &Dir,
    name: &OsStr,
    called: Option<&[u8]>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    volume::archive::write(parent, name, called, out)
}

/// The same as `called`, without what is in directories of the file system `except`, a number as in
/// [`sys::dir::Status::identity`]; with owners as they are inside `ids`, if there are any.
///
/// # Errors
/// As [`archive`].
pub fn archive_without(
    parent: &Dir,
    name: &OsStr,
    called: &[u8],
    except: Option<u64>,
    ids: Option<&types::IdMaps>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    volume::archive::write_without(parent, name, Some(called), (except, ids), out)
}

/// The store under one data root. Cheap to clone; safe to share between threads. Nobody else opens
/// the root until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Storage {
    store: Arc<Store>,
}

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
    /// What Docker has in it beside that.
    pub docker: DockerConfig,
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

/// What to make of a container.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The container.
    pub container: ContainerId,
    /// The files of its image.
    pub below: &'a Dir,
    /// Absolute paths that are left out where the image has nothing: made for mounts.
    pub places: &'a [&'a str],
    /// The name it gets.
    pub reference: Option<ImageRef>,
    /// Who made it; empty is who made the image.
    pub author: String,
    /// The message of its history.
    pub comment: String,
    /// What its history says it was made by.
    pub created_by: String,
    /// How the container runs.
    pub config: RunConfig,
    /// What is to be instead, with the container's in all it leaves open.
    pub asked: Option<RunConfig>,
    /// `CMD`, `ENTRYPOINT`, `ENV`, ... applied to that.
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

/// Buffers of an import are many times what an idle daemon needs.
struct TrimAtEnd;

impl Drop for TrimAtEnd {
    fn drop(&mut self) {
        sys::memory::trim();
    }
}

impl Storage {
    /// Opens or makes the store at `root`, and finishes or undoes what a crash interrupted. Writable
    /// layers that no record names are dropped.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Newer`] when a newer program made it,
    /// and when the directory cannot be written.
    pub fn open(root: &Path) -> Result<Self, Error> {
        Ok(Self {
            store: Arc::new(Store::open(root)?),
        })
    }

    /// All images.
    ///
    /// # Errors
    /// When the database fails.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        image::list(&self.store)
    }

    /// The image named by a reference, an id (with or without `sha256:`) or a unique prefix of one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Ambiguous`], and when the database fails.
    pub fn image(&self, name: &str) -> Result<Image, Error> {
        image::find(&self.store, name)
    }

    /// The image as it is on a platform: its manifest, configuration and layers there, which are
    /// unpacked first if need be.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::NoPlatform`], [`Error::Missing`] when not all of it is here.
    pub fn image_on(&self, name: &str, platform: &Platform) -> Result<Image, Error> {
        image::on_platform(&self.store, name, platform)
    }

    /// The manifests of an image: of an index all that it lists, here or not.
    ///
    /// # Errors
    /// When a document of the store is damaged, and when the database fails.
    pub fn variants(&self, image: &Image) -> Result<Vec<Variant>, Error> {
        image::variants(&self.store, image)
    }

    /// The statements about an image on a platform (provenance, bills of materials) that are here.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::NoPlatform`], and when content of the store is damaged.
    pub fn statements(&self, name: &str, asked: &Asked) -> Result<Vec<Statement>, Error> {
        image::statements(&self.store, name, asked)
    }

    /// Bytes of each unpacked layer of an image, the lowest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn layer_sizes(&self, image: &Image) -> Result<Vec<u64>, Error> {
        image::layer_sizes(&self.store, image)
    }

    /// What an image's id names: its manifest or index.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], and when the database fails.
    pub fn descriptor(&self, id: &Digest) -> Result<Descriptor, Error> {
        image::descriptor(&self.store, id)
    }

    /// The descriptor of the manifest that a container was made from, with what it runs on; none when
    /// container or manifest is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub fn manifest_of(&self, container: &str) -> Result<Option<Descriptor>, Error> {
        image::manifest_of(&self.store, container)
    }

    /// [`Self::manifest_of`] all containers, by their ids; one whose manifest is gone is not among them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn manifests(&self) -> Result<HashMap<String, Arc<Descriptor>>, Error> {
        image::manifests(&self.store)
    }

    /// Takes a file or a directory of the data root out of the way at once; what is in it is removed on a thread.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn throw_away(&self, path: &Path) -> Result<(), Error> {
        self.store.trash.discard(path)
    }

    /// Waits until the space of what was removed is free, for so long at most.
    pub fn wait_for_space(&self, patience: Duration) {
        self.store.trash.wait(patience);
    }

    /// What everything takes on disk. Walks what it has not counted before.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub fn disk_usage(&self) -> Result<DiskUsage, Error> {
        usage::disk_usage(&self.store)
    }

    /// What one image takes on disk.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub fn image_usage(&self, id: &Digest) -> Result<ImageUsage, Error> {
        usage::image_usage(&self.store, id)
    }

    /// Looks at every blob, layer and record, and mends what can be mended if asked to.
    ///
    /// # Errors
    /// When the database cannot be read or written; what is damaged is no error but told.
    pub fn check(
        &self,
        check: &Check<'_>,
        progress: &mut dyn FnMut(&Checking),
    ) -> Result<Checked, Error> {
        let _trim = TrimAtEnd;
        check::check(&self.store, check, progress)
    }

    /// Makes space on a disk that is fuller than the high watermark, until the low one is reached:
    /// what pulls have left goes, then what is kept twice, then images that no container needs and
    /// that `spare` does not keep. Takes long; `stop` ends it early.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub fn relieve(
        &self,
        marks: Watermarks,
        spare: &dyn Fn(&Image) -> bool,
        stop: &AtomicBool,
    ) -> Result<Relieved, Error> {
        relieve::relieve(&self.store, marks, spare, stop)
    }

    /// Removes what pulls have left unfinished: all of it, or what nobody came back for in a day.
    /// Returns the bytes that are free by it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn collect_partial(&self, all: bool) -> Result<u64, Error> {
        let partials = self.store.paths.partials();
        self.store.partials.collect(&partials, all)
    }

    /// What mounts an image read-only: one overlay at `/`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn mount_image(&self, image: &Image) -> Result<Mount, Error> {
        snapshot::image(&self.store, image)
    }

    /// A root file system as a new image of one layer; plain, gzip, zstd, xz or bzip2.
    ///
    /// # Errors
    /// When the stream breaks or is no tar archive, a change is not understood, or the disk is full;
    /// nothing is left then.
    pub fn import(&self, tar: &mut dyn Read, import: &Import) -> Result<Digest, Error> {
        let _trim = TrimAtEnd;
        image::import(&self.store, tar, import)
    }

    /// An image of layers that are here.
    ///
    /// # Errors
    /// When a layer is not, and when the disk is full; nothing is left then.
    pub fn assemble(&self, assembly: &Assembly) -> Result<Assembled, Error> {
        let _trim = TrimAtEnd;
        image::assemble(&self.store, assembly)
    }

    /// A container's files as a new image: its image's layers, and one more of what it has changed, if
    /// it has. The same changes are the same layer.
    ///
    /// # Errors
    /// [`Error::NoContainer`], when a change is not understood, and when the disk is full; nothing is
    /// left then.
    pub fn commit(&self, commit: &Commit<'_>) -> Result<Digest, Error> {
        let _trim = TrimAtEnd;
        image::commit(&self.store, commit)
    }

    /// A docker-archive or an OCI layout; compressed or not.
    ///
    /// # Errors
    /// When the stream breaks, is no image archive, contradicts its own digests, or the disk is full;
    /// nothing is left then.
    pub fn load(&self, archive: &mut dyn Read) -> Result<Vec<Loaded>, Error> {
        let _trim = TrimAtEnd;
        image::load(&self.store, archive, &[])
    }

    /// As [`Storage::load`]; of images for several platforms only what is for one of these.
    ///
    /// # Errors
    /// As [`Storage::load`], and [`Error::Archive`] when an image has nothing for them.
    pub fn load_platforms(
        &self,
        archive: &mut dyn Read,
        platforms: &[Platform],
    ) -> Result<Vec<Loaded>, Error> {
        let _trim = TrimAtEnd;
        image::load(&self.store, archive, platforms)
    }

    /// An archive that is both docker-archive and OCI layout; the same bytes for the same images.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] before anything is written; [`Error::Damaged`] when a file of the store
    /// is, and when the archive cannot be written.
    pub fn save(&self, names: &[String], archive: &mut dyn Write) -> Result<(), Error> {
        let _trim = TrimAtEnd;
        image::save(&self.store, names, &[], &BTreeMap::new(), archive)
    }

    /// As [`Storage::save`]; of images for several platforms only what is for these. `described` are further annotations
    /// of what the archive says of each image.
    ///
    /// # Errors
    /// As [`Storage::save`], and [`Error::NoPlatform`] when an image has nothing for one of them.
    pub fn save_platforms(
        &self,
        names: &[String],
        platforms: &[Platform],
        described: &BTreeMap<String, String>,
        archive: &mut dyn Write,
    ) -> Result<(), Error> {
        let _trim = TrimAtEnd;
        image::save(&self.store, names, platforms, described, archive)
    }

    /// The names that a save of these means: all tags of a repository for one that has neither tag nor digest.
    ///
    /// # Errors
    /// When the database fails.
    pub fn saved_names(&self, names: &[String]) -> Result<Vec<String>, Error> {
        image::saved_names(&self.store, names)
    }

    /// Begins a pull, or takes up what an earlier one has left: of what `root` names, a manifest or
    /// an index, which is `document`.
    ///
    /// # Errors
    /// When the document is not what its descriptor says or cannot be understood.
    pub fn pull(&self, root: &Descriptor, document: &[u8], wanted: Wanted) -> Result<Pull, Error> {
        pull::begin(&self.store, root, document, wanted)
    }

    /// Collects what is pushed of an image: of an index all of it, or only the manifest for
    /// `platform`.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::NoPlatform`], and when not all of it is here.
    pub fn push(&self, name: &str, platform: Option<&Platform>) -> Result<Push, Error> {
        push::begin(&self.store, name, platform)
    }

    /// Drops the compressed form of layers that are here unpacked too, where the very same bytes can
    /// be made again for a push or a save. Takes long; `stop` ends it after the layer it is at.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub fn compact(&self, stop: &AtomicBool) -> Result<Compacted, Error> {
        let _trim = TrimAtEnd;
        compact::compact(&self.store, stop)
    }

    /// Names an image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::TagWithDigest`], and when the database fails.
    pub fn tag(&self, source: &str, target: &ImageRef) -> Result<(), Error> {
        image::tag(&self.store, source, target)
    }

    /// Removes a reference, and the image when it was the last. Never one a container needs: by
    /// force its names go and it stays.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::ManyRepositories`] and [`Error::InUse`] without force.
    pub fn remove(&self, name: &str, force: bool) -> Result<Vec<Removed>, Error> {
        image::remove(&self.store, name, force)
    }

    /// Removes what an image is for these platforms; the image and its names stay, with what is left.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::NoPlatform`], [`Error::LastPlatform`], and
    /// [`Error::PlatformInUse`].
    pub fn remove_platforms(
        &self,
        name: &str,
        platforms: &[Platform],
    ) -> Result<Vec<Removed>, Error> {
        image::forget(&self.store, name, platforms)
    }

    /// Makes a container: its record, its directories and the writable layer on `record.image`, in
    /// one transaction. `throwaway` ones need not survive a power cut.
    ///
    /// # Errors
    /// [`Error::NameTaken`], [`Error::NoSuchImage`], and when the disk is full; nothing is left then.
    pub fn create_container(&self, record: &Record, throwaway: bool) -> Result<Snapshot, Error> {
        snapshot::create(&self.store, record, None, throwaway)
    }

    /// As [`Storage::create_container`], on another than the first manifest of `record.image`:
    /// [`Image::manifest`] of what [`Storage::image_on`] returned.
    ///
    /// # Errors
    /// As [`Storage::create_container`].
    pub fn create_container_on(
        &self,
        record: &Record,
        manifest: &Digest,
        throwaway: bool,
    ) -> Result<Snapshot, Error> {
        snapshot::create(&self.store, record, Some(manifest), throwaway)
    }

    /// As [`Storage::create_container_on`], with volumes and further images, all in one transaction.
    ///
    /// # Errors
    /// As [`Storage::create_container`]; [`Error::NoSuchVolume`] when one was removed meanwhile.
    pub fn create_container_with(
        &self,
        record: &Record,
        manifest: Option<&Digest>,
        throwaway: bool,
        parts: Parts,
    ) -> Result<Snapshot, Error> {
        snapshot::create_with(&self.store, record, manifest, throwaway, parts)
    }

    /// Has a container that is there have these volumes and images too.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`] when one was removed meanwhile, and when the database fails.
    pub fn add_parts(&self, id: &ContainerId, parts: Parts) -> Result<(), Error> {
        snapshot::add_parts(&self.store, id, parts)
    }

    /// Has a container have these volumes no more; those of `new` that nobody has then are deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn take_volumes(
        &self,
        id: &ContainerId,
        names: &[String],
        new: &[String],
    ) -> Result<(), Error> {
        snapshot::take_volumes(&self.store, id, names, new)
    }

    /// As [`Storage::remove_container`], and with it the volumes that were made with it and that no
    /// other container has.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub fn remove_container_with_volumes(
        &self,
        id: &ContainerId,
        durability: Durability,
    ) -> Result<(), Error> {
        snapshot::remove_with_volumes(&self.store, id, durability)
    }

    /// Removes a container: its record and its writable layer, in one transaction; its files in the
    /// background. Nothing happens when it is not there.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub fn remove_container(&self, id: &ContainerId, durability: Durability) -> Result<(), Error> {
        snapshot::remove(&self.store, id, durability)
    }

    /// Makes the writable layer of a container on an image. `throwaway` layers need not survive
    /// a power cut. Its record is to follow before the store is next opened.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], and when the disk is full; nothing is left then.
    pub fn prepare(
        &self,
        id: &ContainerId,
        image: &Image,
        throwaway: bool,
    ) -> Result<Snapshot, Error> {
        snapshot::prepare(&self.store, id, &image.id, throwaway)
    }

    /// Limits what a container's writable layer may take on disk, in bytes. Before it is first used.
    ///
    /// # Errors
    /// [`Error::NoQuota`] where the file system has no project quotas, [`Error::NoContainer`].
    pub fn limit(&self, id: &ContainerId, bytes: u64) -> Result<(), Error> {
        quota::limit(&self.store, id, bytes)
    }

    /// The writable layer made before.
    ///
    /// # Errors
    /// [`Error::NoContainer`] when it is not there, and when the database fails.
    pub fn snapshot(&self, id: &ContainerId) -> Result<Snapshot, Error> {
        snapshot::find(&self.store, id)
    }

    /// Drops a writable layer: at once out of the way, its files in the background.
    ///
    /// # Errors
    /// When the database or the disk fails; not when it is not there.
    pub fn discard(&self, id: &ContainerId) -> Result<(), Error> {
        snapshot::discard(&self.store, id)
    }

    /// Bytes a writable layer takes on disk. Walks it.
    ///
    /// # Errors
    /// [`Error::NoContainer`] when it is not there.
    pub fn usage(&self, id: &ContainerId) -> Result<u64, Error> {
        snapshot::usage(&self.store, id)
    }

    /// Where a container's files other than its root live (log, hosts, exit record); made by
    /// `prepare`, dropped by `discard`.
    pub fn container_dir(&self, id: &ContainerId) -> PathBuf {
        self.store.paths.container(id)
    }

    /// The engine's records of networks.
    pub fn networks(&self) -> NetworkRecords {
        NetworkRecords {
            store: Arc::clone(&self.store),
        }
    }

    /// The engine's records.
    pub fn records(&self) -> Records {
        Records {
            store: Arc::clone(&self.store),
        }
    }
}
