//! `inspect`: one container, from memory.

use super::{View, view};
use crate::{Engine, Error};

/// One container. Reads memory only.
pub fn inspect(engine: &Engine, who: &str) -> Result<View, Error> {
    let container = engine.find(who)?;
    Ok(view(engine, &container))
}

/// Bytes in the writable layer. Blocking.
pub fn size(engine: &Engine, who: &str) -> Result<u64, Error> {
    let container = engine.find(who)?;
    Ok(engine.storage().usage(container.id())?)
}
