//! The client: configuration and what is kept between calls.

use std::sync::Arc;

use types::ImageRef;

use crate::{Config, Credentials, Error, Repository};

/// Talks to registries. Cheap to clone; clones share connections and tokens. A new configuration is a new
/// client: calls that run keep the old one.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What clones share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
}

impl Client {
    /// Checks the configuration. Makes no connection, and nothing that a first request could make.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's name.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared { config }),
        })
    }

    /// What it was made of.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The repository of `reference`, for calls as whom `credentials` say.
    pub fn repository(&self, reference: &ImageRef, credentials: &Credentials) -> Repository {
        Repository {
            client: self.clone(),
            reference: reference.clone(),
            credentials: credentials.clone(),
        }
    }
}
