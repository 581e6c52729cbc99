//! `image prune`: images that no container needs go, without a name or, when all are meant, with theirs.

use std::collections::BTreeSet;

use storage::{Image, Removed};
use types::ImageRef;

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
/// unless `all` are meant; then also names that no container was made by, of images that stay. An image
/// that comes into use meanwhile stays.
pub fn prune(engine: &Engine, all: bool, takes: impl Fn(&Image) -> bool) -> Result<Pruned, Error> {
    let mut pruned = Pruned {
        removed: Vec::new(),
        // What pulls have left; what is being pulled stays.
        reclaimed: engine.storage().collect_partial(all)?,
    };
    for (image, users) in super::list(engine)? {
        let unnamed = image.references.is_empty();
        if !(all || unnamed) || !takes(&image) {
            continue;
        }
        let (unique, removed) = if users > 0 {
            (0, untag(engine, &image))
        } else {
            let unique = engine.storage().image_usage(&image.id)?.unique;
            (unique, remove(engine, &image))
        };
        match removed {
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

/// Of an image that containers need, the names that none of them was made by; one is left in any case.
fn untag(engine: &Engine, image: &Image) -> Result<Vec<Removed>, Error> {
    let containers = engine.table().all();
    let users = containers.iter().filter(|c| c.fixed.image == image.id);
    let said = users.map(|user| user.fixed.spec.image.clone()).collect();
    let mut removed = Vec::new();
    for reference in unused(&image.references, &said) {
        removed.extend(super::remove(engine, &reference.to_string(), false)?);
    }
    Ok(removed)
}

/// The names among `references` that nobody has `said`; without the last if nobody has said any.
fn unused<'a>(references: &'a [ImageRef], said: &BTreeSet<String>) -> Vec<&'a ImageRef> {
    let said: BTreeSet<ImageRef> = said.iter().filter_map(|name| plain(name)).collect();
    let mut unused: Vec<&ImageRef> = references.iter().filter(|r| !said.contains(r)).collect();
    unused.sort();
    if unused.len() == references.len() {
        unused.pop();
    }
    unused
}

/// The name that a container was made by, without a digest behind its tag.
fn plain(name: &str) -> Option<ImageRef> {
    let reference: ImageRef = name.parse().ok()?;
    match (reference.tag(), reference.digest()) {
        (Some(tag), Some(_)) => reference.with_tag(tag).ok(),
        _ => Some(reference),
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(
        error.kind(),
        types::ErrorKind::NotFound | types::ErrorKind::Conflict
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_image_in_use_the_name_it_is_used_by_stays() {
        let references: Vec<ImageRef> = ["bb:h", "bb:z", "bb:latest", "bb:a"]
            .map(|name| name.parse().unwrap())
            .to_vec();
        let digest = format!("sha256:{}", "0".repeat(64));
        let of = |names: &[&str]| -> Vec<String> {
            let said = names.iter().map(|name| (*name).to_owned()).collect();
            let unused = unused(&references, &said);
            unused.into_iter().map(ImageRef::familiar).collect()
        };
        assert_eq!(of(&["bb"]), ["bb:a", "bb:h", "bb:z"]);
        assert_eq!(of(&["bb", "bb:h"]), ["bb:a", "bb:z"]);
        assert_eq!(
            of(&[&format!("bb:z@{digest}")]),
            ["bb:a", "bb:h", "bb:latest"]
        );
        assert_eq!(of(&[&digest]), ["bb:a", "bb:h", "bb:latest"]);
    }
}
