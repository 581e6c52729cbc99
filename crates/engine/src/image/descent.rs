//! Which images were made from which.

use storage::Image;

use crate::{Engine, Error};

/// The image of this name, and all that were built upon it or committed from a container of it, so far as their
/// history tells.
pub fn with_descendants(engine: &Engine, name: &str) -> Result<Vec<Image>, Error> {
    let base = super::inspect(engine, name)?;
    let mut all = engine.storage().images()?;
    all.retain(|image| image.id == base.id || descends(image, &base));
    Ok(all)
}

/// Its history goes on where the other's ends, and so do its layers. An image without a history has nobody
/// that is known to descend from it.
fn descends(image: &Image, base: &Image) -> bool {
    let [of_image, of_base] =
        [image, base].map(|image| image.config.history().as_deref().unwrap_or_default());
    !of_base.is_empty()
        && of_image.len() > of_base.len()
        && of_image.starts_with(of_base)
        && diff_ids(image).starts_with(diff_ids(base))
}

fn diff_ids(image: &Image) -> &[String] {
    image.config.rootfs().diff_ids()
}
