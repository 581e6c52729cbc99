//! Caches elsewhere, and images that a client has: what is in them is described by documents of strangers.
//!
//! A cache is BuildKit's `cacheconfig.v0`: layers, each above another one, and records that say by what
//! digest a chain of them is found. The digests are this builder's own: those of another one are found by
//! nobody here, and the other way round.

mod export;
mod import;
mod layout;
#[cfg(test)]
mod tests;

use std::io::Read;

use serde::{Deserialize, Serialize};
use storage::Descriptor;

use super::Failure;

pub use export::CacheMode;
pub use import::CacheFrom;
pub(super) use layout::{config as layout_config, layers as layout_layers};

/// The type of a cache's document.
const CONFIG_TYPE: &str = "application/vnd.buildkit.cacheconfig.v0";
/// Where it is in the configuration of an image that has it in itself.
const INLINE: &str = "moby.buildkit.cache.v0";

/// Where documents and layers are. For threads that may block.
pub trait Blobs: Send + Sync {
    /// A small document.
    ///
    /// # Errors
    /// When it is not there.
    fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Failure>;

    /// A blob from its beginning.
    ///
    /// # Errors
    /// When it is not there.
    fn open(&self, wanted: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Failure>;
}

/// A cache's document.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Config {
    #[serde(default, deserialize_with = "or_null")]
    layers: Vec<Layer>,
    #[serde(default, deserialize_with = "or_null")]
    records: Vec<Record>,
}

/// A layer above another one.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layer {
    #[serde(default)]
    blob: String,
    /// The number of the layer below; -1 is none.
    #[serde(default)]
    parent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<About>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    media_type: String,
    #[serde(default, rename = "diffID")]
    diff_id: String,
    #[serde(default)]
    size: u64,
}

/// What a chain of layers is found by.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    digest: String,
    #[serde(default, deserialize_with = "or_null")]
    results: Vec<Outcome>,
    /// What other readers pass over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    brig: Option<Own>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// The number of the uppermost layer.
    #[serde(default)]
    layer: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Own {
    /// How many results the step has.
    outputs: usize,
    /// When they were made, nanoseconds since the Unix epoch.
    created: i64,
}

fn or_null<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// What the result of a number of a step is found by.
fn record_digest(key: &str, number: usize) -> String {
    match number {
        0 => key.to_owned(),
        number => super::digest::text(&format!("{key}#{number}")).to_string(),
    }
}

/// A manifest or an index, as far as it says what it is made of.
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Option<Part>,
    #[serde(default, deserialize_with = "or_null")]
    layers: Vec<Part>,
    #[serde(default, deserialize_with = "or_null")]
    manifests: Vec<Part>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    media_type: String,
    digest: types::Digest,
    size: u64,
}

impl From<Part> for Descriptor {
    fn from(part: Part) -> Self {
        Self {
            media_type: part.media_type,
            digest: part.digest,
            size: part.size,
            urls: Vec::new(),
            platform: None,
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(what: &str, text: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(text)
        .map_err(|error| Failure::invalid(format!("{what} cannot be understood: {error}")))
}
