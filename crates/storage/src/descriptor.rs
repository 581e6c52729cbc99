//! What names content between this crate and those who bring it or take it away.

use types::{Digest, Platform};

use crate::image::documents;

/// A document or a layer: what it is, its digest and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// What its bytes hash to.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where it is fetched from instead of the registry; empty for nearly all.
    pub urls: Vec<String>,
    /// What a manifest of an index runs on, if the index says so.
    pub platform: Option<Platform>,
}

impl From<&documents::Descriptor> for Descriptor {
    fn from(descriptor: &documents::Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            urls: descriptor.urls.clone(),
            platform: descriptor
                .platform
                .as_ref()
                .and_then(documents::Platform::parse),
        }
    }
}
