//! `volume clone`, `snapshot`, `restore` and `rename`. All are blocking.

use storage::CopiedTree;

use super::create::{Request, checked};
use super::{Refused, gate};
use crate::{Engine, Error};

/// A new volume with the content of another one.
pub fn clone(engine: &Engine, from: &str, to: Request) -> Result<CopiedTree, Error> {
    engine.accepts_work()?;
    let to = checked(to)?;
    let copied = engine.storage().clone_volume(from, &to)?;
    remember(engine, to.name.as_str())?;
    Ok(copied)
}

/// Keeps a volume's content as it is now.
pub fn snapshot(engine: &Engine, volume: &str, name: &str) -> Result<CopiedTree, Error> {
    engine.accepts_work()?;
    Ok(engine.storage().snapshot_volume(volume, name)?)
}

/// Brings back what a snapshot kept. Refused while a container runs that has the volume.
pub fn restore(engine: &Engine, volume: &str, snapshot: &str) -> Result<CopiedTree, Error> {
    engine.accepts_work()?;
    // Before the work, and again after it.
    gate::refuse_running(engine, volume)?;
    let content = engine.storage().restore_volume(volume, snapshot)?;
    let copied = content.copied();
    gate::replace(engine, volume, || Ok(content.commit()?))?;
    Ok(copied)
}

/// Forgets a snapshot.
pub fn forget_snapshot(engine: &Engine, volume: &str, snapshot: &str) -> Result<(), Error> {
    Ok(engine.storage().remove_volume_snapshot(volume, snapshot)?)
}

/// Gives a volume that no container has another name.
pub fn rename(engine: &Engine, volume: &str, name: &str) -> Result<(), Error> {
    let new = name.parse().map_err(|problem| Refused::Name {
        name: name.to_owned(),
        problem,
    })?;
    engine.storage().rename_volume(volume, &new)?;
    super::gone(engine, volume);
    remember(engine, name)
}

fn remember(engine: &Engine, name: &str) -> Result<(), Error> {
    super::known(engine, &engine.storage().volume(name)?);
    Ok(())
}
