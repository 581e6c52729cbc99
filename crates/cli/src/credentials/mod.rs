//! Who the user is to registries: what Docker's client keeps is read and honoured, what Brig itself
//! keeps is encrypted.
//!
//! In this order: `DOCKER_AUTH_CONFIG`, the helper of the registry (`credHelpers`), the store
//! (`credsStore`), Brig's own file ([`sealed`]), plain text in `config.json`.

mod config_file;
mod helper;
mod sealed;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use api::wire::AuthConfig;
use types::ImageRef;

use crate::error::CliError;
use config_file::ConfigFile;
pub(crate) use config_file::write_file;
use sealed::Sealed;

/// How Docker's registry is called where credentials are kept.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Why credentials cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path} is no configuration of Docker's client: {why}")]
    Config {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// A helper.
    #[error("the credential helper {program} cannot {verb}: {why}")]
    Helper {
        /// Its program.
        program: String,
        /// What it was asked.
        verb: &'static str,
        /// What it said.
        why: String,
    },
    /// What is kept cannot be opened.
    #[error(
        "{path}: the credentials of {server} cannot be decrypted with the key in {key}: log in again"
    )]
    Seal {
        /// The file.
        path: String,
        /// Whose.
        server: String,
        /// Where the key is.
        key: String,
    },
    /// The machine has no random bytes.
    #[error("cannot get random bytes for a key: {0}")]
    Random(String),
    /// There is no place to keep anything.
    #[error("HOME is not set: there is no place for credentials")]
    Homeless,
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self::Invalid(text)
    }
}

/// What credentials are kept under: a registry's host, or [`DOCKER_HUB`].
pub fn server_of(host: &str) -> String {
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        DOCKER_HUB => DOCKER_HUB.to_owned(),
        host => bare(host).to_owned(),
    }
}

