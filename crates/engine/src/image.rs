//! Images. All blocking.

use std::io::{Read, Write};

use storage::{Image, Import, Loaded, Removed};
use types::{Digest, ImageRef};

use crate::{Engine, Error};

/// All images, the newest first, each with the number of containers made from it.
pub fn list(_engine: &Engine) -> Result<Vec<(Image, usize)>, Error> {
    todo!()
}

/// One image, by reference, id or prefix.
pub fn inspect(_engine: &Engine, _name: &str) -> Result<Image, Error> {
    todo!()
}

/// A tar as an image of one layer.
pub fn import(_engine: &Engine, _tar: &mut dyn Read, _import: &Import) -> Result<Digest, Error> {
    todo!()
}

/// An archive of images.
pub fn load(_engine: &Engine, _archive: &mut dyn Read) -> Result<Vec<Loaded>, Error> {
    todo!()
}

/// Images as an archive.
pub fn save(_engine: &Engine, _names: &[String], _archive: &mut dyn Write) -> Result<(), Error> {
    todo!()
}

/// Names an image.
pub fn tag(_engine: &Engine, _source: &str, _target: &ImageRef) -> Result<(), Error> {
    todo!()
}

/// Removes a reference or an image. `Conflict` names the container that needs it.
pub fn remove(_engine: &Engine, _name: &str, _force: bool) -> Result<Vec<Removed>, Error> {
    todo!()
}
