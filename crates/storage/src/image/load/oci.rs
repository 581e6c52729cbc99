//! What an OCI layout says (`index.json`, OCI image specification "Image layout").

use types::{Digest, ImageRef, Platform};

use super::archive::Archive;
use super::{Found, diff_ids, pair};
use crate::error::Error;
use crate::image::documents::{
    self, Descriptor, DockerImage, Document, FULL_NAME, INDEX, Index, MANIFEST, MAX_NESTING,
    Manifest, REF_NAME, REFERENCE_TYPE, parse_document,
};

/// The images of a layout.
pub(super) fn images(archive: &Archive, platforms: &[Platform]) -> Result<Vec<Found>, Error> {
    let Some(index) = archive.named::<Index>("index.json")? else {
        return Err(Error::NotAnImageArchive);
    };
    let docker: Vec<DockerImage> = archive.named("manifest.json")?.unwrap_or_default();
    let mut found: Vec<Found> = Vec::new();
    for descriptor in &index.manifests {
        if descriptor.annotations.contains_key(REFERENCE_TYPE) {
            continue;
        }
        let name = name(descriptor);
        // One image of several names is listed once a name.
        if let Some(image) = found.iter_mut().find(|image| image.id == descriptor.digest) {
            image.names.extend(name);
            continue;
        }
        let mut image = image(archive, descriptor, platforms)?;
        image.names = name.map_or_else(|| docker_names(archive, &docker, &image), |n| vec![n]);
        found.push(image);
    }
    if found.is_empty() {
        return Err(Error::NotAnImageArchive);
    }
    Ok(found)
}

/// The name of an image: the full one, or the specification's where it is more than a tag.
fn name(descriptor: &Descriptor) -> Option<ImageRef> {
    let parse = |text: &String| text.parse::<ImageRef>().ok();
    let full = descriptor.annotations.get(FULL_NAME).and_then(parse);
    let is_name = |text: &&String| text.contains(['/', ':']);
    full.or_else(|| {
        descriptor
            .annotations
            .get(REF_NAME)
            .filter(is_name)
            .and_then(parse)
    })
}

/// Names that only Docker's document gives.
fn docker_names(archive: &Archive, docker: &[DockerImage], image: &Found) -> Vec<ImageRef> {
    let same = |item: &&DockerImage| archive.path(&item.config) == Some(&image.config_digest);
    let tags = docker.iter().filter(same).flat_map(|item| &item.repo_tags);
    tags.filter_map(|tag| tag.parse().ok()).collect()
}

fn image(
    archive: &Archive,
    descriptor: &Descriptor,
    platforms: &[Platform],
) -> Result<Found, Error> {
    let what = format!("image {}", descriptor.digest);
    let mut content = Vec::new();
    match document(archive, descriptor)? {
        Document::Manifest(manifest) => {
            content.push((descriptor.digest.clone(), type_of(descriptor, MANIFEST)));
            found(
                archive,
                what,
                &descriptor.digest,
                descriptor.digest.clone(),
                &manifest,
                content,
            )
        }
        Document::Index(index) => {
            content.push((descriptor.digest.clone(), type_of(descriptor, INDEX)));
            let mut manifests = Vec::new();
            let host = [Platform::host()];
            walk(archive, &index, 1, platforms, &mut content, &mut manifests)?;
            let wanted = if platforms.is_empty() {
                &host
            } else {
                platforms
            };
            let (digest, manifest) = choose(manifests, wanted).ok_or_else(|| {
                Error::Missing(format!("the manifest of {what} for {}", wanted[0]))
            })?;
            found(
                archive,
                what,
                &descriptor.digest,
                digest,
                &manifest,
                content,
            )
        }
    }
}

/// The content of a manifest or an index, checked.
fn document(archive: &Archive, descriptor: &Descriptor) -> Result<Document, Error> {
    let what = format!("manifest {}", descriptor.digest);
    check_size(archive, &what, descriptor)?;
    parse_document(&what, &archive.text(&what, &descriptor.digest)?)
}

fn check_size(archive: &Archive, what: &str, descriptor: &Descriptor) -> Result<(), Error> {
    let blob = archive
        .blob(&descriptor.digest)
        .ok_or_else(|| Error::Missing(what.to_owned()))?;
    if blob.size == descriptor.size {
        return Ok(());
    }
    Err(Error::WrongSize {
        what: what.to_owned(),
        found: blob.size,
        expected: descriptor.size,
    })
}

