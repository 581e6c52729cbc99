//! Results that others have made.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::image::elsewhere::Elsewhere;
use serde::Deserialize;
use storage::{Descriptor, Layers, Storage};
use tokio::runtime::Handle;
use types::{Digest, ErrorKind, ImageRef, Platform};

use super::super::{Ask, Failure, Solver, sources};
use super::{Blobs, CONFIG_TYPE, Config, INLINE, Manifest, Own, read, record_digest};

/// The longest chain of layers.
const LONGEST: usize = 512;
/// The most records of a cache.
const MOST_RECORDS: usize = 100_000;
/// The most results of a step.
const MOST_RESULTS: usize = 64;
/// Indexes in indexes.
const NESTING: usize = 4;

/// A cache elsewhere.
pub struct CacheFrom {
    /// By digest, the number of the uppermost layer: chains are followed when one is found, for a
    /// stranger's document may have any number of records of one long chain.
    records: HashMap<String, (usize, Own)>,
    layers: Vec<Known>,
    blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for CacheFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheFrom")
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// A layer, if enough is known of it, and the number of the one below it.
struct Known {
    layer: Option<(Digest, Descriptor)>,
    below: Option<usize>,
}

/// One result.
#[derive(Debug, Clone)]
pub(in crate::solve) struct Chain {
    layers: Vec<(Digest, Descriptor)>,
    own: Own,
}

/// The results of a step, as they were found.
pub(in crate::solve) struct Found<'a> {
    cache: &'a CacheFrom,
    chains: Vec<Chain>,
}

impl Found<'_> {
    /// When they were made.
    pub(in crate::solve) fn created(&self) -> Option<i64> {
        self.chains.first().map(|chain| chain.own.created)
    }

    /// Brings the layers that are not here.
    pub(in crate::solve) fn bring(&self, store: &Storage) -> Result<Vec<Layers>, Failure> {
        let bring = |chain: &Chain| {
            let mut layers = Layers::default();
            for (diff_id, descriptor) in &chain.layers {
                let layer = match store.layers(std::slice::from_ref(diff_id))? {
                    Some(layer) => layer,
                    None => {
                        let stream = self.cache.blobs.open(descriptor)?;
                        store.receive_layer(stream, diff_id)?
                    }
                };
                layers = layers.with(&layer);
            }
            Ok(layers)
        };
        self.chains.iter().map(bring).collect()
    }
}

/// The part of an image's configuration that is about caches.
#[derive(Deserialize)]
struct InImage {
    #[serde(rename = "moby.buildkit.cache.v0")]
    cache: Option<String>,
    rootfs: Option<Rootfs>,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

impl CacheFrom {
    /// Reads what a manifest or an index is the root of: a cache, or an image that has one in itself.
    ///
    /// # Errors
    /// When it is neither, or cannot be understood.
    pub fn read(root: &[u8], blobs: Arc<dyn Blobs>) -> Result<Self, Failure> {
        let mut manifest: Manifest = read("the manifest", root)?;
        for _ in 0..NESTING {
            let is_config = |part: &&super::Part| part.media_type == CONFIG_TYPE;
            if let Some(config) = manifest.manifests.iter().find(is_config).cloned() {
                let text = blobs.document(&config.into())?;
                let parts = manifest.manifests.into_iter().map(Descriptor::from);
                return Self::of(&text, &parts.collect::<Vec<_>>(), &HashMap::new(), blobs);
            }
            let Some(config) = manifest.config.take() else {
                let Some(first) = manifest.manifests.into_iter().next() else {
                    break;
                };
                manifest = read("the manifest", &blobs.document(&first.into())?)?;
                continue;
            };
            let is_cache = config.media_type == CONFIG_TYPE;
            let text = blobs.document(&config.into())?;
            let parts: Vec<Descriptor> =
                manifest.layers.into_iter().map(Descriptor::from).collect();
            return match is_cache {
                true => Self::of(&text, &parts, &HashMap::new(), blobs),
                false => Self::in_image(&text, &parts, blobs),
            };
        }
        Err(Failure::invalid(
            "there is no manifest of a cache or an image",
        ))
    }

    /// Of an image's own configuration.
    fn in_image(text: &[u8], parts: &[Descriptor], blobs: Arc<dyn Blobs>) -> Result<Self, Failure> {
        let image: InImage = read("the configuration", text)?;
        let Some(cache) = image.cache else {
            let sentence = format!("the image has no cache in itself ({INLINE})");
            return Err(Failure::new(ErrorKind::NotFound, sentence));
        };
        let cache = BASE64_STANDARD.decode(cache);
        let cache = cache.map_err(|error| {
            Failure::invalid(format!(
                "the cache in the image cannot be understood: {error}"
            ))
        })?;
        let diff_ids = image.rootfs.map(|rootfs| rootfs.diff_ids);
        let named = parts.iter().map(|part| part.digest.to_string());
        let known = named.zip(diff_ids.unwrap_or_default()).collect();
        Self::of(&cache, parts, &known, blobs)
    }

