//! Contexts: daemons with names, in the files of Docker's client (`~/.docker/contexts`), so that both have the
//! same.
//!
//! `meta/HASH/meta.json` says what a context is, `tls/HASH/docker/*.pem` is what proves it; HASH is that of
//! its name. Which one is used stands in `config.json`.

mod archive;
mod chosen;
mod endpoint;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) use archive::{pack, unpack};
pub(crate) use chosen::{Chosen, Material, chosen, current, default, default_as_stored};
pub(crate) use endpoint::change;

use crate::credentials;
use crate::error::{CliError, plain};

/// The context that is not stored: what flags and environment say.
pub(crate) const DEFAULT: &str = "default";
/// What is said of it.
pub(crate) const DESCRIPTION: &str = "Current DOCKER_HOST based configuration";

/// Files of keys and certificates, by their names.
pub(crate) type Tls = BTreeMap<String, Vec<u8>>;

/// A context.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) name: String,
    /// `meta.json`, whole: what is not understood stays as it is.
    pub(crate) meta: Map<String, Value>,
}

impl Stored {
    /// One that knows a daemon.
    pub(crate) fn new(name: &str, description: &str, host: &str, skip_verify: bool) -> Self {
        let mut metadata = Map::new();
        if !description.is_empty() {
            metadata.insert("Description".to_owned(), description.into());
        }
        let endpoint = json!({ "docker": { "Host": host, "SkipTLSVerify": skip_verify } });
        let meta = [
            ("Name", name.into()),
            ("Metadata", metadata.into()),
            ("Endpoints", endpoint),
        ];
        Self {
            name: name.to_owned(),
            meta: meta
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect(),
        }
    }

    pub(crate) fn description(&self) -> &str {
        self.text(&["Metadata", "Description"])
    }

    pub(crate) fn host(&self) -> &str {
        self.text(&["Endpoints", "docker", "Host"])
    }

    pub(crate) fn skip_verify(&self) -> bool {
        self.meta["Endpoints"]["docker"]["SkipTLSVerify"] == true
    }

    fn text(&self, path: &[&str]) -> &str {
        let mut value = self.meta.get(path[0]);
        for key in &path[1..] {
            value = value.and_then(|value| value.get(key));
        }
        value.and_then(Value::as_str).unwrap_or_default()
    }
}

/// Where contexts are kept.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

fn invalid(sentence: String) -> CliError {
    CliError::Invalid(sentence)
}

