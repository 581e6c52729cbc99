//! What an image is made of: the manifests of its index, its layers, its own descriptor.

use std::collections::HashMap;
use std::sync::Arc;

use oci_spec::image::ImageConfiguration;
use rusqlite::OptionalExtension;
use types::{Digest, Platform};

use super::documents::{self, Document, MAX_NESTING, REFERENCE_DIGEST, REFERENCE_TYPE};
use super::query;
use crate::error::Error;
use crate::gc::parse_digest;
use crate::pull::{Pull, begin};
use crate::stage::Stage;
use crate::store::Store;
use crate::{Descriptor, Image, Wanted, content};

/// A manifest of an image.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What names it.
    pub descriptor: Descriptor,
    /// What it runs on; none of a statement about another, and where nobody says.
    pub platform: Option<Platform>,
    /// Whether it is a statement about another manifest and no image.
    pub statement: bool,
    /// The manifest that a statement is about, if it says so.
    pub about: Option<Digest>,
    /// Whether all it names is here.
    pub available: bool,
    /// Whether containers can be made of it at once.
    pub unpacked: bool,
    /// Bytes of its content that is here.
    pub content: u64,
    /// Bytes of its unpacked layers.
    pub layers: u64,
}

/// The descriptor of an image's own document.
pub(crate) fn descriptor(store: &Store, id: &Digest) -> Result<Descriptor, Error> {
    let sql = "SELECT media_type, size FROM content WHERE digest = ?1";
    let row = store.read(|db| {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
        let mut query = db.prepare_cached(sql)?;
        Ok(query.query_row([id.to_string()], row).optional()?)
    })?;
    let (media_type, size) = row.ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
    Ok(Descriptor {
        media_type,
        digest: id.clone(),
        size: size.cast_unsigned(),
        urls: Vec::new(),
        platform: None,
    })
}

/// What names a manifest that a container was made from: its digest, media type, size and configuration.
const MADE_FROM: &str = "SELECT content.digest, media_type, size, config FROM snapshots
    JOIN content ON content.digest = snapshots.manifest
    JOIN manifests ON manifests.image = snapshots.image AND manifests.digest = snapshots.manifest";

/// A row of [`MADE_FROM`].
type MadeFrom = (String, String, i64, String);

/// The descriptor of the manifest that a container was made from, and what it runs on; none where that is gone.
pub(crate) fn manifest_of(store: &Store, container: &str) -> Result<Option<Descriptor>, Error> {
    let sql = format!("{MADE_FROM} WHERE container = ?1");
    let found = store.read(|db| {
        let mut query = db.prepare_cached(&sql)?;
        Ok(query.query_row([container], made_from).optional()?)
    })?;
    found.map(described).transpose()
}

/// [`manifest_of`] each container, by its id; one that has none is not in it.
pub(crate) fn manifests(store: &Store) -> Result<HashMap<String, Arc<Descriptor>>, Error> {
    let sql = format!("{MADE_FROM} GROUP BY content.digest");
    let (containers, found) = store.read(|db| {
        let mut query = db.prepare_cached("SELECT container, manifest FROM snapshots")?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let containers: Vec<(String, String)> =
            query.query_map([], row)?.collect::<Result<_, _>>()?;
        let mut query = db.prepare_cached(&sql)?;
        let found: Vec<MadeFrom> = query.query_map([], made_from)?.collect::<Result<_, _>>()?;
        Ok((containers, found))
    })?;
    let mut known = HashMap::new();
    for row in found {
        known.insert(row.0.clone(), Arc::new(described(row)?));
    }
    let of =
        |(container, manifest): (String, String)| Some((container, known.get(&manifest)?.clone()));
    Ok(containers.into_iter().filter_map(of).collect())
}

fn made_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<MadeFrom> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn described((digest, media_type, size, config): MadeFrom) -> Result<Descriptor, Error> {
    let what = format!("the configuration of manifest {digest}");
    let config: ImageConfiguration = documents::parse(&what, config.as_bytes())?;
    Ok(Descriptor {
        media_type,
        digest: parse_digest(digest)?,
        size: size.cast_unsigned(),
        urls: Vec::new(),
        platform: Some(Platform {
            os: config.os().to_string(),
            architecture: config.architecture().to_string(),
            variant: config.variant().clone(),
        }),
    })
}

/// Bytes of each unpacked layer of the image, the lowest first.
pub(crate) fn layer_sizes(store: &Store, image: &Image) -> Result<Vec<u64>, Error> {
    sizes(store, &image.id, &image.manifest)
}

fn sizes(store: &Store, image: &Digest, manifest: &Digest) -> Result<Vec<u64>, Error> {
    let sql = "SELECT layers.size FROM image_layers
        JOIN layers ON layers.diff_id = image_layers.diff_id
        WHERE image = ?1 AND manifest = ?2 ORDER BY position";
    store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let ids = [image.to_string(), manifest.to_string()];
        let rows = query.query_map(ids, |row| row.get::<_, i64>(0))?;
        Ok(rows
            .map(|size| size.map(i64::cast_unsigned))
            .collect::<Result<_, _>>()?)
    })
}

/// The manifests of an image, as far as they are known.
pub(crate) fn variants(store: &Arc<Store>, image: &Image) -> Result<Vec<Variant>, Error> {
    let mut stage = Stage::new(store);
    let mut variants = Vec::new();
    let root = descriptor(store, &image.id)?;
    let role = Role::default();
    walk(store, &mut stage, image, root, role, 0, &mut variants)?;
    Ok(variants)
}

