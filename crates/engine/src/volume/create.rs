//! `volume create`

use std::collections::BTreeMap;

use storage::{ANONYMOUS, NewVolume, Volume};
use types::VolumeName;

use super::{LOCAL, Refused, known};
use crate::container::create::random;
use crate::{Engine, Error};

/// A volume as it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// None asks for one that nobody names.
    pub name: Option<String>,
    /// None is `local`.
    pub driver: Option<String>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Makes a volume, or finds the one of that name. Blocking.
pub fn create(engine: &Engine, request: Request) -> Result<Volume, Error> {
    engine.accepts_work()?;
    let volume = engine.storage().create_volume(&checked(request)?)?;
    known(engine, &volume);
    Ok(volume)
}

/// What is asked for, if it can be.
pub(super) fn checked(request: Request) -> Result<NewVolume, Error> {
    check_driver(request.driver.as_deref())?;
    let Request {
        name,
        options,
        mut labels,
        ..
    } = request;
    let name = match name.filter(|name| !name.is_empty()) {
        Some(name) => name
            .parse()
            .map_err(|problem| Refused::Name { name, problem })?,
        None => {
            labels.insert(ANONYMOUS.to_owned(), String::new());
            anonymous()?
        }
    };
    Ok(NewVolume {
        name,
        options,
        labels,
    })
}

/// Refuses drivers that are not there.
pub(crate) fn check_driver(driver: Option<&str>) -> Result<(), Refused> {
    match driver {
        None | Some("" | LOCAL) => Ok(()),
        Some(other) => Err(Refused::Driver(other.to_owned())),
    }
}

/// A name that nobody thought of.
pub(crate) fn anonymous() -> Result<VolumeName, Error> {
    Ok(VolumeName::from_random(random()?))
}
