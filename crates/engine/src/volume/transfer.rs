//! `volume export` and `import`. Both are blocking.

use std::io::{Read, Write};

use super::create::{Request, checked};
use super::gate;
use crate::{Engine, Error};

/// A volume's files as a tar archive.
pub fn export(engine: &Engine, name: &str, archive: &mut dyn Write) -> Result<(), Error> {
    Ok(engine.storage().export_volume(name, archive)?)
}

/// Makes a volume's content what an archive holds; the volume is made if it is not there. What it had
/// is replaced only if that is asked for, and not while a container runs that has it.
pub fn import(
    engine: &Engine,
    request: Request,
    replace: bool,
    archive: &mut (dyn Read + Send),
) -> Result<(), Error> {
    engine.accepts_work()?;
    let new = checked(request)?;
    let name = new.name.as_str();
    gate::refuse_running(engine, name)?;
    let content = engine.storage().import_volume(&new, replace, archive)?;
    gate::replace(engine, name, || Ok(content.commit()?))
}
