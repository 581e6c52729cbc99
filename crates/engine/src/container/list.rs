//! `ps`: all containers, from memory.

use super::{View, view};
use crate::Engine;

/// All containers, the newest first. Reads memory only.
pub fn list(engine: &Engine) -> Vec<View> {
    let containers = engine.table().all();
    let mut views: Vec<View> = containers.iter().map(|c| view(engine, c)).collect();
    views.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
    views
}
