//! `config.json` of Docker's client: what is not understood stays as it is.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use api::wire::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{DOCKER_HUB, Error, bare};

/// The file.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    values: Map<String, Value>,
}

impl ConfigFile {
    /// One that is not there is empty.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::parse(path, ""),
            Err(source) => Err(Error::File {
                path: path.to_owned(),
                source,
            }),
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let values = serde_json::from_str(text).map_err(|error| Error::Config {
            path: path.display().to_string(),
            why: error.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.values.get(key)?.as_str()?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// Changes a text, or takes it out.
    pub(super) fn set(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => drop(self.values.insert(key.to_owned(), value.into())),
            None => drop(self.values.remove(key)),
        }
    }

    /// The name of the helper that has a server's credentials.
    pub(super) fn helper(&self, server: &str) -> Option<String> {
        let helpers = self.values.get("credHelpers").and_then(Value::as_object);
        let own = helpers.and_then(|helpers| {
            let same = |key: &str| key == server || bare(key) == bare(server);
            helpers.iter().find(|(key, _)| same(key))?.1.as_str()
        });
        match own {
            Some("") | None => self.text("credsStore"),
            Some(own) => Some(own.to_owned()),
        }
    }

    /// What is here in plain text. Keys are addresses of any shape; the host is what counts.
    pub(super) fn auth(&self, server: &str) -> Option<AuthConfig> {
        let entry = self.entry(server)?;
        let auths = self.values.get("auths")?.as_object()?;
        let mut auth: AuthConfig = serde_json::from_value(auths.get(&entry)?.clone()).ok()?;
        if let Some((username, password)) = decoded(&auth.auth) {
            auth.username = username;
            auth.password = password;
        }
        auth.auth = String::new();
        auth.server_address = server.to_owned();
        let empty = auth.username.is_empty()
            && auth.identity_token.is_empty()
            && auth.registry_token.is_empty();
        (!empty).then_some(auth)
    }

    fn entry(&self, server: &str) -> Option<String> {
        let auths = self.values.get("auths")?.as_object()?;
        if auths.contains_key(server) {
            return Some(server.to_owned());
        }
        // Other addresses of Docker's registry are other services.
        let same = |key: &&String| server != DOCKER_HUB && bare(key) == bare(server);
        auths.keys().find(same).cloned()
    }

    /// Sets an entry, an empty one when a helper has the credentials.
    pub(super) fn set_auth(&mut self, server: &str, auth: Option<&AuthConfig>) {
        let entry = match auth {
            None => json!({}),
            Some(auth) if !auth.identity_token.is_empty() => json!({
                "auth": STANDARD.encode(format!("{}:", auth.username)),
                "identitytoken": auth.identity_token,
            }),
            Some(auth) => {
                json!({"auth": STANDARD.encode(format!("{}:{}", auth.username, auth.password))})
            }
        };
        let auths = self.values.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths[server] = entry;
    }

    /// Removes an entry; whether there was one.
    pub(super) fn erase_auth(&mut self, server: &str) -> bool {
        let Some(entry) = self.entry(server) else {
            return false;
        };
        let auths = self.values.get_mut("auths").and_then(Value::as_object_mut);
        auths.is_some_and(|auths| auths.remove(&entry).is_some())
    }

    pub(super) fn write(&self) -> Result<(), Error> {
        // A map with string keys always serializes. Docker's client indents by a tab.
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut to = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        let written = serde::Serialize::serialize(&self.values, &mut to);
        written.map_err(|error| Error::Config {
            path: self.path.display().to_string(),
            why: error.to_string(),
        })?;
        let mode = std::fs::metadata(&self.path).map_or(0o600, |meta| meta.mode() & 0o777);
        write_file(&self.path, &bytes, mode)
    }
}

fn decoded(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((
        username.to_owned(),
        password.trim_end_matches('\0').to_owned(),
    ))
}

/// Replaces a file, in a directory that is made if it is not there.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let failed = |source: io::Error| Error::File {
        path: path.to_owned(),
        source,
    };
    if let Some(dir) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(dir).map_err(failed)?;
    }
    sys::file::replace(path, bytes, mode).map_err(|error| failed(error.into()))
}
