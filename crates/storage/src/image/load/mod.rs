//! Images out of an archive: `docker save`'s of any age, an OCI layout, or both in one.
//!
//! The archive is a stream and its entries come in any order, so all files are taken in first, each
//! hashed on the way ([`archive`]) and, where it looks like a layer, unpacked ([`unpacking`]). Then it
//! is read what they say ([`oci`], [`docker`]), which is where every digest and size is checked; then
//! the layers that are not unpacked yet are; then all of it is published at once.

mod archive;
mod docker;
mod oci;
mod unpacking;

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use types::{Digest, ImageRef, Platform};

use super::documents;
use super::layers::{self, Job};
use crate::Loaded;
use crate::error::Error;
use crate::layer::Unpacked;
use crate::stage::{NewImage, NewManifest, Stage};
use crate::store::Store;
use archive::Archive;

/// An image in the archive.
#[derive(Debug)]
struct Found {
    /// As errors call it.
    what: String,
    id: Digest,
    names: Vec<ImageRef>,
    manifest: Digest,
    config_digest: Digest,
    config: String,
    /// Diff id and content of each layer, the lowest first.
    layers: Vec<(Digest, Digest)>,
    /// What it keeps, with media types.
    content: Vec<(Digest, String)>,
}

/// Loads all images of an archive.
///
/// Of an index, only what is for one of the platforms, or all if none is named.
pub(crate) fn load(
    store: &Arc<Store>,
    stream: &mut dyn Read,
    platforms: &[Platform],
) -> Result<Vec<Loaded>, Error> {
    load_all(store, stream, platforms).map_err(Error::in_archive)
}

fn load_all(
    store: &Arc<Store>,
    stream: &mut dyn Read,
    platforms: &[Platform],
) -> Result<Vec<Loaded>, Error> {
    let mut archive = Archive::receive(store, stream)?;
    let found = if archive.path("index.json").is_some() {
        oci::images(&archive, platforms)?
    } else if archive.path("manifest.json").is_some() {
        docker::images(store, &mut archive)?
    } else {
        return Err(Error::NotAnImageArchive);
    };
    let mut stage = Stage::new(store);
    let mut unpacked = archive.unpacked();
    let jobs = jobs(&mut stage, &archive, &found, &mut unpacked)?;
    // What is no layer of these images goes before more comes.
    drop(unpacked);
    for layer in layers::unpack(store, jobs)? {
        stage.add_layer(layer)?;
    }
    let diff_ids: HashMap<_, _> = found
        .iter()
        .flat_map(|image| &image.layers)
        .map(|(diff_id, digest)| (digest, diff_id))
        .collect();
    let mut added = HashSet::new();
    for (digest, media_type) in found.iter().flat_map(|image| &image.content) {
        if let Some(blob) = archive.blob(digest).filter(|_| added.insert(digest)) {
            stage.add_content(blob, media_type, diff_ids.get(digest).copied())?;
        }
    }
    let images: Vec<_> = found.iter().map(Found::new_image).collect();
    let names: Vec<_> = found
        .iter()
        .flat_map(|image| {
            image
                .names
                .iter()
                .map(|name| (name.clone(), image.id.clone()))
        })
        .collect();
    stage.publish(&images, &names, &[])?;
    Ok(found.into_iter().flat_map(Found::loaded).collect())
}

/// Those layers that neither the store has nor were unpacked on the way; it keeps those.
fn jobs(
    stage: &mut Stage,
    archive: &Archive,
    found: &[Found],
    unpacked: &mut HashMap<Digest, Unpacked>,
) -> Result<Vec<Job>, Error> {
    let mut seen = HashSet::new();
    let mut jobs = Vec::new();
    for image in found {
        for (diff_id, digest) in &image.layers {
            if !seen.insert(diff_id) || stage.has_layer(diff_id)? {
                continue;
            }
            // One that is not what the configuration says is unpacked once more, which says so.
            if let Some(layer) = unpacked.remove(digest).filter(|l| l.diff_id == *diff_id) {
                stage.add_layer(layer)?;
                continue;
            }
            let what = format!("layer {digest} of {}", image.what);
            let blob = archive.blob(digest);
            let blob = blob.ok_or_else(|| Error::Missing(what.clone()))?;
            jobs.push(Job {
                what,
                diff_id: diff_id.clone(),
                file: blob.path().to_owned(),
            });
        }
    }
    Ok(jobs)
}

impl Found {
    fn new_image(&self) -> NewImage {
        NewImage {
            id: self.id.clone(),
            manifest: NewManifest {
                digest: self.manifest.clone(),
                config: self.config.clone(),
                layers: self
                    .layers
                    .iter()
                    .map(|(diff_id, _)| diff_id.clone())
                    .collect(),
                platform: documents::platform_of(self.config.as_bytes()),
            },
            content: self
                .content
                .iter()
                .map(|(digest, _)| digest.clone())
                .collect(),
        }
    }

    fn loaded(self) -> Vec<Loaded> {
        let id = self.id;
        if self.names.is_empty() {
            return vec![Loaded {
                reference: None,
                id,
            }];
        }
        let loaded = |name| Loaded {
            reference: Some(name),
            id: id.clone(),
        };
        self.names.into_iter().map(loaded).collect()
    }
}

/// The diff ids a configuration lists.
pub(crate) fn diff_ids(what: &str, config: &[u8]) -> Result<Vec<Digest>, Error> {
    let config: oci_spec::image::ImageConfiguration =
        documents::parse(&format!("the configuration of {what}"), config)?;
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() > documents::MAX_LAYERS {
        let problem = format!(
            "has {} layers: the most is {}",
            diff_ids.len(),
            documents::MAX_LAYERS
        );
        return Err(Error::image(what, problem));
    }
    diff_ids
        .iter()
        .map(|text| {
            text.parse().map_err(|e: types::InvalidDigest| {
                Error::image(what, format!("lists a layer wrongly: {e}"))
            })
        })
        .collect()
}

/// Pairs the layers a configuration lists with those a manifest does.
pub(crate) fn pair(
    what: &str,
    diff_ids: Vec<Digest>,
    blobs: Vec<Digest>,
) -> Result<Vec<(Digest, Digest)>, Error> {
    if diff_ids.len() != blobs.len() {
        let problem = format!(
            "has {} layers by its manifest and {} by its configuration",
            blobs.len(),
            diff_ids.len()
        );
        return Err(Error::image(what, problem));
    }
    Ok(diff_ids.into_iter().zip(blobs).collect())
}
