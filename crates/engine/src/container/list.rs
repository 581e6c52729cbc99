//! `ps`: all containers, from memory.

use std::sync::Arc;

use super::{View, view};
use crate::table::Container;
use crate::{Engine, network};

/// All containers, the newest first, each looked at when its turn comes. Reads memory only.
pub fn list(engine: &Engine) -> impl Iterator<Item = View> {
    let mut containers = engine.table().all();
    // Before they are views, which are large.
    containers.sort_by(|a, b| {
        let (a, b) = (&a.fixed, &b.fixed);
        b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id))
    });
    let mut names = network::links::all_names(engine);
    containers
        .into_iter()
        .map(move |container: Arc<Container>| {
            let mut seen = view(engine, &container);
            seen.linked_as = names.remove(container.id()).unwrap_or_default();
            seen
        })
}
