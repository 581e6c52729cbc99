//! Volumes: directories that containers share and that outlive them.
//!
//! A row names each directory by number; its content is replaced by giving the row another number, in
//! one transaction, so that whoever is killed leaves the old content or the new. A volume whose
//! options name a device is mounted by nobody here: [`Volume::mount`] says how, and the runtime mounts
//! it inside each container's mount namespace.

pub(crate) mod archive;
mod copy;
mod fresh;
mod linked;
mod options;
mod rows;
mod stage;
mod versions;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use types::{ContainerId, Mount, VolumeName};

pub use copy::CopiedTree;
pub use options::Backing;
pub use stage::StagedVolume;
pub use versions::NewContent;

use crate::error::Error;
use crate::{Durability, Storage, usage};
use fresh::Fresh;

pub(crate) use fresh::discard;
pub(crate) use rows::{all, numbers};
pub(crate) use stage::{Settled, delete_unused, done, own, part_from, references};

/// The label of volumes that nobody named.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name.
    pub name: VolumeName,
    /// The driver's options: `type`, `o`, `device`, `size`.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: VolumeName,
    /// Nanoseconds since the Unix epoch.
    pub created: i64,
    /// The driver's options as they were given.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The store's directory for its files.
    pub path: PathBuf,
    /// What is mounted where it is.
    pub backing: Backing,
    /// Containers that have it, running or not.
    pub users: Vec<ContainerId>,
    /// What was kept of earlier content, the oldest first.
    pub snapshots: Vec<VolumeSnapshot>,
    pub(crate) number: u64,
    pub(crate) size: Option<u64>,
}

/// Earlier content of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSnapshot {
    /// Its name, unique among those of the volume.
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub created: i64,
    pub(crate) number: u64,
}

impl Volume {
    /// What mounts it.
    ///
    /// # Errors
    /// When the address of a server cannot be found.
    pub fn mount(&self) -> Result<Mount, Error> {
        self.backing.mount(&self.path)
    }

    /// Whether nobody named it.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }

    /// Refuses what can only be done with the store's own directories.
    fn own_directory(&self, what: &'static str) -> Result<(), Error> {
        match &self.backing {
            Backing::Directory => Ok(()),
            Backing::Bind { .. } | Backing::FileSystem { .. } => Err(Error::VolumeElsewhere {
                name: self.name.clone(),
                what,
            }),
        }
    }
}

impl Storage {
    /// Makes a volume, or finds the one that has the name already.
    ///
    /// # Errors
    /// [`Error::VolumeOptions`], [`Error::NoVolumeQuota`], and when the disk is full; nothing is left
    /// then.
    pub fn create_volume(&self, new: &NewVolume) -> Result<Volume, Error> {
        for _ in 0..TRIES {
            match self.find_or_create(new) {
                Err(Error::NoSuchVolume(_)) => {}
                done => return done,
            }
        }
        self.find_or_create(new)
    }

    fn find_or_create(&self, new: &NewVolume) -> Result<Volume, Error> {
        let staged = stage::stage(&self.store, new.clone(), false)?;
        let mut settled = Settled::default();
        // Told of in the same transaction: it may be removed right after.
        let volume = self.store.write(Durability::Power, |tx| {
            settled = stage::settle(tx, std::slice::from_ref(&staged))?;
            rows::find(tx, &self.store.paths, new.name.as_str())
        })?;
        done(&self.store, vec![staged], &settled);
        Ok(volume)
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], and when the database fails.
    pub fn volume(&self, name: &str) -> Result<Volume, Error> {
        self.store
            .read(|db| rows::find(db, &self.store.paths, name))
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn volumes(&self) -> Result<Vec<Volume>, Error> {
        self.store.read(|db| all(db, &self.store.paths))
    }

    /// Removes a volume with its snapshots; its files in the background.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeInUse`].
    pub fn remove_volume(&self, name: &str) -> Result<(), Error> {
        let numbers = self.store.write(Durability::Power, |tx| {
            let volume = rows::find(tx, &self.store.paths, name)?;
            rows::unused(&volume, "remove")?;
            rows::delete(tx, &volume)
        })?;
        for number in numbers {
            discard(&self.store, number);
        }
        Ok(())
    }

    /// Gives a volume another name.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeExists`], and [`Error::VolumeInUse`] when a container
    /// has it, which knows it by its name.
    pub fn rename_volume(&self, name: &str, new: &VolumeName) -> Result<(), Error> {
        self.store.write(Durability::Power, |tx| {
            let volume = rows::find(tx, &self.store.paths, name)?;
            rows::unused(&volume, "rename")?;
            rows::free(tx, new)?;
            rows::rename(tx, &volume, new)
        })
    }

    /// Bytes a volume's files take on disk; none where they are not the store's. Walks it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn volume_usage(&self, volume: &Volume) -> Result<Option<u64>, Error> {
        match volume.backing {
            Backing::Directory => usage::tree(&volume.path).map(Some),
            Backing::Bind { .. } | Backing::FileSystem { .. } => Ok(None),
        }
    }

