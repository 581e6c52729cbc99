//! An image from one repository of a registry to another one: what an index names has to be beside it.

use std::io::{self, Read};
use std::sync::Arc;

use registry::{Content, Descriptor, Repository};
use tokio::runtime::Handle;
use types::{Digest, ErrorKind, ImageRef};

use super::arriving::{Arriving, Feed, arriving};
use super::registries::Asker;
use crate::{Engine, Error};

/// An index, or what is in another registry, is not copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCopied {
    /// It has no blobs of its own.
    #[error("{0} is a manifest list")]
    Index(String),
    /// Nobody is asked to carry images from one registry to another without saying so.
    #[error(
        "cannot use source images from a different registry than the target image: {from} != {to}"
    )]
    OtherRegistry {
        /// Where it is.
        from: String,
        /// Where it should be.
        to: String,
    },
}

impl NotCopied {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Lets the repository of `to` have the image `from`, under its digest. Its blobs are mounted by the
/// registry where it does that, and carried where it does not.
pub async fn copy(
    engine: &Engine,
    from: &ImageRef,
    to: &ImageRef,
    asker: &Asker,
) -> Result<Digest, Error> {
    if from.domain() != to.domain() {
        return Err(NotCopied::OtherRegistry {
            from: from.domain().to_owned(),
            to: to.domain().to_owned(),
        }
        .into());
    }
    let source = asker.repository(engine, from)?;
    let target = asker.repository(engine, to)?;
    let manifest = source.resolve().await?;
    let Content::Image { config, layers } = &manifest.content else {
        return Err(NotCopied::Index(from.familiar()).into());
    };
    for blob in std::iter::once(config).chain(layers) {
        if !blob.is_foreign() {
            give(engine, &source, &target, blob).await?;
        }
    }
    let media_type = manifest.descriptor.media_type.clone();
    let put = target.put_manifest(None, &media_type, manifest.bytes);
    Ok(put.await?.digest)
}

async fn give(
    engine: &Engine,
    source: &Repository,
    target: &Repository,
    blob: &Descriptor,
) -> Result<(), Error> {
    if target.has_blob(blob).await? || target.mount(blob, source.reference()).await? {
        return Ok(());
    }
    let (source, of, runtime) = (source.clone(), blob.clone(), engine.runtime().clone());
    let open = move |offset| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(start(&runtime, &source, &of, offset)))
    };
    Ok(target.upload(blob, Arc::new(open)).await?)
}

/// Begins to bring a blob.
fn start(runtime: &Handle, source: &Repository, blob: &Descriptor, offset: u64) -> Arriving {
    let (feed, arriving) = arriving();
    let (source, blob) = (source.clone(), blob.clone());
    // Ends by itself when nobody reads any more.
    runtime.spawn(async move {
        let brought = bring(&source, &blob, offset, &feed).await;
        feed.end(brought).await;
    });
    arriving
}

async fn bring(
    source: &Repository,
    blob: &Descriptor,
    offset: u64,
    feed: &Feed,
) -> Result<(), registry::Error> {
    let mut blob = source.blob(blob, offset).await?;
    while let Some(bytes) = blob.chunk().await? {
        if !feed.give(bytes).await {
            break;
        }
    }
    Ok(())
}
