//! Volumes on their way to a container: made, filled, and only then named, together with the record
//! of who has them.

use std::os::fd::AsFd;
use std::sync::Arc;

use rusqlite::{Transaction, params};
use sys::dir::Dir;
use sys::root::Root;
use types::{ContainerId, VolumeName};

use super::fresh::{self, Fresh};
use super::options::{self, Backing};
use super::{CopiedTree, NewVolume, Volume, rows, versions};
use crate::error::Error;
use crate::paths::Paths;
use crate::store::Store;

/// A volume that a container is about to have. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct StagedVolume {
    store: Arc<Store>,
    new: NewVolume,
    own: bool,
    found: Option<Volume>,
    /// The directory it will have, if not the one it has.
    fresh: Option<Fresh>,
}

/// Finds the volume, or makes a directory for it.
pub(super) fn stage(store: &Arc<Store>, new: NewVolume, own: bool) -> Result<StagedVolume, Error> {
    let plan = options::plan(&new.options)?;
    let found = store.read(|db| rows::get(db, &store.paths, new.name.as_str()))?;
    let fresh = match found {
        Some(_) => None,
        None => Some(Fresh::make(store, plan.size)?),
    };
    Ok(StagedVolume {
        store: Arc::clone(store),
        new,
        own,
        found,
        fresh,
    })
}

impl StagedVolume {
    /// Its name.
    pub fn name(&self) -> &VolumeName {
        &self.new.name
    }

    /// Containers that have it already, running or not.
    pub fn users(&self) -> &[ContainerId] {
        self.found.as_ref().map_or(&[], |found| &found.users)
    }

    /// Whether it stays when the container goes.
    pub(crate) fn outlives(&self) -> bool {
        !self.own
    }

    /// Whether it has to be made.
    pub fn is_new(&self) -> bool {
        self.found.is_none()
    }

    /// Whether it is empty, and of a kind that keeps what it is given.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn wants_content(&self) -> Result<bool, Error> {
        if matches!(self.backing()?, Backing::FileSystem { kind, .. } if kind == "tmpfs") {
            return Ok(false);
        }
        if self.found.is_none() && matches!(self.backing()?, Backing::Directory) {
            return Ok(true);
        }
        let dir = self.open()?;
        let mut entries = dir.entries().map_err(self.failed())?;
        Ok(entries.next().is_none())
    }

    /// Gives it what `from` holds, and that directory's owner and mode.
    ///
    /// # Errors
    /// When the disk is full; a volume that is there already may hold some of it then.
    pub fn fill(&mut self, from: &Dir) -> Result<CopiedTree, Error> {
        if let (Some(fresh), Backing::Directory) = (&self.fresh, self.backing()?) {
            return fresh.fill(from);
        }
        // One that nobody has is replaced as a whole when its container is made.
        if let Some(found) = &self.found
            && found.users.is_empty()
            && found.backing == Backing::Directory
        {
            let fresh = super::fresh_for(&self.store, found)?;
            let copied = fresh.fill(from)?;
            self.fresh = Some(fresh);
            return Ok(copied);
        }
        fresh::tree(from, &self.open()?)
    }

    /// Gives a directory of it what `from` holds, and that directory's owner and mode: if the volume was there
    /// already, and the directory is there and empty. Links that lead out of the volume lead nowhere.
    ///
    /// # Errors
    /// When the volume cannot be read, or the disk is full.
    pub fn fill_part(&self, part: &str, from: &Dir) -> Result<CopiedTree, Error> {
        let none = CopiedTree::default();
        let in_memory =
            matches!(self.backing()?, Backing::FileSystem { kind, .. } if kind == "tmpfs");
        if self.found.is_none() || self.fresh.is_some() || in_memory {
            return Ok(none);
        }
        let dir = self.open()?;
        let root = dir.as_fd().try_clone_to_owned().map_err(self.failed())?;
        // Whoever mounts it is told why it cannot be.
        let Ok(found) = Root::new(root).open_beneath(part) else {
            return Ok(none);
        };
        let Ok(to) = Dir::open_at(found) else {
            return Ok(none);
        };
        let mut entries = to.entries().map_err(self.failed())?;
        match entries.next() {
            Some(_) => Ok(none),
            None => {
                let place = self.found.as_ref().map(|found| found.path.clone());
                let place = place.unwrap_or_default();
                let held = fresh::held(&place)?;
                let copied = fresh::tree(from, &to)?;
                drop(held);
                to.sync_file_system()
                    .map_err(Error::file("write", &place))?;
                Ok(copied)
            }
        }
    }

    fn backing(&self) -> Result<Backing, Error> {
        match &self.found {
            Some(found) => Ok(found.backing.clone()),
            None => Ok(options::plan(&self.new.options)?.backing),
        }
    }

    fn open(&self) -> Result<Dir, Error> {
        let directory = match (&self.found, &self.fresh) {
            (Some(found), _) => found.path.clone(),
            (None, Some(fresh)) => fresh.path(),
            (None, None) => return Err(Error::NoSuchVolume(self.new.name.to_string())),
        };
        let opened = fresh::open(&self.backing()?, &directory);
        opened.map_err(|error| match &self.found {
            // Found, and removed since.
            Some(found) if self.store.read(|db| rows::unchanged(db, found)).is_err() => {
                Error::NoSuchVolume(found.name.to_string())
            }
            _ => error,
        })
    }

    fn failed<E: Into<std::io::Error>>(&self) -> impl FnOnce(E) -> Error {
        Error::file(
            "read the volume",
            std::path::Path::new(self.new.name.as_str()),
        )
    }
}

