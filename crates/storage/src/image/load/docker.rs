//! What `docker save` wrote before it wrote OCI layouts, and what podman and skopeo call a
//! docker-archive: a configuration and layers by name, no manifest. It is made here, the same one
//! for the same files.

use std::io::Read;
use std::sync::Arc;

use types::{Algorithm, Digest, ImageRef};

use super::archive::Archive;
use super::{Found, diff_ids, pair};
use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::image::documents::{self, CONFIG, Descriptor, DockerImage, MANIFEST, Manifest};
use crate::image::import;
use crate::store::Store;

/// The images of `manifest.json`.
pub(super) fn images(store: &Arc<Store>, archive: &mut Archive) -> Result<Vec<Found>, Error> {
    let list: Vec<DockerImage> = archive.named("manifest.json")?.unwrap_or_default();
    let mut found: Vec<Found> = Vec::new();
    for item in &list {
        let image = image(store, archive, item)?;
        match found.iter_mut().find(|known| known.id == image.id) {
            Some(known) => known.names.extend(image.names),
            None => found.push(image),
        }
    }
    if found.is_empty() {
        Err(Error::NotAnImageArchive)
    } else {
        Ok(found)
    }
}

fn image(store: &Arc<Store>, archive: &mut Archive, item: &DockerImage) -> Result<Found, Error> {
    let what = item.repo_tags.first().map_or_else(
        || format!("image {}", item.config),
        |tag| format!("image {tag}"),
    );
    let config = file(archive, &what, &item.config)?;
    let text = archive.text(&format!("the configuration of {what}"), &config)?;
    let mut layers = Vec::new();
    for path in &item.layers {
        let digest = file(archive, &what, path)?;
        layers.push(layer(store, archive, &digest)?);
    }
    let size = |digest: &Digest| archive.blob(digest).map_or(0, |blob| blob.size);
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: Descriptor::new(CONFIG, config.clone(), size(&config)),
        layers: layers
            .iter()
            .map(|(digest, media_type)| Descriptor::new(media_type, digest.clone(), size(digest)))
            .collect(),
    };
    let manifest = documents::print("the manifest", &manifest)?;
    let manifest = import::write(store, &manifest, Algorithm::Sha256)?;
    let id = manifest.digest.clone();
    archive.add(manifest);
    let mut content = vec![
        (id.clone(), MANIFEST.to_owned()),
        (config.clone(), CONFIG.to_owned()),
    ];
    content.extend(
        layers
            .iter()
            .map(|(digest, kind)| (digest.clone(), (*kind).to_owned())),
    );
    let blobs = layers.into_iter().map(|(digest, _)| digest).collect();
    Ok(Found {
        layers: pair(&what, diff_ids(&what, &text)?, blobs)?,
        what,
        id: id.clone(),
        names: names(item)?,
        manifest: id,
        config_digest: config,
        config: String::from_utf8_lossy(&text).into_owned(),
        content,
    })
}

fn names(item: &DockerImage) -> Result<Vec<ImageRef>, Error> {
    item.repo_tags.iter().map(|tag| Ok(tag.parse()?)).collect()
}

fn file(archive: &Archive, what: &str, path: &str) -> Result<Digest, Error> {
    let missing = || Error::Missing(format!("the file {path:?} of {what}"));
    archive.path(path).cloned().ok_or_else(missing)
}

/// A layer's content and media type. One compressed as no image may be is compressed anew.
fn layer(
    store: &Arc<Store>,
    archive: &mut Archive,
    digest: &Digest,
) -> Result<(Digest, &'static str), Error> {
    let Some(blob) = archive.blob(digest) else {
        return Err(Error::Missing(format!("layer {digest}")));
    };
    let mut start = Vec::with_capacity(MAGIC);
    let mut file = blob.open()?;
    file.by_ref()
        .take(MAGIC as u64)
        .read_to_end(&mut start)
        .map_err(Error::Input)?;
    if let Some(media_type) = Format::of(&start).media_type() {
        return Ok((digest.clone(), media_type));
    }
    let (_, blob, format) = import::receive(store, &mut blob.open()?)?;
    let digest = blob.digest.clone();
    archive.add(blob);
    Ok((digest, format.media_type().unwrap_or_default()))
}
