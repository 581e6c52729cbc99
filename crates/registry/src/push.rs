//! What goes to a registry: blobs first, then the manifests that name them.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use types::ImageRef;

use crate::{Descriptor, Error, Repository};

/// Bytes that can be read again from any offset, on a thread that may block.
pub trait Source: Send + Sync + 'static {
    /// A reader that begins at `offset`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl<F> Source for F
where
    F: Fn(u64) -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
{
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self(offset)
    }
}

impl Repository {
    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// [`Error::Denied`] and all others, except that there is none.
    pub async fn has_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let _ = descriptor;
        Err(self.pending())
    }

    /// Lets the repository have a blob that another one of the same registry has. Whether it does now:
    /// a registry need not do it, and then the blob is to be uploaded.
    ///
    /// # Errors
    /// When it may not be pushed to.
    pub async fn mount(&self, descriptor: &Descriptor, from: &ImageRef) -> Result<bool, Error> {
        let _ = (descriptor, from);
        Err(self.pending())
    }

    /// Uploads a blob, which is taken up again where it was cut if the registry can.
    ///
    /// # Errors
    /// When it may not be pushed to, when the registry does not take it, or `source` cannot be read.
    pub async fn upload(
        &self,
        descriptor: &Descriptor,
        source: Arc<dyn Source>,
    ) -> Result<(), Error> {
        let _ = (descriptor, source);
        Err(self.pending())
    }

    /// Puts a manifest: under the tag, or under its digest only. Its blobs have to be there. The
    /// referrers list is kept by this client where the registry does not (a manifest with a subject).
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn put_manifest(
        &self,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Descriptor, Error> {
        let _ = (tag, media_type, bytes);
        Err(self.pending())
    }
}