    /// Of a cache's document; `known` says which layer unpacks to what, where the document does not.
    fn of(
        text: &[u8],
        parts: &[Descriptor],
        known: &HashMap<String, Digest>,
        blobs: Arc<dyn Blobs>,
    ) -> Result<Self, Failure> {
        let config: Config = read("the cache's document", text)?;
        let parts: HashMap<String, &Descriptor> = parts
            .iter()
            .map(|part| (part.digest.to_string(), part))
            .collect();
        let layers = config.layers.iter().map(|layer| {
            let said = layer.annotations.as_ref();
            let said = said.and_then(|about| about.diff_id.parse().ok());
            let diff_id = said.or_else(|| known.get(&layer.blob).cloned());
            let part = parts.get(&layer.blob).map(|part| (*part).clone());
            Known {
                layer: diff_id.zip(part),
                below: usize::try_from(layer.parent).ok(),
            }
        });
        let layers = layers.collect();
        // What another builder has written is found by nobody.
        let own = |record: super::Record| {
            let result = record.results.first()?.layer;
            Some((record.digest, (result, record.brig?)))
        };
        let records = config.records.into_iter();
        let records = records.filter_map(own).take(MOST_RECORDS).collect();
        Ok(Self {
            records,
            layers,
            blobs,
        })
    }

    /// A result with all layers that it stands on; none where one of them is not known.
    fn chain(&self, (uppermost, own): (usize, Own)) -> Option<Chain> {
        let mut layers = Vec::new();
        let mut at = Some(uppermost);
        while let Some(number) = at {
            let known = self.layers.get(number)?;
            layers.push(known.layer.clone()?);
            at = known.below;
            if layers.len() > LONGEST {
                return None;
            }
        }
        layers.reverse();
        Some(Chain { layers, own })
    }

    /// The results under a key, if all of them are there.
    pub(in crate::solve) fn find(&self, key: &str) -> Option<Found<'_>> {
        let (_, own) = self.records.get(key)?;
        let numbers = 0..own.outputs.min(MOST_RESULTS);
        let record = |number| self.records.get(&record_digest(key, number));
        let chains = numbers.map(|number| self.chain(*record(number)?));
        Some(Found {
            cache: self,
            chains: chains.collect::<Option<Vec<_>>>()?,
        })
    }
}

impl Solver {
    /// The cache that a name means: that of an image here, which says it in itself, or what its registry has.
    ///
    /// # Errors
    /// When there is none.
    pub fn cache_from(&self, ask: &Ask<'_>, name: &str) -> Result<CacheFrom, Failure> {
        let reference = sources::parse(name)?;
        if let Some(here) = self.cache_here(&reference) {
            return Ok(here);
        }
        let credentials = ask.client.credentials(&reference)?;
        let there = Elsewhere::new(&self.engine, &reference, &credentials);
        let asked = there.clone();
        let root = sources::wait(self, ask, async move {
            asked.manifest().await.map_err(Failure::from)
        })?;
        let blobs = OfRegistry {
            there,
            runtime: self.engine.runtime().clone(),
        };
        CacheFrom::read(&root.bytes, Arc::new(blobs))
    }

    fn cache_here(&self, reference: &ImageRef) -> Option<CacheFrom> {
        let store = self.engine.storage();
        let image = store.image_on(&reference.to_string(), &Platform::host());
        let image = image.ok()?;
        let text = store.config_text(&image).ok()?;
        // Layers are here: what they are packed into is nobody's concern.
        let said: InImage = serde_json::from_str(&text).ok()?;
        let cache = BASE64_STANDARD.decode(said.cache?).ok()?;
        let config: Config = serde_json::from_slice(&cache).ok()?;
        let parts = config.layers.iter().filter_map(|layer| {
            Some(Descriptor {
                media_type: String::new(),
                digest: layer.blob.parse().ok()?,
                size: 0,
                urls: Vec::new(),
                platform: None,
            })
        });
        let parts: Vec<Descriptor> = parts.collect();
        CacheFrom::of(&cache, &parts, &HashMap::new(), Arc::new(Nowhere)).ok()
    }
}

/// A registry's repository.
struct OfRegistry {
    there: Elsewhere,
    runtime: Handle,
}

impl Blobs for OfRegistry {
    fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Failure> {
        let media_type = &wanted.media_type;
        if media_type.contains("manifest") || media_type.contains("image.index") {
            let found = self.runtime.block_on(self.there.manifest_of(wanted))?;
            return Ok(found.bytes);
        }
        Ok(self.runtime.block_on(self.there.document(wanted))?)
    }

    fn open(&self, wanted: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Failure> {
        Ok(Box::new(self.there.blob(wanted)?))
    }
}

/// All that could be wanted is here.
struct Nowhere;

impl Blobs for Nowhere {
    fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Failure> {
        let sentence = format!("{} is not here", wanted.digest);
        Err(Failure::new(ErrorKind::NotFound, sentence))
    }

    fn open(&self, wanted: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Failure> {
        self.document(wanted)
            .map(|_| -> Box<dyn Read + Send> { Box::new(std::io::empty()) })
    }
}
