//! `ps`: all containers, from memory.

use super::{View, view};
use crate::{Engine, network};

/// All containers, the newest first. Reads memory only.
pub fn list(engine: &Engine) -> Vec<View> {
    let containers = engine.table().all();
    let mut views: Vec<View> = containers.iter().map(|c| view(engine, c)).collect();
    let mut names = network::links::all_names(engine);
    for view in &mut views {
        view.linked_as = names.remove(&view.id).unwrap_or_default();
    }
    views.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
    views
}
