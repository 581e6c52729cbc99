//! Images: thin over the store, with a look at the containers that use them. Blocking, but for
//! [`pull`] and [`push`], which begin work that is looked at, and [`registries`], whose verbs wait.

mod arriving;
mod check;
mod copy;
mod descent;
pub mod elsewhere;
mod fetch;
mod import;
pub mod mount;
mod prune;
pub mod pull;
pub mod push;
pub mod registries;
mod remove;
pub mod signatures;
mod told;
mod transfer;
mod upkeep;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::sync::Arc;

use storage::{Asked, Descriptor, Image, Import, Loaded, Statement, Variant};
use types::{ContainerId, Digest, ErrorKind, ImageRef, Platform};

use crate::{Engine, Error};

pub use check::check;
pub use copy::{NotCopied, copy};
pub use descent::with_descendants;
pub use fetch::fetch;
pub use import::import_from;
pub use prune::{Pruned, prune};
pub use registry::place_of;
pub use remove::{InUse, remove, remove_platforms};
pub(crate) use transfer::Transfers;
pub use transfer::{Failed, Finished, Part, Progress, Stage, Transfer};
pub use upkeep::Upkeep;
pub(crate) use upkeep::keep;
pub use usage::{Usage, usage};

/// All images, the newest first, each with the number of containers made from it.
pub fn list(engine: &Engine) -> Result<Vec<(Image, usize)>, Error> {
    let containers = engine.table().all();
    let mut images: Vec<(Image, usize)> = engine
        .storage()
        .images()?
        .into_iter()
        .map(|image| {
            let of_image = |id: &Digest| *id == image.id;
            let users = containers.iter().filter(|c| of_image(&c.fixed.image));
            let users = users.count();
            (image, users)
        })
        .collect();
    images.sort_by(|(a, _), (b, _)| b.added.cmp(&a.added).then_with(|| a.id.cmp(&b.id)));
    Ok(images)
}

/// One image, by reference, id or prefix.
pub fn inspect(engine: &Engine, name: &str) -> Result<Image, Error> {
    engine
        .storage()
        .image(name)
        .map_err(|error| missing(error, name))
}

/// One image as it is for a platform, by reference, id or prefix; unpacked first if need be.
pub fn inspect_on(
    engine: &Engine,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Image, Error> {
    match platform {
        None => inspect(engine, name),
        Some(platform) => engine
            .storage()
            .image_on(name, platform)
            .map_err(|error| match error {
                storage::Error::NoSuchImage(_) => missing(error, name),
                other => other.into(),
            }),
    }
}

/// Bytes of each unpacked layer, the lowest first.
pub fn layer_sizes(engine: &Engine, image: &Image) -> Result<Vec<u64>, Error> {
    Ok(engine.storage().layer_sizes(image)?)
}

/// What an image's id names.
pub fn descriptor(engine: &Engine, id: &Digest) -> Result<Descriptor, Error> {
    Ok(engine.storage().descriptor(id)?)
}

/// The manifest that a container was made from, with what it runs on; none if it is gone.
pub fn manifest_of(engine: &Engine, container: &ContainerId) -> Result<Option<Descriptor>, Error> {
    Ok(engine.storage().manifest_of(container.as_str())?)
}

/// [`manifest_of`] all containers, by their ids.
pub fn manifests(engine: &Engine) -> Result<HashMap<String, Arc<Descriptor>>, Error> {
    Ok(engine.storage().manifests()?)
}

/// The manifests of an image, here or not.
pub fn variants(engine: &Engine, image: &Image) -> Result<Vec<Variant>, Error> {
    Ok(engine.storage().variants(image)?)
}

/// The statements about an image that are here.
pub fn statements(engine: &Engine, name: &str, asked: &Asked) -> Result<Vec<Statement>, Error> {
    let found = engine.storage().statements(name, asked);
    found.map_err(|error| match error {
        storage::Error::NoSuchImage(_) => missing(error, name),
        other => other.into(),
    })
}

/// A tar as an image of one layer.
pub fn import(engine: &Engine, tar: &mut dyn Read, import: &Import) -> Result<Digest, Error> {
    signatures::check_import(engine)?;
    let id = engine.storage().import(tar, import)?;
    told::of_image(engine, "import", &id.to_string(), &id.to_string());
    Ok(id)
}

/// An archive of images: all that is in it, or what is for these platforms.
pub fn load(
    engine: &Engine,
    archive: &mut dyn Read,
    platforms: &[Platform],
) -> Result<Vec<Loaded>, Error> {
    signatures::check_load(engine)?;
    let loaded = engine.storage().load_platforms(archive, platforms)?;
    for image in &loaded {
        let id = image.id.to_string();
        let name = image.reference.as_ref().map(ImageRef::familiar);
        told::of_image(engine, "load", &id, name.as_deref().unwrap_or(&id));
    }
    Ok(loaded)
}

/// The names that a [`save`] of these means.
pub fn saved_names(engine: &Engine, names: &[String]) -> Result<Vec<String>, Error> {
    Ok(engine.storage().saved_names(names)?)
}

/// Images as an archive: all of each, or what is for these platforms. `described` are further annotations of what the
/// archive says of each.
pub fn save(
    engine: &Engine,
    names: &[String],
    platforms: &[Platform],
    described: &BTreeMap<String, String>,
    archive: &mut dyn Write,
) -> Result<(), Error> {
    let storage = engine.storage();
    storage.save_platforms(names, platforms, described, archive)?;
    for name in names {
        let id = storage.image(name).map(|image| image.id.to_string());
        told::of_image(engine, "save", id.as_deref().unwrap_or(name), name);
    }
    Ok(())
}

/// Names an image.
pub fn tag(engine: &Engine, source: &str, target: &ImageRef) -> Result<(), Error> {
    engine
        .storage()
        .tag(source, target)
        .map_err(|error| missing(error, source))?;
    let image = inspect(engine, &target.to_string())?;
    told::of_image(engine, "tag", &image.id.to_string(), &target.familiar());
    Ok(())
}

/// Tells that an image was built, or made of a container, and what it is called.
pub fn built(engine: &Engine, id: &Digest, names: &[ImageRef]) {
    let id = id.to_string();
    told::of_image(engine, "create", &id, &id);
    for name in names {
        told::of_image(engine, "tag", &id, &name.familiar());
    }
}

/// What an image runs on.
pub(crate) fn platform(config: &oci_spec::image::ImageConfiguration) -> Platform {
    Platform {
        os: config.os().to_string(),
        architecture: config.architecture().to_string(),
        variant: config.variant().clone(),
    }
}

/// Docker's words for an image that is not there, which clients match.
pub(crate) fn missing(error: storage::Error, name: &str) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    let reference = name.parse::<ImageRef>().ok();
    let shown = reference.map(|reference| reference.familiar());
    Error::NoImage(shown.unwrap_or_else(|| name.to_owned()))
}
