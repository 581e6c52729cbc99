//! Where secrets are kept: a file of the data root, each of them encrypted with XChaCha20-Poly1305, its
//! id authenticated with it. The key is a file of its own outside of the data root: a copy of that, in a
//! backup, opens nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use super::{Secret, SecretError};
use crate::Error;

const KEY: usize = 32;
const NONCE: usize = 24;

/// The version this engine writes.
const VERSION: u32 = 1;

/// The file, its key, and what has been read of it.
#[derive(Debug)]
pub(crate) struct Vault {
    file: PathBuf,
    key: PathBuf,
    // A std lock: who changes something writes the file under it.
    kept: Mutex<Option<Kept>>,
    giving: Mutex<()>,
    replaced: AtomicU64,
}

/// What is in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    secrets: BTreeMap<String, Sealed>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sealed {
    id: String,
    created: i64,
    updated: i64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Nonce and text, in base64.
    sealed: String,
}

impl Sealed {
    fn shown(&self, name: &str) -> Secret {
        Secret {
            id: self.id.clone(),
            name: name.to_owned(),
            created: self.created,
            updated: self.updated,
            labels: self.labels.clone(),
        }
    }
}

impl Vault {
    pub(crate) fn new(data_root: &Path, key: Option<&Path>) -> Self {
        let beside = || PathBuf::from(format!("{}.key", data_root.display()));
        Self {
            file: data_root.join("secrets.json"),
            key: key.map_or_else(beside, Path::to_owned),
            kept: Mutex::default(),
            giving: Mutex::default(),
            replaced: AtomicU64::new(0),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Secret>, Error> {
        let kept = self.read()?;
        let secrets = kept.iter().flat_map(|kept| &kept.secrets);
        Ok(secrets.map(|(name, sealed)| sealed.shown(name)).collect())
    }

    /// One by its name, or else by its id.
    pub(super) fn find(&self, who: &str) -> Result<Secret, Error> {
        let all = self.list()?;
        let by = |fits: fn(&Secret) -> &str| all.iter().find(|secret| fits(secret) == who);
        let found = by(|secret| &secret.name).or_else(|| by(|secret| &secret.id));
        found
            .cloned()
            .ok_or_else(|| SecretError::Missing(who.to_owned()).into())
    }

    /// What one says.
    pub(super) fn open(&self, name: &str) -> Result<Vec<u8>, Error> {
        let kept = self.read()?;
        let sealed = kept.as_ref().and_then(|kept| kept.secrets.get(name));
        let sealed = sealed.ok_or_else(|| SecretError::Missing(name.to_owned()))?;
        let broken = || SecretError::Sealed {
            name: name.to_owned(),
            key: self.key.display().to_string(),
        };
        let key = self.read_key()?.ok_or_else(broken)?;
        let bytes = STANDARD.decode(&sealed.sealed).map_err(|_| broken())?;
        let (nonce, text) = bytes.split_at_checked(NONCE).ok_or_else(broken)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| broken())?;
        let payload = Payload {
            msg: text,
            aad: sealed.id.as_bytes(),
        };
        let opened = cipher(key).decrypt(&XNonce::from(nonce), payload);
        Ok(opened.map_err(|_| broken())?)
    }

    /// Keeps a new one.
    pub(super) fn add(&self, secret: &Secret, data: &[u8]) -> Result<(), Error> {
        self.change(|kept| {
            if kept.secrets.contains_key(&secret.name) {
                return Err(SecretError::Exists(secret.name.clone()).into());
            }
            let sealed = Sealed {
                id: secret.id.clone(),
                created: secret.created,
                updated: secret.updated,
                labels: secret.labels.clone(),
                sealed: self.seal(kept, &secret.id, data)?,
            };
            kept.secrets.insert(secret.name.clone(), sealed);
            Ok(())
        })
    }

    /// Has one say something else.
    pub(super) fn replace(&self, secret: &Secret, data: &[u8], now: i64) -> Result<(), Error> {
        self.change(|kept| {
            let text = self.seal(kept, &secret.id, data)?;
            let missing = || SecretError::Missing(secret.name.clone());
            let sealed = kept.secrets.get_mut(&secret.name).ok_or_else(missing)?;
            sealed.sealed = text;
            sealed.updated = now;
            Ok(())
        })?;
        self.replaced.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// How often one of them was made to say something else.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Acquire)
    }

    /// Held by who reads what secrets say and gives it to a container, so that nobody puts back what
    /// another has just replaced. What is written under it is in memory.
    pub(super) fn giving(&self) -> MutexGuard<'_, ()> {
        self.giving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        self.change(|kept| {
            kept.secrets.remove(name);
            Ok(())
        })
    }

    /// Under the lock of what is kept: two that make a key would each have another.
    fn seal(&self, kept: &Kept, id: &str, data: &[u8]) -> Result<String, Error> {
        let key = match self.read_key()? {
            Some(key) => key,
            None if kept.secrets.is_empty() => self.make_key()?,
            // With another key, those that are there could never be opened again.
            None => return Err(SecretError::NoKey(self.key.display().to_string()).into()),
        };
        let nonce: [u8; NONCE] = random()?;
        let payload = Payload {
            msg: data,
            aad: id.as_bytes(),
        };
        let text = cipher(key).encrypt(&XNonce::from(nonce), payload);
        let text =
            text.map_err(|error| self.failed("encrypt", io::Error::other(error.to_string())))?;
        Ok(STANDARD.encode([nonce.as_slice(), &text].concat()))
    }

