//! Whether credentials are right.

use crate::{Client, Credential, Error};

/// What a login has got.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// A token to keep instead of the password, if the registry gives one.
    pub identity_token: Option<String>,
}

impl std::fmt::Debug for Login {
    /// The token is left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login(token: {})", self.identity_token.is_some())
    }
}

impl Client {
    /// Asks a registry (`docker.io`, `host:port`, or Docker's `https://index.docker.io/v1/`) whether a
    /// credential is right.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when it is not, and all others.
    pub async fn login(&self, registry: &str, credential: &Credential) -> Result<Login, Error> {
        let _ = credential;
        Err(Error::Invalid(registry.to_owned()))
    }
}
