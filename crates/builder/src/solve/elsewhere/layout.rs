//! Images that a client has in a directory (OCI image layout).

use std::sync::Arc;

use serde::Deserialize;
use storage::{Descriptor, Layers};
use types::{Digest, ErrorKind, Platform};

use super::super::Failure;
use super::super::run::Run;
use super::{Blobs, Manifest, read};
use crate::plan::ImageConfig;

/// Indexes in indexes.
const NESTING: usize = 4;

/// What an image is made of.
struct Opened {
    blobs: Arc<dyn Blobs>,
    config: Vec<u8>,
    layers: Vec<Descriptor>,
}

/// `store@digest`, `store:tag@digest`; the name may have been made a whole one.
fn parts(reference: &str) -> Option<(&str, Digest)> {
    let (name, digest) = reference.rsplit_once('@')?;
    let name = name.rsplit('/').next().unwrap_or(name);
    let store = name.split(':').next().unwrap_or(name);
    Some((store, digest.parse().ok()?))
}

fn open(
    run: &Run<'_>,
    reference: &str,
    store: &str,
    platform: &Platform,
) -> Result<Opened, Failure> {
    let wrong = || {
        Failure::invalid(format!(
            "the image layout {reference} has no digest: oci-layout://name@digest is expected"
        ))
    };
    let (own, digest) = parts(reference).ok_or_else(wrong)?;
    let store = if store.is_empty() { own } else { store };
    let missing = || {
        let sentence = format!("the client has given no image layout {store}");
        Failure::new(ErrorKind::NotFound, sentence)
    };
    let blobs = run.ask.client.content(store)?.ok_or_else(missing)?;
    let mut root = Descriptor {
        media_type: String::new(),
        digest,
        size: 0,
        urls: Vec::new(),
        platform: None,
    };
    for _ in 0..NESTING {
        let text = blobs.document(&root)?;
        let manifest: Manifest = read("the manifest of the image layout", &text)?;
        if let Some(config) = manifest.config {
            return Ok(Opened {
                config: blobs.document(&config.into())?,
                layers: manifest.layers.into_iter().map(Descriptor::from).collect(),
                blobs,
            });
        }
        root = storage::choose(&root, &text, platform)?;
    }
    Err(Failure::invalid(
        "the image layout's indexes are nested too deeply",
    ))
}

/// Its configuration.
pub(in crate::solve) fn config(
    run: &Run<'_>,
    reference: &str,
    platform: &Platform,
) -> Result<ImageConfig, Failure> {
    read(
        "the configuration",
        &open(run, reference, "", platform)?.config,
    )
}

/// Its layers, brought here; only the lowest `most` of them, if that is not 0.
pub(in crate::solve) fn layers(
    run: &Run<'_>,
    layout: &crate::graph::Layout,
    platform: &Platform,
) -> Result<Layers, Failure> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: Rootfs,
    }
    #[derive(Deserialize)]
    struct Rootfs {
        diff_ids: Vec<Digest>,
    }
    let opened = open(run, &layout.reference, &layout.store, platform)?;
    let config: Config = read("the configuration", &opened.config)?;
    let diff_ids = config.rootfs.diff_ids;
    if diff_ids.len() != opened.layers.len() {
        let sentence = "the configuration of the image layout names other layers than its manifest";
        return Err(Failure::invalid(sentence));
    }
    let most = match layout.layers {
        0 => diff_ids.len(),
        most => most,
    };
    let mut layers = Layers::default();
    for (diff_id, descriptor) in diff_ids.iter().zip(&opened.layers).take(most) {
        run.check()?;
        let layer = match run.store().layers(std::slice::from_ref(diff_id))? {
            Some(layer) => layer,
            None => {
                let stream = opened.blobs.open(descriptor)?;
                run.store().receive_layer(stream, diff_id)?
            }
        };
        layers = layers.with(&layer);
    }
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_layout_is_named_by_its_store() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for name in ["s", "s:tag", "docker.io/library/s", "docker.io/library/s:t"] {
            let text = format!("{name}@{digest}");
            let (store, found) = parts(&text).unwrap();
            assert_eq!((store, found.to_string().as_str()), ("s", digest.as_str()));
        }
        assert!(parts("s:1").is_none() && parts("s@1").is_none());
    }
}
