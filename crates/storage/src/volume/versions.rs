//! Other content for a volume, and copies of the content it has. Whatever is written is written to a
//! directory that nothing names; one transaction at the end names it.

use std::io::{BufReader, Read};
use std::sync::Arc;

use sys::dir::Dir;

use super::fresh::{self, Fresh};
use super::{CopiedTree, NewVolume, Volume, archive, fresh_for, options, rows};
use crate::Durability;
use crate::error::Error;
use crate::store::Store;

/// The longest name of a snapshot.
const MAX_NAME: usize = 255;

fn find(store: &Store, name: &str, what: &'static str) -> Result<Volume, Error> {
    let volume = store.read(|db| rows::find(db, &store.paths, name))?;
    volume.own_directory(what)?;
    Ok(volume)
}

fn open(volume: &Volume) -> Result<Dir, Error> {
    Dir::open(&volume.path).map_err(Error::file("open", &volume.path))
}

fn copy(store: &Store, source: &Volume, to: &Fresh) -> Result<CopiedTree, Error> {
    let copied = open(source).and_then(|from| to.fill(&from));
    copied.map_err(|error| because(error, store.read(|db| rows::unchanged(db, source))))
}

/// What is being thrown away has files that are gone: that it is thrown away is the reason to tell.
pub(super) fn because(error: Error, unchanged: Result<(), Error>) -> Error {
    match unchanged {
        Err(changed @ Error::VolumeChanged(_)) => changed,
        _ => error,
    }
}

pub(super) fn clone(store: &Arc<Store>, from: &str, to: &NewVolume) -> Result<CopiedTree, Error> {
    let source = find(store, from, "cloned")?;
    let plan = options::plan(&to.options)?;
    store.write(Durability::Process, |tx| rows::free(tx, &to.name))?;
    let fresh = Fresh::make(store, plan.size)?;
    let copied = copy(store, &source, &fresh)?;
    store.write(Durability::Power, |tx| {
        rows::unchanged(tx, &source)?;
        rows::free(tx, &to.name)?;
        rows::insert(tx, to, fresh.number)
    })?;
    fresh.keep();
    Ok(copied)
}

pub(super) fn snapshot(store: &Arc<Store>, volume: &str, name: &str) -> Result<CopiedTree, Error> {
    check_name(name)?;
    let source = find(store, volume, "kept as snapshots")?;
    let taken = || Error::SnapshotExists {
        volume: source.name.clone(),
        name: name.to_owned(),
    };
    if source.snapshots.iter().any(|other| other.name == name) {
        return Err(taken());
    }
    // Not limited: it is the volume that may not grow.
    let fresh = Fresh::make(store, None)?;
    let copied = copy(store, &source, &fresh)?;
    store.write(Durability::Power, |tx| {
        let now = rows::find(tx, &store.paths, volume)?;
        rows::unchanged(tx, &source)?;
        if now.snapshots.iter().any(|other| other.name == name) {
            return Err(taken());
        }
        rows::insert_snapshot(tx, &now.name, name, fresh.number)
    })?;
    fresh.keep();
    Ok(copied)
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b':');
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Error::VolumeOptions(format!(
        "invalid snapshot name {name:?}: letters, digits, '_', '.', ':' and '-' are allowed"
    )))
}

fn snapshot_of<'v>(volume: &'v Volume, name: &str) -> Result<&'v super::VolumeSnapshot, Error> {
    let found = volume.snapshots.iter().find(|of| of.name == name);
    found.ok_or_else(|| Error::NoSuchSnapshot {
        volume: volume.name.clone(),
        name: name.to_owned(),
    })
}

/// Content that a volume is about to have. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct NewContent {
    store: Arc<Store>,
    fresh: Fresh,
    target: Target,
    copied: CopiedTree,
}

/// Whose content it is to be.
#[derive(Debug)]
enum Target {
    /// One that is to be made with it.
    New(NewVolume),
    /// One that is there, as long as what the content is taken from is still what it was.
    Old(Box<Volume>, Origin),
}

/// What the content of a volume that is there is taken from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A snapshot of this number.
    Snapshot(u64),
    /// An archive; the volume has to be empty.
    IntoEmpty,
    /// An archive.
    Replacing,
}

impl NewContent {
    /// How it was copied.
    pub fn copied(&self) -> CopiedTree {
        self.copied
    }

