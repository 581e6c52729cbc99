//! From a tag or a digest to a manifest.

use crate::{Descriptor, Error, Manifest, Repository};

impl Repository {
    /// What the reference's digest or tag names now, without fetching it (HEAD): what a registry that
    /// counts pulls does not count.
    ///
    /// # Errors
    /// [`Error::NoManifest`], [`Error::Denied`] and all others.
    pub async fn head(&self) -> Result<Descriptor, Error> {
        Err(self.pending())
    }

    /// The manifest or index that the reference's digest or tag names, in one request.
    ///
    /// # Errors
    /// As [`Repository::head`], and when what came is no manifest or not the one of that digest.
    pub async fn resolve(&self) -> Result<Manifest, Error> {
        Err(self.pending())
    }

    /// The manifest of a descriptor, as of an index's entry.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        let _ = descriptor;
        Err(self.pending())
    }
}