    /// Changes what is kept: on disk, then in memory.
    fn change(&self, change: impl FnOnce(&mut Kept) -> Result<(), Error>) -> Result<(), Error> {
        let mut kept = self.read()?;
        let mut new = kept.clone().unwrap_or_default();
        new.version = VERSION;
        change(&mut new)?;
        let text = serde_json::to_vec(&new).map_err(|source| Error::Encode {
            what: "secrets",
            source,
        })?;
        sys::file::replace(&self.file, &text, 0o600)
            .map_err(Error::kernel(format!("write {}", self.file.display())))?;
        *kept = Some(new);
        Ok(())
    }

    fn read(&self) -> Result<MutexGuard<'_, Option<Kept>>, Error> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return Ok(kept);
        }
        *kept = match std::fs::read(&self.file) {
            Ok(text) => Some(self.parse(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed("read", error)),
        };
        Ok(kept)
    }

    fn parse(&self, text: &[u8]) -> Result<Kept, Error> {
        let kept: Kept =
            serde_json::from_slice(text).map_err(|error| self.failed("read", error.into()))?;
        if kept.version > VERSION {
            let newer = format!(
                "it has version {}, written by a newer program",
                kept.version
            );
            return Err(self.failed("read", io::Error::other(newer)));
        }
        Ok(kept)
    }

    fn failed(&self, what: &str, source: io::Error) -> Error {
        Error::io(format!("{what} {}", self.file.display()))(source)
    }

    fn read_key(&self) -> Result<Option<[u8; KEY]>, Error> {
        let failed = Error::io(format!("read the key {}", self.key.display()));
        match std::fs::read(&self.key) {
            Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
                failed(io::Error::other(format!(
                    "a key of {KEY} bytes is expected"
                )))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn make_key(&self) -> Result<[u8; KEY], Error> {
        let key = random()?;
        sys::file::replace(&self.key, &key, 0o600).map_err(Error::kernel(format!(
            "write the key {}",
            self.key.display()
        )))?;
        Ok(key)
    }
}

fn cipher(key: [u8; KEY]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(key))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::io("get random bytes")(io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// A new id.
pub(super) fn new_id() -> Result<String, Error> {
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Secret {
        Secret {
            id: new_id().unwrap(),
            name: name.to_owned(),
            created: 1,
            updated: 1,
            labels: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_kept_is_sealed_and_opens_with_its_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        std::fs::create_dir(&root).unwrap();
        let vault = Vault::new(&root, None);
        assert!(vault.list().unwrap().is_empty());
        vault.add(&secret("a"), b"tide at noon").unwrap();
        vault.add(&secret("b"), b"other").unwrap();
        assert!(vault.add(&secret("a"), b"x").is_err());
        let text = std::fs::read_to_string(root.join("secrets.json")).unwrap();
        assert!(!text.contains("tide") && !text.contains(&STANDARD.encode("tide at noon")));

        // Another engine, later.
        let vault = Vault::new(&root, None);
        assert_eq!(vault.open("a").unwrap(), b"tide at noon");
        let found = vault.find("a").unwrap();
        vault.replace(&found, b"ebb", 7).unwrap();
        assert_eq!(vault.open("a").unwrap(), b"ebb");
        assert_eq!(vault.find(&found.id).unwrap().updated, 7);
        vault.remove("b").unwrap();
        assert_eq!(
            vault.find("b").unwrap_err().to_string(),
            "No such secret: b"
        );

        // One that was put in another's place is not taken for it.
        let swapped = text.replace(&found.id, "0".repeat(32).as_str());
        sys::file::replace(&root.join("secrets.json"), swapped.as_bytes(), 0o600).unwrap();
        assert!(Vault::new(&root, None).open("a").is_err());
        std::fs::remove_file(dir.path().join("data.key")).unwrap();
        let vault = Vault::new(&root, None);
        assert!(vault.open("a").is_err());
        let error = vault.add(&secret("c"), b"x").unwrap_err().to_string();
        assert!(error.contains("data.key is not there"), "{error}");
        vault.remove("a").unwrap();
        vault.remove("b").unwrap();
        vault.add(&secret("c"), b"x").unwrap();
        assert_eq!(vault.open("c").unwrap(), b"x");
    }

    #[test]
    fn many_at_once_have_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::new(dir.path(), Some(&dir.path().join("key")));
        let names: Vec<_> = (0..8).map(|number| format!("s{number}")).collect();
        std::thread::scope(|scope| {
            for name in &names {
                let (vault, name) = (&vault, name.as_str());
                scope.spawn(move || vault.add(&secret(name), name.as_bytes()).unwrap());
            }
        });
        for name in &names {
            assert_eq!(vault.open(name).unwrap(), name.as_bytes());
        }
    }
}