/// The host of an address, without scheme and path.
fn bare(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// `--config`. A static because the flag stands before all others and is for everything that reads the
/// environment.
static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// Keeps everything in this directory, whatever the environment says.
pub fn use_directory(path: String) {
    // The first word counts.
    let _ = DIRECTORY.set(PathBuf::from(path));
}

/// The directory of `config.json`; `variable` reads the environment.
///
/// # Errors
/// When there is no home directory.
pub fn directory(variable: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let given = DIRECTORY.get().cloned();
    let docker = given.or_else(|| set("DOCKER_CONFIG").map(PathBuf::from));
    let docker = docker.or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")));
    docker.ok_or(Error::Homeless)
}

/// A setting of the configuration.
///
/// # Errors
/// When there is no home directory, or the file cannot be read.
pub fn setting(
    key: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, Error> {
    let config = ConfigFile::read(&directory(variable)?.join("config.json"))?;
    Ok(config.text(key))
}

/// Changes a setting of the configuration, or takes it out.
///
/// # Errors
/// When there is no home directory, or the file cannot be read or written.
pub fn set(
    key: &str,
    value: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    let mut config = ConfigFile::read(&directory(variable)?.join("config.json"))?;
    config.set(key, value);
    config.write()
}

/// The places where credentials are kept.
#[derive(Debug)]
pub struct Credentials {
    config: ConfigFile,
    sealed: Sealed,
    /// From the environment; nothing is written there.
    given: Option<ConfigFile>,
    plain: bool,
    path: String,
}

/// Where credentials went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A helper has them.
    Helper,
    /// Brig's own file, encrypted.
    Sealed,
    /// In this file, for everybody who can read it.
    Plain(PathBuf),
}

impl Credentials {
    /// Finds the places; `variable` reads the environment.
    ///
    /// # Errors
    /// When there is no home directory, or a file there cannot be read.
    pub fn open(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        let docker = directory(variable)?;
        let state = set("XDG_STATE_HOME").map(PathBuf::from);
        let state = state.or_else(|| Some(home.as_ref()?.join(".local/state")));
        let key = set("BRIG_CREDENTIALS_KEY").map(PathBuf::from);
        let key = key
            .or_else(|| Some(state?.join("brig/credentials.key")))
            .ok_or(Error::Homeless)?;
        let config = ConfigFile::read(&docker.join("config.json"))?;
        let given = set("DOCKER_AUTH_CONFIG");
        let given = given.map(|text| ConfigFile::parse(Path::new("DOCKER_AUTH_CONFIG"), &text));
        let plain = set("BRIG_CREDENTIALS").or_else(|| config.text("brigCredentials"));
        Ok(Self {
            plain: plain.as_deref() == Some("plain"),
            sealed: Sealed::new(docker.join("brig-credentials.json"), key),
            given: given.transpose()?,
            config,
            path: set("PATH").unwrap_or_default(),
        })
    }

    /// Those for the registry of a reference; empty ones if there are none.
    ///
    /// # Errors
    /// When a helper fails or a file cannot be read.
    pub fn of(&self, reference: &ImageRef) -> Result<AuthConfig, Error> {
        self.of_server(&server_of(reference.domain()))
    }

    /// Those for a server.
    ///
    /// # Errors
    /// As [`Credentials::of`].
    pub fn of_server(&self, server: &str) -> Result<AuthConfig, Error> {
        if let Some(auth) = self.given.as_ref().and_then(|given| given.auth(server)) {
            return Ok(auth);
        }
        if let Some(helper) = self.config.helper(server) {
            let found = helper::get(&helper, server, &self.path)?;
            return Ok(found.unwrap_or_default());
        }
        if let Some(auth) = self.sealed.get(server)? {
            return Ok(auth);
        }
        Ok(self.config.auth(server).unwrap_or_default())
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the helper fails or the file cannot be written.
    pub fn keep(&mut self, auth: &AuthConfig) -> Result<Kept, Error> {
        let server = &auth.server_address;
        if let Some(helper) = self.config.helper(server) {
            helper::store(&helper, auth, &self.path)?;
            // Docker's client shows there that somebody is logged in.
            self.config.set_auth(server, None);
            self.config.write()?;
            return Ok(Kept::Helper);
        }
        if self.plain {
            self.sealed.erase(server)?;
            self.config.set_auth(server, Some(auth));
            self.config.write()?;
            return Ok(Kept::Plain(self.config.path.clone()));
        }
        self.sealed.put(server, auth)?;
        // What was there in plain text would only be the older one.
        if self.config.erase_auth(server) {
            self.config.write()?;
        }
        Ok(Kept::Sealed)
    }

    /// Forgets them; whether there were any.
    ///
    /// # Errors
    /// As [`Credentials::keep`].
    pub fn forget(&mut self, server: &str) -> Result<bool, Error> {
        let mut there = self.sealed.erase(server)?;
        if let Some(helper) = self.config.helper(server) {
            there |= helper::get(&helper, server, &self.path)?.is_some();
            helper::erase(&helper, server, &self.path)?;
        }
        if self.config.erase_auth(server) {
            self.config.write()?;
            there = true;
        }
        Ok(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(home: &Path, more: &[(&str, &str)]) -> Credentials {
        let home = home.display().to_string();
        let more: Vec<_> = more.to_vec();
        Credentials::open(&move |name| match name {
            "HOME" => Some(home.clone()),
            name => more
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned()),
        })
        .unwrap()
    }

    fn ann(server: &str) -> AuthConfig {
        AuthConfig {
            username: "ann".into(),
            password: "topsecret".into(),
            server_address: server.into(),
            ..AuthConfig::default()
        }
    }

    fn files(dir: &Path) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            text += &match entry.path() {
                path if path.is_dir() => files(&path),
                path => String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
            };
        }
        text
    }

    #[test]
    fn what_is_kept_is_encrypted() {
        let home = tempfile::tempdir().unwrap();
        let mut credentials = open(home.path(), &[]);
        assert_eq!(credentials.keep(&ann("r:5000")).unwrap(), Kept::Sealed);
        let text = files(home.path());
        assert!(
            !text.contains("topsecret") && !text.contains("ann"),
            "{text}"
        );
        let again = open(home.path(), &[]).of_server("r:5000").unwrap();
        assert_eq!((&*again.username, &*again.password), ("ann", "topsecret"));
        assert_eq!(
            open(home.path(), &[]).of_server("other").unwrap(),
            AuthConfig::default()
        );
        assert!(credentials.forget("r:5000").unwrap());
        assert!(!credentials.forget("r:5000").unwrap());
        assert_eq!(
            open(home.path(), &[]).of_server("r:5000").unwrap(),
            AuthConfig::default()
        );
    }

    #[test]
    fn another_key_opens_nothing() {
        let home = tempfile::tempdir().unwrap();
        open(home.path(), &[]).keep(&ann("r:5000")).unwrap();
        let other = home.path().join("other.key");
        sys::file::replace(&other, &[7; 32], 0o600).unwrap();
        let other = other.display().to_string();
        let error = open(home.path(), &[("BRIG_CREDENTIALS_KEY", &other)]).of_server("r:5000");
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("r:5000") && error.contains("log in again"),
            "{error}"
        );
    }

    #[test]
    fn plain_text_only_when_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let mut credentials = open(home.path(), &[("BRIG_CREDENTIALS", "plain")]);
        let Kept::Plain(path) = credentials.keep(&ann("r:5000")).unwrap() else {
            panic!("not in plain text");
        };
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(json["auths"]["r:5000"]["auth"], "YW5uOnRvcHNlY3JldA==");
        let again = open(home.path(), &[]).of_server("r:5000").unwrap();
        assert_eq!((&*again.username, &*again.password), ("ann", "topsecret"));
        // Kept again, it is encrypted and the plain text is gone.
        open(home.path(), &[]).keep(&ann("r:5000")).unwrap();
        assert!(!files(home.path()).contains("YW5uOnRvcHNlY3JldA"));
    }

    #[test]
    fn dockers_file_keeps_what_is_not_ours() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        let path = home.path().join(".docker/config.json");
        let text = r#"{"psFormat": "x", "auths": {"https://r.example.com/v1/": {"auth": "YTpi"}}, "z": [1]}"#;
        sys::file::replace(&path, text.as_bytes(), 0o600).unwrap();
        let mut credentials = open(home.path(), &[]);
        let found = credentials.of_server("r.example.com").unwrap();
        assert_eq!((&*found.username, &*found.password), ("a", "b"));
        assert!(credentials.forget("r.example.com").unwrap());
        let after: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(after["psFormat"], "x");
        assert_eq!(after["z"][0], 1);
        assert!(
            after["auths"]
                .as_object()
                .is_none_or(serde_json::Map::is_empty)
        );
    }

    #[test]
    fn helpers_are_asked() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        let config = home.path().join(".docker/config.json");
        let text = r#"{"credHelpers": {"r:1": "test"}, "credsStore": "none"}"#;
        sys::file::replace(&config, text.as_bytes(), 0o600).unwrap();
        let script = "#!/bin/sh\nread server\ncase $1 in get) test -f \"$0.kept\" && cat \"$0.kept\" || \
                      { echo credentials not found in native keychain; exit 1; } ;;\n\
                      store) printf %s \"$server\" > \"$0.kept\" ;; erase) rm \"$0.kept\" ;; esac\n";
        let program = home.path().join("docker-credential-test");
        sys::file::replace(&program, script.as_bytes(), 0o755).unwrap();
        let path = format!("{}:/usr/bin:/bin", home.path().display());
        let mut credentials = open(home.path(), &[("PATH", &path)]);
        assert_eq!(credentials.of_server("r:1").unwrap(), AuthConfig::default());
        assert_eq!(credentials.keep(&ann("r:1")).unwrap(), Kept::Helper);
        assert_eq!(credentials.of_server("r:1").unwrap().password, "topsecret");
        assert!(!files(&home.path().join(".docker")).contains("topsecret"));
        assert!(credentials.forget("r:1").unwrap());
        let missing = credentials.of_server("other").unwrap_err().to_string();
        assert!(missing.contains("docker-credential-none"), "{missing}");
    }

    #[test]
    fn the_environment_comes_first() {
        let home = tempfile::tempdir().unwrap();
        let given = r#"{"auths": {"r:1": {"auth": "YTpi"}}}"#;
        let credentials = open(home.path(), &[("DOCKER_AUTH_CONFIG", given)]);
        assert_eq!(credentials.of_server("r:1").unwrap().username, "a");
    }

    #[test]
    fn servers() {
        for (host, server) in [
            ("docker.io", DOCKER_HUB),
            ("", DOCKER_HUB),
            ("r:5000", "r:5000"),
            ("https://r.example.com/v2/", "r.example.com"),
        ] {
            assert_eq!(server_of(host), server);
        }
    }
}
