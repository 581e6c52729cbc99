//! `volume prune`: volumes that no container has go; those with a name only when all are meant.

use storage::Volume;
use types::{ErrorKind, VolumeName};

use crate::{Engine, Error};

/// What a prune did.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// What is gone.
    pub removed: Vec<VolumeName>,
    /// Bytes.
    pub reclaimed: u64,
}

/// Removes those that `takes` takes. One that comes into use meanwhile stays. Blocking.
pub fn prune(engine: &Engine, all: bool, takes: impl Fn(&Volume) -> bool) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    for volume in super::list(engine)? {
        if !volume.users.is_empty() || !(all || volume.is_anonymous()) || !takes(&volume) {
            continue;
        }
        let bytes = engine.storage().volume_usage(&volume).unwrap_or_default();
        match super::remove(engine, volume.name.as_str(), false) {
            Ok(()) => {
                pruned.reclaimed += bytes.unwrap_or(0);
                pruned.removed.push(volume.name);
            }
            // Somebody was quicker, or needs it by now.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    super::told::pruned(engine, pruned.reclaimed);
    Ok(pruned)
}