    /// Makes it the volume's, and throws away what that had: nobody may have it mounted.
    ///
    /// # Errors
    /// [`Error::VolumeExists`] and [`Error::VolumeChanged`] when somebody was quicker, and when the
    /// database fails.
    pub fn commit(self) -> Result<(), Error> {
        let number = self.fresh.number;
        match &self.target {
            Target::Old(volume, from) => put(&self.store, volume, *from, self.fresh),
            Target::New(new) => {
                let insert = self
                    .store
                    .write(Durability::Power, |tx| rows::insert(tx, new, number));
                if !insert? {
                    return Err(Error::VolumeExists(new.name.clone()));
                }
                self.fresh.keep();
                Ok(())
            }
        }
    }
}

pub(super) fn restore(
    store: &Arc<Store>,
    volume: &str,
    snapshot: &str,
) -> Result<NewContent, Error> {
    let volume = find(store, volume, "restored")?;
    let kept = snapshot_of(&volume, snapshot)?.number;
    let path = store.paths.volume(kept).join(crate::paths::DATA);
    let fresh = fresh_for(store, &volume)?;
    let from = Dir::open(&path).map_err(Error::file("open", &path));
    let copied = from.and_then(|from| fresh.fill(&from)).map_err(|error| {
        because(
            error,
            store.read(|db| rows::has_snapshot(db, &volume, kept)),
        )
    })?;
    Ok(NewContent {
        store: Arc::clone(store),
        fresh,
        target: Target::Old(Box::new(volume), Origin::Snapshot(kept)),
        copied,
    })
}

/// Gives the volume this content.
fn put(store: &Store, volume: &Volume, from: Origin, fresh: Fresh) -> Result<(), Error> {
    let replaced = store.write(Durability::Power, |tx| {
        match from {
            Origin::Snapshot(number) => rows::has_snapshot(tx, volume, number)?,
            // A container may have put something there while the archive was read.
            Origin::IntoEmpty if !is_empty(volume)? => {
                return Err(Error::VolumeNotEmpty(volume.name.clone()));
            }
            Origin::IntoEmpty | Origin::Replacing => {}
        }
        rows::replace(tx, &volume.name, volume.number, fresh.number)
    })?;
    if !replaced {
        return Err(Error::VolumeChanged(volume.name.clone()));
    }
    fresh.keep();
    fresh::discard(store, volume.number);
    Ok(())
}

pub(super) fn forget(store: &Store, volume: &str, snapshot: &str) -> Result<(), Error> {
    let number = store.write(Durability::Power, |tx| {
        let volume = rows::find(tx, &store.paths, volume)?;
        let number = snapshot_of(&volume, snapshot)?.number;
        rows::delete_snapshot(tx, &volume.name, snapshot)?;
        Ok(number)
    })?;
    fresh::discard(store, number);
    Ok(())
}

pub(super) fn import(
    store: &Arc<Store>,
    new: &NewVolume,
    replace: bool,
    tar: &mut (dyn Read + Send),
) -> Result<NewContent, Error> {
    let found = store.read(|db| rows::get(db, &store.paths, new.name.as_str()))?;
    let fresh = match &found {
        Some(volume) => {
            volume.own_directory("imported into")?;
            if !replace && !is_empty(volume)? {
                return Err(Error::VolumeNotEmpty(volume.name.clone()));
            }
            fresh_for(store, volume)?
        }
        None => Fresh::make(store, options::plan(&new.options)?.size)?,
    };
    {
        let _held = fresh.held()?;
        let tar = BufReader::with_capacity(128 << 10, tar);
        archive::import(store, fresh.number, tar)?;
    }
    fresh.sync()?;
    Ok(NewContent {
        store: Arc::clone(store),
        fresh,
        target: match found {
            Some(volume) if replace => Target::Old(Box::new(volume), Origin::Replacing),
            Some(volume) => Target::Old(Box::new(volume), Origin::IntoEmpty),
            None => Target::New(new.clone()),
        },
        copied: CopiedTree::default(),
    })
}

pub(super) fn is_empty(volume: &Volume) -> Result<bool, Error> {
    let mut entries = open(volume)?
        .entries()
        .map_err(Error::file("read", &volume.path))?;
    Ok(entries.next().is_none())
}
