//! The terminal of an exec session changes its size.

use shim::Call;

use super::find;
use crate::container::WrongState;
use crate::{Engine, Error};

/// Changes the terminal's size, rows and columns. Blocking.
pub fn resize(engine: &Engine, id: &str, size: [u16; 2]) -> Result<(), Error> {
    let session = find(engine, id)?;
    let container = engine.find(session.container.as_str())?;
    let stopped = || WrongState::NotRunning(container.id().clone());
    if session.has_ended() {
        return Err(WrongState::ExecNotRunning(session.id.clone()).into());
    }
    let shim = container.shim().ok_or_else(stopped)?;
    let call = Call::Resize {
        exec: Some(session.id.clone()),
        size,
    };
    shim.call(&call, &[]).map_err(|source| Error::Shim {
        what: "resize the terminal of a process in",
        id: container.id().clone(),
        source,
    })?;
    Ok(())
}