    /// A volume to be given to a container that is about to be made; made with it if it is not there.
    /// `own` may go with the container.
    ///
    /// # Errors
    /// As [`Storage::create_volume`].
    pub fn stage_volume(&self, new: NewVolume, own: bool) -> Result<StagedVolume, Error> {
        stage::stage(&self.store, new, own)
    }

    /// A new volume with the content of another one: by reference where the file system can.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeExists`], [`Error::VolumeElsewhere`], and when the disk
    /// is full; nothing is left then.
    pub fn clone_volume(&self, from: &str, to: &NewVolume) -> Result<CopiedTree, Error> {
        versions::clone(&self.store, from, to)
    }

    /// Keeps a volume's content as it is now under a name of the caller's.
    ///
    /// # Errors
    /// As [`Storage::clone_volume`]; [`Error::SnapshotExists`].
    pub fn snapshot_volume(&self, volume: &str, name: &str) -> Result<CopiedTree, Error> {
        versions::snapshot(&self.store, volume, name)
    }

    /// Brings a volume's content back that a snapshot kept, for [`NewContent::commit`].
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::NoSuchSnapshot`], and when the disk is full; nothing is left
    /// then.
    pub fn restore_volume(&self, volume: &str, snapshot: &str) -> Result<NewContent, Error> {
        versions::restore(&self.store, volume, snapshot)
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::NoSuchSnapshot`].
    pub fn remove_volume_snapshot(&self, volume: &str, snapshot: &str) -> Result<(), Error> {
        versions::forget(&self.store, volume, snapshot)
    }

    /// A volume's files as a tar archive, with owners, modes, times, attributes and hard links.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`] before anything is written; when the archive cannot be written;
    /// [`Error::VolumeChanged`] when the volume was given other content meanwhile, of which the archive
    /// has nothing and of the old one perhaps not all.
    pub fn export_volume(&self, volume: &str, archive: &mut dyn Write) -> Result<(), Error> {
        let volume = self.volume(volume)?;
        let unchanged = || self.store.read(|db| rows::unchanged(db, &volume));
        let dir = fresh::open(&volume.backing, &volume.path);
        let written = dir.and_then(|dir| archive::export(&dir, archive));
        written.map_err(|error| versions::because(error, unchanged()))?;
        unchanged()
    }

    /// Unpacks what a tar archive holds, plain, gzip, zstd, xz or bzip2, to be made a volume's content
    /// by [`NewContent::commit`]. A volume that is not there is made by that. `replace` has the content
    /// of one that is not empty replaced.
    ///
    /// # Errors
    /// [`Error::VolumeNotEmpty`], and when the stream breaks or is no tar archive or the disk is full;
    /// nothing is left then.
    pub fn import_volume(
        &self,
        new: &NewVolume,
        replace: bool,
        tar: &mut (dyn Read + Send),
    ) -> Result<NewContent, Error> {
        versions::import(&self.store, new, replace, tar)
    }
}

/// Who finds a volume and then takes it may find that somebody has removed it in between: then there is none,
/// and it is to be made. So often is it looked for again, for who removes it over and over.
const TRIES: u32 = 16;

/// A directory for the content of a volume: as large as the volume may be.
fn fresh_for(store: &Arc<crate::store::Store>, volume: &Volume) -> Result<Fresh, Error> {
    Fresh::make(store, volume.size)
}