/// What became of staged volumes in a transaction.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Of each, whether its new directory is named now.
    kept: Vec<bool>,
    /// Directories that are not any more.
    old: Vec<u64>,
}

/// Names what is to be named.
pub(super) fn settle(tx: &Transaction<'_>, staged: &[StagedVolume]) -> Result<Settled, Error> {
    let mut settled = Settled::default();
    for volume in staged {
        let kept = match (&volume.found, &volume.fresh) {
            // Somebody else may have made one of that name meanwhile: then it is that one.
            (None, Some(fresh)) => rows::insert(tx, &volume.new, fresh.number)?,
            (Some(found), Some(fresh)) => swap(tx, found, fresh, &mut settled)?,
            (_, None) => false,
        };
        settled.kept.push(kept);
    }
    Ok(settled)
}

/// Unless somebody has got it meanwhile.
fn swap(
    tx: &Transaction<'_>,
    found: &Volume,
    fresh: &Fresh,
    settled: &mut Settled,
) -> Result<bool, Error> {
    let used = tx
        .prepare_cached("SELECT 1 FROM container_volumes WHERE volume = ?1")?
        .exists([found.name.as_str()])?;
    // Or has had it, and put something there.
    if used || !versions::is_empty(found)? {
        return Ok(false);
    }
    if !rows::replace(tx, &found.name, found.number, fresh.number)? {
        return Ok(false);
    }
    settled.old.push(found.number);
    Ok(true)
}

/// Says who has them; after the container's own row.
pub(crate) fn references(
    tx: &Transaction<'_>,
    container: &ContainerId,
    staged: &[StagedVolume],
) -> Result<Settled, Error> {
    let settled = settle(tx, staged)?;
    for volume in staged {
        let name = volume.new.name.as_str();
        // What it has already it keeps as it has it.
        let sql = "INSERT OR IGNORE INTO container_volumes
            SELECT ?1, name, ?3 FROM volumes WHERE name = ?2";
        tx.prepare_cached(sql)?
            .execute(params![container.as_str(), name, volume.own])?;
        let sql = "SELECT 1 FROM container_volumes WHERE container = ?1 AND volume = ?2";
        let has = tx.prepare_cached(sql)?.exists([container.as_str(), name])?;
        if !has {
            return Err(Error::NoSuchVolume(name.to_owned()));
        }
    }
    Ok(settled)
}

/// A container has this one no more.
pub(crate) fn part_from(
    tx: &Transaction<'_>,
    container: &ContainerId,
    name: &str,
) -> Result<(), Error> {
    let sql = "DELETE FROM container_volumes WHERE container = ?1 AND volume = ?2";
    tx.prepare_cached(sql)?
        .execute([container.as_str(), name])?;
    Ok(())
}

/// Volumes that were made with a container.
pub(crate) fn own(tx: &Transaction<'_>, container: &ContainerId) -> Result<Vec<String>, Error> {
    let sql = "SELECT volume FROM container_volumes WHERE container = ?1 AND own";
    let mut query = tx.prepare_cached(sql)?;
    let rows = query.query_map([container.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes those of them that nobody has; returns their directories.
pub(crate) fn delete_unused(
    tx: &Transaction<'_>,
    paths: &Paths,
    names: &[String],
) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for name in names {
        let volume = rows::find(tx, paths, name)?;
        if volume.users.is_empty() {
            numbers.extend(rows::delete(tx, &volume)?);
        }
    }
    Ok(numbers)
}

/// After the transaction.
pub(crate) fn done(store: &Store, staged: Vec<StagedVolume>, settled: &Settled) {
    for (volume, kept) in staged.into_iter().zip(&settled.kept) {
        match volume.fresh {
            Some(fresh) if *kept => fresh.keep(),
            _ => {}
        }
    }
    for number in &settled.old {
        fresh::discard(store, *number);
    }
}
