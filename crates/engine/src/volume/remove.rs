//! `volume rm`

use crate::{Engine, Error};

/// Removes a volume that no container has. With `force` one that is not there is none to complain of.
/// Blocking.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<(), Error> {
    match engine.storage().remove_volume(name) {
        Err(storage::Error::NoSuchVolume(_)) if force => return Ok(()),
        answer => answer?,
    }
    super::gone(engine, name);
    Ok(())
}
