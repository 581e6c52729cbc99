//! `container prune`: containers that do not run go.

use types::{ContainerId, ErrorKind, Lifecycle};

use super::{View, remove, view};
use crate::{Engine, Error, event};

/// What a prune did.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// What is gone.
    pub removed: Vec<ContainerId>,
    /// Bytes of their writable layers.
    pub reclaimed: u64,
}

/// Removes those that do not run and that `takes` takes.
pub async fn prune(engine: &Engine, takes: impl Fn(&View) -> bool) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    let all = engine.table().all();
    for container in all {
        let rests = matches!(
            container.lifecycle(),
            Lifecycle::Created | Lifecycle::Exited { .. } | Lifecycle::Dead { .. }
        );
        if !rests || !takes(&view(engine, &container)) {
            continue;
        }
        let id = container.id().clone();
        let counted = id.clone();
        let bytes = engine.blocking(move |engine| super::size(engine, counted.as_str()));
        let bytes = bytes.await.unwrap_or(0);
        match remove(engine, id.as_str(), false).await {
            Ok(()) => {
                pruned.reclaimed += bytes;
                pruned.removed.push(id);
            }
            // It was started or removed meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {}
            Err(error) => {
                tracing::warn!(container = %id, error = %error.chain(), "cannot be pruned");
            }
        }
    }
    let more = [("reclaimed", pruned.reclaimed.to_string())];
    event::emit(engine, event::Kind::Container, "prune", "", more);
    Ok(pruned)
}