/// What an index says that a manifest is for.
#[derive(Debug, Clone, Default)]
struct Role {
    statement: bool,
    about: Option<Digest>,
}

impl From<&documents::Descriptor> for Role {
    fn from(manifest: &documents::Descriptor) -> Self {
        let about = manifest.annotations.get(REFERENCE_DIGEST);
        let statement = manifest.annotations.contains_key(REFERENCE_TYPE);
        Self {
            statement,
            about: about.filter(|_| statement).and_then(|d| d.parse().ok()),
        }
    }
}

fn walk(
    store: &Arc<Store>,
    stage: &mut Stage,
    image: &Image,
    descriptor: Descriptor,
    role: Role,
    depth: usize,
    variants: &mut Vec<Variant>,
) -> Result<(), Error> {
    let what = format!("manifest {}", descriptor.digest);
    let document = match stage.has_content(&descriptor.digest)? {
        true => {
            let text = content::text(store, &what, &descriptor.digest)?;
            Some(documents::parse_document(&what, &text)?)
        }
        false => None,
    };
    if let Some(Document::Index(index)) = document {
        if depth > MAX_NESTING {
            return Err(Error::image(what, "is nested too deeply"));
        }
        for manifest in &index.manifests {
            let (descriptor, role) = (Descriptor::from(manifest), Role::from(manifest));
            walk(store, stage, image, descriptor, role, depth + 1, variants)?;
        }
        return Ok(());
    }
    let mut variant = Variant {
        platform: descriptor.platform.clone().filter(|_| !role.statement),
        statement: role.statement,
        about: role.about,
        available: false,
        unpacked: false,
        content: 0,
        layers: 0,
        descriptor,
    };
    if let Some(Document::Manifest(manifest)) = document {
        fill(store, stage, image, &manifest, &mut variant)?;
    }
    variants.push(variant);
    Ok(())
}

fn fill(
    store: &Arc<Store>,
    stage: &mut Stage,
    image: &Image,
    manifest: &documents::Manifest,
    variant: &mut Variant,
) -> Result<(), Error> {
    variant.available = true;
    variant.content = variant.descriptor.size;
    for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
        if stage.has_content(&part.digest)? {
            variant.content += part.size;
        } else {
            variant.available = false;
        }
    }
    if variant.platform.is_none()
        && !variant.statement
        && stage.has_content(&manifest.config.digest)?
    {
        let digest = &manifest.config.digest;
        let text = content::text(store, &format!("configuration {digest}"), digest)?;
        variant.platform = documents::platform_of(&text);
    }
    let digest = &variant.descriptor.digest;
    let known = "SELECT 1 FROM manifests WHERE image = ?1 AND digest = ?2";
    let ids = [image.id.to_string(), digest.to_string()];
    variant.unpacked = store.read(|db| Ok(db.prepare_cached(known)?.exists(ids)?))?;
    variant.layers = sizes(store, &image.id, digest)?.iter().sum();
    Ok(())
}

/// The image as it is on a platform: unpacked now if it was not. It stays unpacked.
pub(crate) fn on_platform(
    store: &Arc<Store>,
    name: &str,
    platform: &Platform,
) -> Result<Image, Error> {
    let image = query::find(store, name)?;
    let here = documents::platform_of(&config_text(store, &image)?);
    if here.as_ref() == Some(platform) {
        return Ok(image);
    }
    let root = descriptor(store, &image.id)?;
    if image.manifest == image.id && here.as_ref().is_some_and(|here| !platform.runs(here)) {
        return Err(Error::NoPlatform {
            what: format!("image {name}"),
            platform: platform.clone(),
            there: here.map_or_else(String::new, |here| here.to_string()),
        });
    }
    let text = content::text(store, &format!("image {name}"), &image.id)?;
    let pull: Pull = begin(store, &root, &text, Wanted::Alone(platform.clone()))?;
    let manifest = pull.chosen()?;
    pull.commit(&[], None)?;
    store.read(|db| query::get_manifest(db, &image.id, &manifest))
}

/// A manifest and what it names, as far as it is known, with their sizes.
pub(crate) fn parts(store: &Store, manifest: &Descriptor) -> Result<Vec<(Digest, u64)>, Error> {
    let digest = &manifest.digest;
    let known = "SELECT 1 FROM content WHERE digest = ?1";
    let known = store.read(|db| Ok(db.prepare_cached(known)?.exists([digest.to_string()])?))?;
    let mut parts = vec![(digest.clone(), manifest.size)];
    if !known {
        return Ok(parts);
    }
    let what = format!("manifest {digest}");
    let text = content::text(store, &what, digest)?;
    if let Document::Manifest(manifest) = documents::parse_document(&what, &text)? {
        let named = std::iter::once(manifest.config).chain(manifest.layers);
        parts.extend(named.map(|part| (part.digest, part.size)));
    }
    Ok(parts)
}

fn config_text(store: &Store, image: &Image) -> Result<Vec<u8>, Error> {
    let sql = "SELECT config FROM images WHERE id = ?1";
    store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let text: String = query.query_row([image.id.to_string()], |row| row.get(0))?;
        Ok(text.into_bytes())
    })
}