/// Lists what an index names and the archive has: of other platforms it may have nothing.
fn walk(
    archive: &Archive,
    index: &Index,
    depth: usize,
    platforms: &[Platform],
    content: &mut Vec<(Digest, String)>,
    manifests: &mut Vec<(Option<Platform>, Digest, Manifest)>,
) -> Result<(), Error> {
    for descriptor in &index.manifests {
        if archive.blob(&descriptor.digest).is_none() || !is_wanted(descriptor, platforms) {
            continue;
        }
        let known = content
            .iter()
            .any(|(digest, _)| *digest == descriptor.digest);
        if known {
            continue;
        }
        match document(archive, descriptor)? {
            Document::Index(_) if depth == MAX_NESTING => {
                let what = format!("index {}", descriptor.digest);
                return Err(Error::image(what, "is nested too deeply"));
            }
            Document::Index(index) => {
                content.push((descriptor.digest.clone(), type_of(descriptor, INDEX)));
                walk(archive, &index, depth + 1, platforms, content, manifests)?;
            }
            Document::Manifest(manifest) => {
                content.push((descriptor.digest.clone(), type_of(descriptor, MANIFEST)));
                for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
                    if archive.blob(&part.digest).is_some() {
                        check_size(archive, &format!("blob {}", part.digest), part)?;
                        content.push((part.digest.clone(), part.media_type.clone()));
                    }
                }
                let platform = descriptor
                    .platform
                    .as_ref()
                    .and_then(documents::Platform::parse);
                let is_image = !descriptor.annotations.contains_key(REFERENCE_TYPE)
                    && archive.blob(&manifest.config.digest).is_some();
                if is_image {
                    manifests.push((platform, descriptor.digest.clone(), manifest));
                }
            }
        }
    }
    Ok(())
}

/// Whether it is for one of the platforms, or nobody named any.
fn is_wanted(descriptor: &Descriptor, platforms: &[Platform]) -> bool {
    let platform = descriptor.platform.as_ref();
    let Some(platform) = platform.and_then(documents::Platform::parse) else {
        return platforms.is_empty() || descriptor.platform.is_none();
    };
    platforms.is_empty() || platforms.iter().any(|wanted| wanted.runs(&platform))
}

/// The manifest for the platform wanted first, or the first, which may be kept and cannot be run.
fn choose(
    manifests: Vec<(Option<Platform>, Digest, Manifest)>,
    wanted: &[Platform],
) -> Option<(Digest, Manifest)> {
    let first = wanted.first()?;
    let runs = |platform: &Option<Platform>| platform.as_ref().is_some_and(|p| first.runs(p));
    let best = manifests
        .iter()
        .position(|(platform, ..)| runs(platform))
        .unwrap_or(0);
    manifests
        .into_iter()
        .nth(best)
        .map(|(_, digest, manifest)| (digest, manifest))
}

fn found(
    archive: &Archive,
    what: String,
    id: &Digest,
    digest: Digest,
    manifest: &Manifest,
    mut content: Vec<(Digest, String)>,
) -> Result<Found, Error> {
    let config = &manifest.config;
    for part in std::iter::once(config).chain(&manifest.layers) {
        check_size(archive, &format!("blob {} of {what}", part.digest), part)?;
        content.push((part.digest.clone(), part.media_type.clone()));
    }
    let text = archive.text(&format!("the configuration of {what}"), &config.digest)?;
    let blobs = manifest
        .layers
        .iter()
        .map(|layer| layer.digest.clone())
        .collect();
    let layers = pair(&what, diff_ids(&what, &text)?, blobs)?;
    Ok(Found {
        what,
        id: id.clone(),
        names: Vec::new(),
        manifest: digest,
        config_digest: config.digest.clone(),
        config: String::from_utf8_lossy(&text).into_owned(),
        layers,
        content,
    })
}

fn type_of(descriptor: &Descriptor, default: &str) -> String {
    match descriptor.media_type.as_str() {
        "" => default.to_owned(),
        given => given.to_owned(),
    }
}
