//! Who somebody is to a registry. Never printed.

use std::collections::BTreeMap;
use std::fmt;

/// Who somebody is to one registry.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A name and a password or access token: for basic authentication, and to get tokens with.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token that a login has got (Docker's `identitytoken`).
    IdentityToken(String),
    /// A bearer token to send as it is (Docker's `registrytoken`).
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    /// The secret parts are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { username, .. } => write!(f, "Password({username:?})"),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
            Self::RegistryToken(_) => f.write_str("RegistryToken"),
        }
    }
}

/// The credentials of one call: those of the registry that the reference names, and of others by host.
///
/// A credential is sent to its own host only, never to a mirror or to where a redirect leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    own: Credential,
    others: BTreeMap<String, Credential>,
}

impl Credentials {
    /// For a registry that is open to all.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// For the registry that the reference names.
    pub fn own(credential: Credential) -> Self {
        Self {
            own: credential,
            others: BTreeMap::new(),
        }
    }

    /// And for another host (`mirror.example.com:5000`), which a mirror or a rewrite leads to.
    #[must_use]
    pub fn with(mut self, host: &str, credential: Credential) -> Self {
        self.others.insert(host.to_owned(), credential);
        self
    }

    /// What is sent to `host` when a reference names `registry`.
    pub(crate) fn of(&self, host: &str, registry: &str) -> &Credential {
        match self.others.get(host) {
            Some(credential) => credential,
            None if host == registry => &self.own,
            None => &Credential::Anonymous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(username: &str) -> Credential {
        Credential::Password {
            username: username.into(),
            password: "secret".into(),
        }
    }

    #[test]
    fn a_mirror_does_not_get_the_registrys_credential() {
        let credentials = Credentials::own(password("ann")).with("mirror:1", password("ben"));
        assert_eq!(*credentials.of("reg:1", "reg:1"), password("ann"));
        assert_eq!(*credentials.of("mirror:1", "reg:1"), password("ben"));
        assert_eq!(*credentials.of("other:1", "reg:1"), Credential::Anonymous);
    }

    #[test]
    fn secrets_are_not_printed() {
        let all = [
            password("ann"),
            Credential::IdentityToken("secret".into()),
            Credential::RegistryToken("secret".into()),
        ];
        assert!(!format!("{all:?}").contains("secret"));
    }
}
