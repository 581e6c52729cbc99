//! What is attached to a manifest: signatures, attestations, bills of materials.

use types::Digest;

use crate::{Descriptor, Error, Repository};

impl Repository {
    /// What refers to `subject`, of one type only if that is named. By the registry's API, or by the tag
    /// `sha256-...` where it has none. Empty when there is nothing.
    ///
    /// # Errors
    /// [`Error::Denied`] and all others.
    pub async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let _ = (subject, artifact_type);
        Err(self.pending())
    }
}
