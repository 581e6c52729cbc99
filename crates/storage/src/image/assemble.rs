//! An image of layers that are here and a configuration. A layer that came as compressed content stays
//! that; one that was made here is content that its files are packed into when somebody asks for it.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde_json::{Value, json};
use types::{Algorithm, Digest, ImageRef, Platform};

use super::compression::{Compression, compressed};
use super::documents::{self, ATTESTATION, Descriptor, REFERENCE_DIGEST, REFERENCE_TYPE};
use super::import::write;
use super::media_types::MediaTypes;
use super::statements::{IN_TOTO, PREDICATE_TYPE};
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
/// What a statement is (in-toto attestation framework, version 0.1).
pub const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";

/// An image of one platform to be.
#[derive(Debug, Clone)]
pub struct Part {
    /// The configuration, JSON.
    pub config: Vec<u8>,
    /// Its layers.
    pub layers: Layers,
    /// So many of them, the lowest, are those of another image.
    pub base: usize,
    /// What it runs on.
    pub platform: Platform,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Annotations of what the index says of it.
    pub described: BTreeMap<String, String>,
    /// What is said about it: the kind, an address, and the predicate. They stand beside it in the index.
    pub statements: Vec<(String, Value)>,
    /// What the statements call it.
    pub subjects: Vec<String>,
}

