//! `rmi`: what a container needs stays; the refusal names that container.

use storage::{Image, Removed};
use types::{ContainerId, ErrorKind, ImageRef, Platform};

use super::{missing, told};
use crate::{Engine, Error};

/// A container needs the image, or several names do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InUse {
    /// The last reference of an image that a container was made from.
    #[error(
        "conflict: unable to remove repository reference \"{reference}\" (must force) - \
         container {} is using its referenced image {image}", container.short()
    )]
    Reference {
        /// As it was named.
        reference: String,
        /// Who uses it.
        container: ContainerId,
        /// The image, shortened.
        image: String,
    },
    /// A container that runs was made from it.
    #[error(
        "conflict: unable to delete {image} (cannot be forced) - \
         image is being used by running container {}", container.short()
    )]
    Running {
        /// The image, shortened.
        image: String,
        /// Who uses it.
        container: ContainerId,
    },
    /// A container that does not run was made from it.
    #[error(
        "conflict: unable to delete {image} (must be forced) - \
         image is being used by stopped container {}", container.short()
    )]
    Stopped {
        /// The image, shortened.
        image: String,
        /// Who uses it.
        container: ContainerId,
    },
    /// Its files are mounted.
    #[error(
        "conflict: unable to delete {image} (cannot be forced) - image is mounted at {}: \
         unmount it first", place.display()
    )]
    Mounted {
        /// The image, shortened.
        image: String,
        /// Where.
        place: std::path::PathBuf,
    },
    /// Named by its id, while several references name it.
    #[error(
        "conflict: unable to delete {image} (must be forced) - \
         image is referenced in multiple repositories"
    )]
    ManyReferences {
        /// The image, shortened.
        image: String,
    },
}

impl InUse {
    /// Always [`ErrorKind::Conflict`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }
}

/// Removes a reference or an image. `Conflict` names the container that needs it.
///
/// With `force` a reference goes although containers that do not run need the image: the store keeps
/// what they need until they are gone.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<Vec<Removed>, Error> {
    let image = engine
        .storage()
        .image(name)
        .map_err(|error| missing(error, name))?;
    refuse(engine, &image, name, force)?;
    let removed = engine
        .storage()
        .remove(name, force)
        .map_err(|error| missing(error, name))?;
    told::removed(engine, &image, &removed);
    Ok(removed)
}

/// Removes what an image is for some platforms. The rest of it stays, with its names.
pub fn remove_platforms(
    engine: &Engine,
    name: &str,
    platforms: &[Platform],
) -> Result<Vec<Removed>, Error> {
    let image = engine
        .storage()
        .image(name)
        .map_err(|error| missing(error, name))?;
    if let Some(place) = super::mount::of(engine, &image.id) {
        return Err(InUse::Mounted {
            image: image.id.short().to_owned(),
            place,
        }
        .into());
    }
    let removed = engine.storage().remove_platforms(name, platforms)?;
    told::removed(engine, &image, &removed);
    Ok(removed)
}

fn refuse(engine: &Engine, image: &Image, name: &str, force: bool) -> Result<(), Error> {
    let containers = engine.table().all();
    let mut users = containers.iter().filter(|c| c.fixed.image == image.id);
    let running = users.clone().find(|c| c.lifecycle().is_running());
    let short = || image.id.short().to_owned();
    let reference = name.parse::<ImageRef>().ok();
    let reference = reference.map(|asked| (image.names_with(&asked).len(), asked));
    let reference = reference.filter(|(names, _)| *names > 0);
    let last = |names: usize| names == image.references.len();
    let goes = reference.as_ref().is_none_or(|(names, _)| last(*names));
    if let Some(place) = super::mount::of(engine, &image.id).filter(|_| goes) {
        return Err(InUse::Mounted {
            image: short(),
            place,
        }
        .into());
    }
    let Some((names, reference)) = reference else {
        if let Some(running) = running {
            return Err(InUse::Running {
                image: short(),
                container: running.id().clone(),
            }
            .into());
        }
        if force {
            return Ok(());
        }
        if let Some(user) = users.next() {
            return Err(InUse::Stopped {
                image: short(),
                container: user.id().clone(),
            }
            .into());
        }
        if !image.has_one_name() {
            return Err(InUse::ManyReferences { image: short() }.into());
        }
        return Ok(());
    };
    // Another name still holds the image: removing this one takes nothing from anybody.
    if !last(names) || force {
        return Ok(());
    }
    match users.next() {
        None => Ok(()),
        Some(user) => Err(InUse::Reference {
            reference: reference.familiar(),
            container: user.id().clone(),
            image: short(),
        }
        .into()),
    }
}
