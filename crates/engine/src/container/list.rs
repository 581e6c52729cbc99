//! `ps`: all containers, from memory.

use std::sync::Arc;

use super::{View, view};
use crate::table::Container;
use crate::{Engine, network};

/// All containers, the newest first. Reads memory only.
pub fn list(engine: &Engine) -> Vec<View> {
    let mut containers = engine.table().all();
    // Before they are views, which are large.
    containers.sort_by(|a, b| {
        let (a, b) = (&a.fixed, &b.fixed);
        b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id))
    });
    let mut names = network::links::all_names(engine);
    let seen = |container: &Arc<Container>| View {
        linked_as: names.remove(container.id()).unwrap_or_default(),
        ..view(engine, container)
    };
    containers.iter().map(seen).collect()
}
