//! `image prune`: images that no container needs go, without a name or, when all are meant, with theirs.

use storage::{Image, Removed};

use crate::{Engine, Error};

/// What a prune did.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// What is gone, in order.
    pub removed: Vec<Removed>,
    /// Bytes of disk; what several images share is counted when the last of them goes.
    pub reclaimed: u64,
}

/// Removes those images that `takes` takes, that no container was made from, and that have no name,
/// unless `all` are meant. One that comes into use meanwhile stays.
pub fn prune(engine: &Engine, all: bool, takes: impl Fn(&Image) -> bool) -> Result<Pruned, Error> {
    let mut pruned = Pruned {
        removed: Vec::new(),
        // What pulls have left; what is being pulled stays.
        reclaimed: engine.storage().collect_partial(all)?,
    };
    for (image, users) in super::list(engine)? {
        let unnamed = image.references.is_empty();
        if users > 0 || !(all || unnamed) || !takes(&image) {
            continue;
        }
        let unique = engine.storage().image_usage(&image.id)?.unique;
        match remove(engine, &image) {
            Ok(removed) => {
                pruned.removed.extend(removed);
                pruned.reclaimed += unique;
            }
            // Somebody was quicker, or needs it by now.
            Err(error) if is_taken(&error) => {}
            Err(error) => return Err(error),
        }
    }
    super::told::pruned(engine, pruned.reclaimed);
    Ok(pruned)
}

/// Each name, and with the last the image.
fn remove(engine: &Engine, image: &Image) -> Result<Vec<Removed>, Error> {
    let mut removed = Vec::new();
    for reference in &image.references {
        removed.extend(super::remove(engine, &reference.to_string(), false)?);
    }
    if image.references.is_empty() {
        removed.extend(super::remove(engine, &image.id.to_string(), false)?);
    }
    Ok(removed)
}

fn is_taken(error: &Error) -> bool {
    matches!(
        error.kind(),
        types::ErrorKind::NotFound | types::ErrorKind::Conflict
    )
}