fn hash(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a context may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), CliError> {
    if name == DEFAULT {
        return Err(invalid(format!("\"{DEFAULT}\" is a reserved context name")));
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() < 2 || !begins || !name.chars().all(inner) {
        return Err(invalid(format!(
            "context name {name:?} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
        )));
    }
    Ok(())
}

impl Store {
    /// Finds the place; `variable` reads the environment.
    pub(crate) fn find(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let directory = credentials::directory(variable)?;
        Ok(Self {
            root: directory.join("contexts"),
        })
    }

    pub(crate) fn meta_path(&self, name: &str) -> PathBuf {
        self.root.join("meta").join(hash(name))
    }

    pub(crate) fn tls_path(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(hash(name))
    }

    /// A context of a name.
    pub(crate) fn get(&self, name: &str) -> Result<Stored, CliError> {
        let path = self.meta_path(name).join("meta.json");
        let missing = |error: &io::Error| {
            invalid(format!(
                "context {name:?}: context not found: open {}: {}",
                path.display(),
                plain(error)
            ))
        };
        let text = std::fs::read(&path).map_err(|error| missing(&error))?;
        read(&text).map_err(|why| invalid(format!("{}: {why}", path.display())))
    }

    /// Whether there is one.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.meta_path(name).join("meta.json").exists()
    }

    /// All that are stored, by name.
    pub(crate) fn list(&self) -> Result<Vec<Stored>, CliError> {
        let entries = match std::fs::read_dir(self.root.join("meta")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(CliError::File {
                    path: self.root.join("meta").display().to_string(),
                    source,
                });
            }
        };
        let mut all = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path().join("meta.json");
            let Ok(text) = std::fs::read(&path) else {
                continue;
            };
            let found = read(&text).map_err(|why| invalid(format!("{}: {why}", path.display())))?;
            all.push(found);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Keys and certificates of a context. Those that are there and cannot be read are an error: without
    /// them it would be spoken to in the clear, or to whom any authority knows.
    pub(crate) fn tls(&self, name: &str) -> Result<Tls, CliError> {
        let dir = self.tls_path(name).join("docker");
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |source| CliError::File { path, source }
        };
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tls::new()),
            entries => entries.map_err(failed(&dir))?,
        };
        let files = entries.map(|entry| {
            let path = entry.map_err(failed(&dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((
                name.into_owned(),
                std::fs::read(&path).map_err(failed(&path))?,
            ))
        });
        files.collect()
    }

    /// Stores a context, with keys and certificates if they are to be others than before.
    pub(crate) fn put(&self, stored: &Stored, tls: Option<&Tls>) -> Result<(), CliError> {
        let text = serde_json::to_vec(&stored.meta).unwrap_or_default();
        let path = self.meta_path(&stored.name).join("meta.json");
        credentials::write_file(&path, &text, 0o644)?;
        let Some(tls) = tls else { return Ok(()) };
        remove(&self.tls_path(&stored.name))?;
        for (name, bytes) in tls {
            let path = self.tls_path(&stored.name).join("docker").join(name);
            credentials::write_file(&path, bytes, 0o600)?;
        }
        Ok(())
    }

    /// Forgets a context.
    pub(crate) fn remove(&self, name: &str) -> Result<(), CliError> {
        if !self.has(name) {
            return Err(invalid(format!("context {name:?} does not exist")));
        }
        remove(&self.meta_path(name))?;
        remove(&self.tls_path(name))
    }
}

fn remove(path: &Path) -> Result<(), CliError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(invalid(format!(
            "remove {}: {}",
            path.display(),
            plain(&error)
        ))),
        _ => Ok(()),
    }
}

fn read(text: &[u8]) -> Result<Stored, String> {
    let meta: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let name = meta.get("Name").and_then(Value::as_str);
    let name = name.ok_or("it has no Name")?.to_owned();
    Ok(Stored { name, meta })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(home: &Path) -> Store {
        let home = home.display().to_string();
        Store::find(&move |name| (name == "DOCKER_CONFIG").then(|| home.clone())).unwrap()
    }

    #[test]
    fn contexts_are_kept_in_dockers_places() {
        let home = tempfile::tempdir().unwrap();
        let store = store(home.path());
        assert!(store.list().unwrap().is_empty());
        let stored = Stored::new("xx", "des", "tcp://1.2.3.4:5", false);
        let tls = Tls::from([("ca.pem".to_owned(), b"c".to_vec())]);
        store.put(&stored, Some(&tls)).unwrap();
        let at = "contexts/meta/5dde896887f6754c9b15bfe3a441ae4806df2fde94001311e08bf110622e0bbe/meta.json";
        let text = std::fs::read_to_string(home.path().join(at)).unwrap();
        assert_eq!(
            text,
            r#"{"Name":"xx","Metadata":{"Description":"des"},"Endpoints":{"docker":{"Host":"tcp://1.2.3.4:5","SkipTLSVerify":false}}}"#
        );
        assert_eq!(store.get("xx").unwrap(), stored);
        assert_eq!(store.tls("xx").unwrap(), tls);
        store.remove("xx").unwrap();
        assert_eq!(
            store.remove("xx").unwrap_err().to_string(),
            "context \"xx\" does not exist"
        );
        assert!(store.tls("xx").unwrap().is_empty());
    }

    #[test]
    fn names() {
        for (name, good) in [
            ("ab", true),
            ("a.b+c-d_1", true),
            ("a", false),
            ("-a", false),
            ("a b", false),
            (DEFAULT, false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
