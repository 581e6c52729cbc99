//! `system check`: whether the store is whole, and mending it.

use std::collections::HashSet;

use storage::{Check, Checked, Checking};
use types::ContainerId;

use crate::{Engine, Error};

/// Looks at every blob, layer and record; mends what can be mended if asked to. What runs is left
/// alone. Blocking, and a while with many images.
pub fn check(
    engine: &Engine,
    repair: bool,
    progress: &mut dyn FnMut(&Checking),
) -> Result<Checked, Error> {
    let containers = engine.table().all();
    let running: HashSet<&ContainerId> = containers
        .iter()
        .filter(|container| container.progress().borrow().busy)
        .map(|container| container.id())
        .collect();
    let check = Check {
        repair,
        runs: &|id| running.contains(id),
    };
    Ok(engine.storage().check(&check, progress)?)
}
