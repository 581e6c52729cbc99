//! One repository, as one somebody.

use types::ImageRef;

use crate::{Client, Credentials, Error};

/// One repository of a registry, as one somebody. Its verbs are in the modules of their names. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) client: Client,
    pub(crate) reference: ImageRef,
    pub(crate) credentials: Credentials,
}

impl Repository {
    /// The reference it was made of.
    pub fn reference(&self) -> &ImageRef {
        &self.reference
    }

    pub(crate) fn pending(&self) -> Error {
        Error::Invalid(format!("{}: not reached", self.reference))
    }
}
