//! An image of layers that are here and a configuration. A layer that came as compressed content stays
//! that; one that was made here is content that its files are packed into when somebody asks for it.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use types::{Algorithm, Digest, ImageRef, Platform};

use super::documents::{self, Descriptor};
use super::import::write;
use crate::build::Layers;
use crate::encoder::{self, name};
use crate::error::Error;
use crate::gc;
use crate::layer::Rebuilt;
use crate::stage::{NewImage, NewManifest, Stage};
use crate::store::Store;
use crate::temp::{Blob, Hashed};

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const BUFFER: usize = 128 << 10;

/// An image of one platform to be.
#[derive(Debug, Clone)]
pub struct Part {
    /// The configuration, JSON.
    pub config: Vec<u8>,
    /// Its layers.
    pub layers: Layers,
    /// What it runs on.
    pub platform: Platform,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// An image to be.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    /// One, or one a platform.
    pub parts: Vec<Part>,
    /// An index is made of one part too.
    pub index: bool,
    /// Annotations of the index.
    pub annotations: BTreeMap<String, String>,
    /// What it is called.
    pub names: Vec<ImageRef>,
}

/// What has become of an [`Assembly`].
#[derive(Debug, Clone)]
pub struct Assembled {
    /// The image: its manifest's digest, or its index's.
    pub id: Digest,
    /// Of what is named by that: its type.
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
    /// The configurations' digests.
    pub configs: Vec<Digest>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// A part with its documents.
struct Made {
    manifest: Blob,
    config: Blob,
    text: Vec<u8>,
    layers: Vec<Digest>,
    content: Vec<Digest>,
    platform: Platform,
}

/// Makes one, named.
pub(crate) fn assemble(store: &Arc<Store>, assembly: &Assembly) -> Result<Assembled, Error> {
    if let Some(name) = assembly.names.iter().find(|name| name.digest().is_some()) {
        return Err(Error::TagWithDigest(name.clone()));
    }
    let mut stage = Stage::new(store);
    let parts: Vec<Made> = assembly
        .parts
        .iter()
        .map(|part| make(store, &mut stage, part))
        .collect::<Result<_, _>>()?;
    let index = match parts.as_slice() {
        [_] if !assembly.index => None,
        _ => Some(index(store, &mut stage, &parts, assembly)?),
    };
    let top = index.as_ref().or(parts.first().map(|part| &part.manifest));
    let top = top.ok_or_else(|| Error::image("the image", "has no platform"))?;
    let assembled = Assembled {
        id: top.digest.clone(),
        media_type: if index.is_some() {
            documents::INDEX
        } else {
            documents::MANIFEST
        }
        .to_owned(),
        size: top.size,
        configs: parts
            .iter()
            .map(|part| part.config.digest.clone())
            .collect(),
    };
    let images: Vec<NewImage> = parts
        .iter()
        .map(|part| NewImage {
            id: assembled.id.clone(),
            manifest: NewManifest {
                digest: part.manifest.digest.clone(),
                config: String::from_utf8_lossy(&part.text).into_owned(),
                layers: part.layers.clone(),
                platform: Some(part.platform.clone()),
            },
            content: part
                .content
                .iter()
                .chain([&assembled.id])
                .cloned()
                .collect(),
        })
        .collect();
    let names = assembly.names.iter();
    let names: Vec<_> = names
        .map(|name| (name.clone(), assembled.id.clone()))
        .collect();
    stage.publish(&images, &names, &[])?;
    Ok(assembled)
}

fn make(store: &Arc<Store>, stage: &mut Stage, part: &Part) -> Result<Made, Error> {
    let config = write(store, &part.config, Algorithm::Sha256)?;
    stage.add_content(&config, documents::CONFIG, None)?;
    let mut content = vec![config.digest.clone()];
    let mut layers = Vec::new();
    for diff_id in part.layers.ids() {
        let layer = content_of(store, stage, diff_id)?;
        content.push(layer.digest.clone());
        layers.push(layer);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: documents::MANIFEST,
        config: Descriptor::new(documents::CONFIG, config.digest.clone(), config.size),
        layers,
        annotations: &part.annotations,
    };
    let manifest = documents::print("the manifest", &manifest)?;
    let manifest = write(store, &manifest, Algorithm::Sha256)?;
    stage.add_content(&manifest, documents::MANIFEST, None)?;
    content.push(manifest.digest.clone());
    Ok(Made {
        manifest,
        config,
        text: part.config.clone(),
        layers: part.layers.ids().cloned().collect(),
        content,
        platform: part.platform.clone(),
    })
}

fn index(
    store: &Arc<Store>,
    stage: &mut Stage,
    parts: &[Made],
    assembly: &Assembly,
) -> Result<Blob, Error> {
    let manifests = parts.iter().map(|part| {
        let manifest = &part.manifest;
        let platform = &part.platform;
        Descriptor {
            platform: Some(documents::Platform {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                variant: platform.variant.clone(),
            }),
            ..Descriptor::new(documents::MANIFEST, manifest.digest.clone(), manifest.size)
        }
    });
    let index = Index {
        schema_version: 2,
        media_type: documents::INDEX,
        manifests: manifests.collect(),
        annotations: &assembly.annotations,
    };
    let text = documents::print("the index", &index)?;
    let blob = write(store, &text, Algorithm::Sha256)?;
    stage.add_content(&blob, documents::INDEX, None)?;
    Ok(blob)
}

/// What a layer is in registries: what it came as, or what it is packed into.
pub(crate) fn content_of(
    store: &Arc<Store>,
    stage: &mut Stage,
    diff_id: &Digest,
) -> Result<Descriptor, Error> {
    if !stage.has_layer(diff_id)? {
        return Err(Error::Missing(format!("layer {diff_id}")));
    }
    if let Some(known) = known(store, diff_id)?
        && stage.has_content(&known.digest)?
    {
        return Ok(known);
    }
    let (number, _) = stage.layer(diff_id)?;
    let layer = store.paths.layer(number);
    let archive = Rebuilt::open(&layer).map_err(Error::file("read", &layer))?;
    let stream = encoder::encoded(name::MEMBERS, archive, layer.join(name::MEMBERS))?;
    let mut stream = Hashed::new(BufReader::with_capacity(BUFFER, stream), Algorithm::Sha256);
    io::copy(&mut stream, &mut io::sink()).map_err(Error::file("read", &layer))?;
    let (digest, size) = stream.finish();
    stage.add_packed(&digest, size, GZIP_LAYER, diff_id, name::MEMBERS)?;
    Ok(Descriptor::new(GZIP_LAYER, digest, size))
}

/// Content that is known to unpack to a layer; of several always the same.
fn known(store: &Store, diff_id: &Digest) -> Result<Option<Descriptor>, Error> {
    let sql = "SELECT digest, size, media_type FROM content
        WHERE diff_id = ?1 AND kept < 2 ORDER BY kept = 1 AND encoder = ?2 DESC, digest LIMIT 1";
    let row = store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let row = query.query_row(params![diff_id.to_string(), name::MEMBERS], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        });
        Ok(row.optional()?)
    })?;
    row.map(|(digest, size, media_type)| {
        let digest = gc::parse_digest(digest)?;
        Ok(Descriptor::new(&media_type, digest, size.cast_unsigned()))
    })
    .transpose()
}
