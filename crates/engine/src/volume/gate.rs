//! Where volumes are, in memory; and the order between starts, which look that up, and those who give
//! a volume another directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use storage::{Storage, Volume};
use types::{ContainerId, Lifecycle, VolumeName};

use super::Refused;
use super::memory::Mounted;
use super::told;
use crate::table::Container;
use crate::{Engine, Error};

/// Where volumes are.
#[derive(Debug, Default)]
pub(crate) struct Places {
    paths: RwLock<HashMap<VolumeName, PathBuf>>,
    /// Held by a start while it looks up directories, and by who replaces one from the moment at
    /// which it sees that no container runs that has it.
    gate: RwLock<()>,
    memory: Mounted,
}

impl Places {
    pub(crate) fn read(storage: &Storage) -> Result<Self, Error> {
        let places = Self::default();
        for volume in storage.volumes()? {
            places.remember(&volume);
        }
        Ok(places)
    }

    /// Whether it has not been known yet.
    fn remember(&self, volume: &Volume) -> bool {
        let mut paths = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        let before = paths.insert(volume.name.clone(), volume.path.clone());
        before.is_none()
    }

    /// Whether it has been known.
    fn forget(&self, name: &str) -> bool {
        let mut paths = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        let before = paths.len();
        paths.retain(|known, _| known.as_str() != name);
        paths.len() < before
    }

    /// Where a volume was when it was last looked at.
    pub(crate) fn of(&self, name: &VolumeName) -> Option<PathBuf> {
        let paths = self.paths.read().unwrap_or_else(PoisonError::into_inner);
        paths.get(name).cloned()
    }

    /// The volumes in memory that are mounted.
    pub(super) fn memory(&self) -> &Mounted {
        &self.memory
    }

    /// No directory is replaced as long as this is held.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers where a volume is, and tells of one that is new.
pub(crate) fn known(engine: &Engine, volume: &Volume) {
    if engine.places().remember(volume) {
        told::of_volume(engine, volume.name.as_str(), "create");
    }
}

/// Forgets one that has been removed, and tells of it.
pub(crate) fn gone(engine: &Engine, name: &str) {
    if engine.places().forget(name) {
        told::of_volume(engine, name, "destroy");
    }
}

/// Replaces what a volume holds, unless a container runs that has it: who starts later finds the new
/// content.
pub(super) fn replace(
    engine: &Engine,
    name: &str,
    replace: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let places = engine.places();
    let _alone = places.gate.write().unwrap_or_else(PoisonError::into_inner);
    refuse_running(engine, name)?;
    replace()?;
    places.remember(&engine.storage().volume(name)?);
    Ok(())
}

/// Does something to a volume's place, unless a container runs that has it: who starts later finds it
/// done.
pub(super) fn unless_running(
    engine: &Engine,
    name: &str,
    act: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let places = engine.places();
    let _alone = places.gate.write().unwrap_or_else(PoisonError::into_inner);
    let volume = engine.storage().volume(name)?;
    match busy(engine, &volume.users) {
        Some(_) => Ok(()),
        None => act(&volume.path),
    }
}

/// Refuses a volume that a container has which runs or is being started.
pub(super) fn refuse_running(engine: &Engine, name: &str) -> Result<(), Error> {
    let users = match engine.storage().volume(name) {
        Ok(volume) => volume.users,
        // It is about to be made.
        Err(storage::Error::NoSuchVolume(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match busy(engine, &users) {
        None => Ok(()),
        Some(container) => Err(Refused::Running {
            volume: name.to_owned(),
            container: container.name().to_string(),
        }
        .into()),
    }
}

/// One of these containers that runs or is being started.
pub(crate) fn busy(engine: &Engine, users: &[ContainerId]) -> Option<Arc<Container>> {
    let mut containers = users.iter().filter_map(|id| engine.find(id.as_str()).ok());
    containers.find(|container| {
        matches!(
            container.lifecycle(),
            Lifecycle::Running { .. } | Lifecycle::Starting { .. }
        )
    })
}
