//! An image on its way out: what it is made of, in the order in which a registry takes it.

use std::io::Read;
use std::sync::{Arc, Mutex};

use types::{Digest, ImageRef, Platform};

use crate::error::Error;
use crate::image::documents::{self, Document, Index, MAX_NESTING, Manifest};
use crate::image::query;
use crate::pull::best;
use crate::stage::{Stage, insert_source};
use crate::store::Store;
use crate::{Descriptor, Durability, content};

/// An image to be pushed. It stays as long as this lives.
#[derive(Debug)]
pub struct Push {
    store: Arc<Store>,
    /// What the pushed name will mean.
    pub root: Descriptor,
    /// Whether the image is an index of which only one platform's manifest is here, and that is what
    /// is pushed.
    pub incomplete: bool,
    blobs: Vec<PushBlob>,
    documents: Vec<Descriptor>,
    /// Keeps all of it.
    _stage: Mutex<Stage>,
}

/// A configuration or a layer to be pushed.
#[derive(Debug, Clone)]
pub struct PushBlob {
    /// What names it.
    pub descriptor: Descriptor,
    /// Repositories that are known to have it, as `docker.io/library/debian`.
    pub repositories: Vec<String>,
}

/// What is pushed of one manifest or index.
#[derive(Debug, Default)]
struct Parts {
    blobs: Vec<Descriptor>,
    documents: Vec<Descriptor>,
    /// Manifests of images all of which is here.
    whole: Vec<Descriptor>,
    /// The first thing that is not here.
    missing: Option<Digest>,
}

