//! The terminal of a container changes its size.

use shim::Call;

use super::WrongState;
use crate::{Engine, Error, event};

/// Changes the terminal's size, rows and columns. Blocking.
pub fn resize(engine: &Engine, who: &str, size: [u16; 2]) -> Result<(), Error> {
    let container = engine.find(who)?;
    if !container.lifecycle().is_running() {
        return Err(WrongState::NotRunning(container.id().clone()).into());
    }
    let stopped = || WrongState::NotRunning(container.id().clone());
    let shim = container.shim().ok_or_else(stopped)?;
    let call = Call::Resize { exec: None, size };
    shim.call(&call, &[]).map_err(|source| Error::Shim {
        what: "resize the terminal of",
        id: container.id().clone(),
        source,
    })?;
    let [rows, columns] = size;
    let more = [("height", rows.to_string()), ("width", columns.to_string())];
    event::of_container_with(engine, &container, "resize", more);
    Ok(())
}
