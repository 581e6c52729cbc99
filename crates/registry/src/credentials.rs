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
///
/// They are the same whatever program asks for somebody.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    own: Credential,
    others: BTreeMap<String, Credential>,
    /// The program for which all this is, as it calls itself.
    agent: String,
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        (&self.own, &self.others) == (&other.own, &other.others)
    }
}

impl Eq for Credentials {}

impl Credentials {
    /// For a registry that is open to all.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// For the registry that the reference names.
    pub fn own(credential: Credential) -> Self {
        Self {
            own: credential,
            ..Self::default()
        }
    }

    /// And for another host (`mirror.example.com:5000`), which a mirror or a rewrite leads to.
    #[must_use]
    pub fn with(mut self, host: &str, credential: Credential) -> Self {
        self.others.insert(host.to_owned(), credential);
        self
    }

    /// Asked for this program, which the registry is told of in Docker's form.
    #[must_use]
    pub fn for_client(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    /// What follows our own name in `User-Agent`; empty if nobody said for whom this is.
    pub(crate) fn upstream(&self) -> String {
        if self.agent.is_empty() {
            return String::new();
        }
        let mut text = " UpstreamClient(".to_owned();
        for letter in self.agent.chars() {
            if matches!(letter, '(' | ')' | ';' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        text.push(')');
        text
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
    fn the_client_is_told_in_dockers_form() {
        let agent = "Docker-Client/28.5 (linux; x\\y)";
        let credentials = Credentials::own(password("ann"));
        assert_eq!(credentials.upstream(), "");
        let told = credentials.clone().for_client(agent);
        assert_eq!(
            told.upstream(),
            r" UpstreamClient(Docker-Client/28.5 \(linux\; x\\y\))"
        );
        assert_eq!(told, credentials);
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