/// An image to be.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    /// One, or one a platform.
    pub parts: Vec<Part>,
    /// An index is made of one part too; it is where there are statements.
    pub index: bool,
    /// Annotations of the index.
    pub annotations: BTreeMap<String, String>,
    /// What it is called.
    pub names: Vec<ImageRef>,
    /// Repositories in which it is called by its digest, too: nobody else can have that name.
    pub by_digest: Vec<ImageRef>,
    /// What its parts are called.
    pub types: MediaTypes,
    /// How the layers are compressed.
    pub compression: Compression,
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
    described: BTreeMap<String, String>,
    /// The manifest of what is said about it.
    said: Option<Blob>,
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
        .map(|part| make(store, &mut stage, part, assembly))
        .collect::<Result<_, _>>()?;
    let index = match parts.as_slice() {
        [only] if !assembly.index && only.said.is_none() => None,
        _ => Some(index(store, &mut stage, &parts, assembly)?),
    };
    let top = index.as_ref().or(parts.first().map(|part| &part.manifest));
    let top = top.ok_or_else(|| Error::image("the image", "has no platform"))?;
    let assembled = Assembled {
        id: top.digest.clone(),
        media_type: match index {
            Some(_) => assembly.types.index(),
            None => assembly.types.manifest(),
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
    let named = |name: ImageRef| (name, assembled.id.clone());
    let mut names: Vec<_> = names.cloned().map(named).collect();
    for repository in &assembly.by_digest {
        let name = repository.at(&assembled.id);
        names.push(named(name));
    }
    // Nothing waits for the disk where nothing is new.
    if !stage.is_there(&images, &names)? {
        stage.publish(&images, &names, &[])?;
    }
    Ok(assembled)
}

fn make(
    store: &Arc<Store>,
    stage: &mut Stage,
    part: &Part,
    assembly: &Assembly,
) -> Result<Made, Error> {
    let types = assembly.types;
    let config = write(store, &part.config, Algorithm::Sha256)?;
    stage.add_content(&config, types.config(), None)?;
    let mut content = vec![config.digest.clone()];
    let mut layers = Vec::new();
    for (at, diff_id) in part.layers.ids().enumerate() {
        let how = assembly.compression;
        let mut layer = match at < part.base || how.is_usual() {
            true => taken_over(store, stage, diff_id, assembly)?,
            false => compressed(store, stage, diff_id, how)?,
        };
        layer.media_type = types.layer(&layer.media_type).to_owned();
        content.push(layer.digest.clone());
        layers.push(layer);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: types.manifest(),
        config: Descriptor::new(types.config(), config.digest.clone(), config.size),
        layers,
        annotations: &part.annotations,
    };
    let manifest = documents::print("the manifest", &manifest)?;
    let manifest = write(store, &manifest, Algorithm::Sha256)?;
    stage.add_content(&manifest, types.manifest(), None)?;
    content.push(manifest.digest.clone());
    let said = match part.statements.is_empty() {
        true => None,
        false => Some(say(store, stage, part, (&manifest.digest, &mut content))?),
    };
    Ok(Made {
        said,
        described: part.described.clone(),
        manifest,
        config,
        text: part.config.clone(),
        layers: part.layers.ids().cloned().collect(),
        content,
        platform: part.platform.clone(),
    })
}

/// What a layer came as, if it may stay that.
fn taken_over(
    store: &Arc<Store>,
    stage: &mut Stage,
    diff_id: &Digest,
    assembly: &Assembly,
) -> Result<Descriptor, Error> {
    let (types, how) = (assembly.types, assembly.compression);
    let known = content_of(store, stage, diff_id)?;
    let is_so = types.layer(&known.media_type) == types.layer(how.media_type());
    match how.all {
        true if !is_so && how.is_usual() => packed(store, stage, diff_id),
        true if !is_so || how.level.is_some() => compressed(store, stage, diff_id, how),
        _ => Ok(known),
    }
}

/// Writes what is said about a manifest: a manifest of its own, whose layers are the statements (BuildKit,
/// "Image attestation storage").
fn say(
    store: &Arc<Store>,
    stage: &mut Stage,
    part: &Part,
    (about, content): (&Digest, &mut Vec<Digest>),
) -> Result<Blob, Error> {
    let named = part.subjects.iter();
    let digest = json!({ (about.algorithm().as_str()): about.hex() });
    let subject = |name: &String| json!({ "name": name, "digest": digest });
    let subjects: Vec<Value> = named.map(subject).collect();
    let mut layers = Vec::new();
    for (kind, predicate) in &part.statements {
        let statement = json!({
            "_type": STATEMENT,
            "predicateType": kind,
            "subject": subjects,
            "predicate": predicate,
        });
        let text = documents::print("a statement", &statement)?;
        let blob = write(store, &text, Algorithm::Sha256)?;
        stage.add_content(&blob, IN_TOTO, None)?;
        content.push(blob.digest.clone());
        layers.push(Descriptor {
            annotations: BTreeMap::from([(PREDICATE_TYPE.to_owned(), kind.clone())]),
            ..Descriptor::new(IN_TOTO, blob.digest.clone(), blob.size)
        });
    }
    let digests: Vec<String> = layers.iter().map(|one| one.digest.to_string()).collect();
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = documents::print("a configuration", &config)?;
    let config = write(store, &config, Algorithm::Sha256)?;
    stage.add_content(&config, documents::CONFIG, None)?;
    content.push(config.digest.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: documents::MANIFEST,
        config: Descriptor::new(documents::CONFIG, config.digest.clone(), config.size),
        layers,
        annotations: &BTreeMap::new(),
    };
    let manifest = documents::print("the manifest", &manifest)?;
    let manifest = write(store, &manifest, Algorithm::Sha256)?;
    stage.add_content(&manifest, documents::MANIFEST, None)?;
    content.push(manifest.digest.clone());
    Ok(manifest)
}

fn index(
    store: &Arc<Store>,
    stage: &mut Stage,
    parts: &[Made],
    assembly: &Assembly,
) -> Result<Blob, Error> {
    let types = assembly.types;
    let manifests = parts.iter().map(|part| {
        let manifest = &part.manifest;
        let platform = &part.platform;
        Descriptor {
            platform: Some(documents::Platform {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                variant: platform.variant.clone(),
            }),
            annotations: part.described.clone(),
            ..Descriptor::new(types.manifest(), manifest.digest.clone(), manifest.size)
        }
    });
    // No machine runs a statement.
    let unknown = || documents::Platform {
        architecture: "unknown".to_owned(),
        os: "unknown".to_owned(),
        variant: None,
    };
    let said = parts.iter().filter_map(|part| {
        let said = part.said.as_ref()?;
        let about = part.manifest.digest.to_string();
        Some(Descriptor {
            platform: Some(unknown()),
            annotations: BTreeMap::from([
                (REFERENCE_DIGEST.to_owned(), about),
                (REFERENCE_TYPE.to_owned(), ATTESTATION.to_owned()),
            ]),
            ..Descriptor::new(documents::MANIFEST, said.digest.clone(), said.size)
        })
    });
    let index = Index {
        schema_version: 2,
        media_type: types.index(),
        manifests: manifests.chain(said).collect(),
        annotations: &assembly.annotations,
    };
    let text = documents::print("the index", &index)?;
    let blob = write(store, &text, Algorithm::Sha256)?;
    stage.add_content(&blob, types.index(), None)?;
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
    packed(store, stage, diff_id)
}

/// What a layer is when this program compresses it.
fn packed(store: &Arc<Store>, stage: &mut Stage, diff_id: &Digest) -> Result<Descriptor, Error> {
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
        WHERE diff_id = ?1 AND kept < 2 AND coalesce(encoder, '') NOT LIKE 'asked-%' ORDER BY kept = 1 AND encoder = ?2 DESC, digest LIMIT 1";
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
