//! `secret ls`, `secret inspect`

use super::Secret;
use crate::{Engine, Error};

/// All of them, by name. Blocking.
pub fn list(engine: &Engine) -> Result<Vec<Secret>, Error> {
    engine.vault().list()
}

/// One by its name or id. Blocking.
pub fn inspect(engine: &Engine, who: &str) -> Result<Secret, Error> {
    engine.vault().find(who)
}