/// Collects what is pushed of the image `name`: of an index all, or the manifest for `platform`.
pub(crate) fn begin(
    store: &Arc<Store>,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Push, Error> {
    let mut stage = Stage::new(store);
    let id = query::find(store, name)?.id;
    let image = crate::image::descriptor(store, &id)?;
    let (root, parts, incomplete) = match platform {
        Some(platform) => {
            let root = choose(store, &mut stage, name, &image, platform, 0)?;
            let parts = Parts::of(store, &mut stage, &root)?;
            if let Some(digest) = &parts.missing {
                return Err(Error::Missing(format!("content {digest} of {name}")));
            }
            (root, parts, false)
        }
        None => whole(store, &mut stage, name, image)?,
    };
    let blobs = parts
        .blobs
        .into_iter()
        .map(|descriptor| {
            let repositories = repositories(store, &descriptor.digest)?;
            Ok(PushBlob {
                descriptor,
                repositories,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Push {
        store: Arc::clone(store),
        root,
        incomplete,
        blobs,
        documents: parts.documents,
        _stage: Mutex::new(stage),
    })
}

/// All of an image, or the one manifest of which all is here.
fn whole(
    store: &Arc<Store>,
    stage: &mut Stage,
    name: &str,
    image: Descriptor,
) -> Result<(Descriptor, Parts, bool), Error> {
    let parts = Parts::of(store, stage, &image)?;
    let Some(digest) = &parts.missing else {
        return Ok((image, parts, false));
    };
    match parts.whole.as_slice() {
        [only] if only.digest != image.digest => {
            let only = only.clone();
            let parts = Parts::of(store, stage, &only)?;
            Ok((only, parts, true))
        }
        _ => {
            let problem = format!(
                "is not complete here: content {digest} is missing. Name one of its platforms, or \
                 pull all of them"
            );
            Err(Error::image(format!("image {name}"), problem))
        }
    }
}

impl Push {
    /// What is pushed of content that `stage` holds.
    pub(crate) fn of(
        store: &Arc<Store>,
        root: Descriptor,
        blobs: Vec<Descriptor>,
        stage: Mutex<Stage>,
    ) -> Result<Self, Error> {
        let with_places = |descriptor: Descriptor| {
            let repositories = repositories(store, &descriptor.digest)?;
            Ok(PushBlob {
                descriptor,
                repositories,
            })
        };
        Ok(Self {
            store: Arc::clone(store),
            documents: vec![root.clone()],
            root,
            incomplete: false,
            blobs: blobs
                .into_iter()
                .map(with_places)
                .collect::<Result<_, Error>>()?,
            _stage: stage,
        })
    }

    /// Configurations and layers: to be pushed first, in any order.
    pub fn blobs(&self) -> &[PushBlob] {
        &self.blobs
    }

    /// Manifests and indexes: to be pushed after the blobs, in this order, the root last.
    pub fn documents(&self) -> &[Descriptor] {
        &self.documents
    }

    /// Content of the image from its byte `offset` on. What it hashes to is for the reader to see.
    ///
    /// # Errors
    /// When it cannot be read, or told again from the layer it is kept as.
    pub fn open(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send>, Error> {
        content::open(&self.store, digest, offset)
    }

    /// Remembers that all of it is in this repository now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pushed(&self, to: &ImageRef) -> Result<(), Error> {
        let repository = to.repository();
        self.store.write(Durability::Process, |tx| {
            let blobs = self.blobs.iter().map(|blob| &blob.descriptor);
            blobs
                .chain(&self.documents)
                .try_for_each(|part| insert_source(tx, &part.digest, &repository))
        })
    }
}

impl Parts {
    fn of(store: &Arc<Store>, stage: &mut Stage, root: &Descriptor) -> Result<Self, Error> {
        let mut parts = Self::default();
        parts.walk(store, stage, root, 0)?;
        Ok(parts)
    }

    fn walk(
        &mut self,
        store: &Arc<Store>,
        stage: &mut Stage,
        descriptor: &Descriptor,
        depth: usize,
    ) -> Result<(), Error> {
        if !stage.has_content(&descriptor.digest)? {
            self.missing.get_or_insert(descriptor.digest.clone());
            return Ok(());
        }
        match document(store, &descriptor.digest)? {
            Document::Manifest(manifest) => {
                if self.manifest(stage, &manifest)? && is_image(&manifest) {
                    self.whole.push(descriptor.clone());
                }
            }
            Document::Index(_) if depth > MAX_NESTING => {
                let what = format!("index {}", descriptor.digest);
                return Err(Error::image(what, "is nested too deeply"));
            }
            Document::Index(index) => {
                for manifest in &index.manifests {
                    self.walk(store, stage, &Descriptor::from(manifest), depth + 1)?;
                }
            }
        }
        // What it names goes before it.
        if !self.documents.contains(descriptor) {
            self.documents.push(descriptor.clone());
        }
        Ok(())
    }

    /// Adds what a manifest names; whether all of it is here.
    fn manifest(&mut self, stage: &mut Stage, manifest: &Manifest) -> Result<bool, Error> {
        let mut all = true;
        for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
            // What nobody may give away stays where it is.
            if !part.urls.is_empty() {
                continue;
            }
            if !stage.has_content(&part.digest)? {
                self.missing.get_or_insert(part.digest.clone());
                all = false;
            } else if !self.blobs.iter().any(|b| b.digest == part.digest) {
                self.blobs.push(Descriptor::from(part));
            }
        }
        Ok(all)
    }
}

/// Not a signed statement about one.
fn is_image(manifest: &Manifest) -> bool {
    let statement = |layer: &documents::Descriptor| layer.media_type.contains("in-toto");
    !manifest.layers.iter().any(statement)
}

/// The manifest of an image for a platform.
fn choose(
    store: &Arc<Store>,
    stage: &mut Stage,
    name: &str,
    image: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Descriptor, Error> {
    let missing = || Error::NoPlatform {
        what: format!("image {name}"),
        platform: platform.clone(),
        there: "other platforms".to_owned(),
    };
    if !stage.has_content(&image.digest)? || depth > MAX_NESTING {
        return Err(missing());
    }
    match document(store, &image.digest)? {
        Document::Manifest(_) => Ok(image.clone()),
        Document::Index(Index { manifests, .. }) if manifests.is_empty() => Err(missing()),
        Document::Index(index) => {
            let chosen = best(&index, platform).ok_or_else(missing)?;
            let chosen = Descriptor::from(chosen);
            choose(store, stage, name, &chosen, platform, depth + 1)
        }
    }
}

fn document(store: &Arc<Store>, digest: &Digest) -> Result<Document, Error> {
    let what = format!("manifest {digest}");
    let text = content::text(store, &what, digest)?;
    documents::parse_document(&what, &text)
}

fn repositories(store: &Store, digest: &Digest) -> Result<Vec<String>, Error> {
    let sql = "SELECT repository FROM sources WHERE digest = ?1 ORDER BY repository";
    store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let rows = query.query_map([digest.to_string()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}
