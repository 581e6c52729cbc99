//! Brig's own file: each server's credentials encrypted with XChaCha20-Poly1305, the server's name
//! authenticated with them. The key is a file of its own in another directory: a copy of the
//! configuration, in a backup or a repository, opens nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use api::wire::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use super::Error;
use super::config_file::write_file;

const KEY: usize = 32;
const NONCE: usize = 24;

/// The file and its key.
#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    key: PathBuf,
}

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    version: u32,
    /// Nonce and text, in base64, by server.
    sealed: BTreeMap<String, String>,
}

impl Sealed {
    pub(super) fn new(path: PathBuf, key: PathBuf) -> Self {
        Self { path, key }
    }

    pub(super) fn get(&self, server: &str) -> Result<Option<AuthConfig>, Error> {
        let contents = self.read()?;
        let Some(text) = contents.sealed.get(server) else {
            return Ok(None);
        };
        let broken = || Error::Seal {
            path: self.path.display().to_string(),
            server: server.to_owned(),
            key: self.key.display().to_string(),
        };
        let key = self.read_key()?.ok_or_else(broken)?;
        let bytes = STANDARD.decode(text).map_err(|_| broken())?;
        let (nonce, text) = bytes.split_at_checked(NONCE).ok_or_else(broken)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| broken())?;
        let payload = Payload {
            msg: text,
            aad: server.as_bytes(),
        };
        let json = cipher(key).decrypt(&XNonce::from(nonce), payload);
        let json = json.map_err(|_| broken())?;
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|_| broken())
    }

    pub(super) fn put(&self, server: &str, auth: &AuthConfig) -> Result<(), Error> {
        let key = match self.read_key()? {
            Some(key) => key,
            None => self.make_key()?,
        };
        let nonce: [u8; NONCE] = random()?;
        // A map with string keys always serializes.
        let json = serde_json::to_vec(auth).unwrap_or_default();
        let payload = Payload {
            msg: &json,
            aad: server.as_bytes(),
        };
        let text = cipher(key).encrypt(&XNonce::from(nonce), payload);
        let text = text.map_err(|error| Error::Random(error.to_string()))?;
        let mut contents = self.read()?;
        let sealed = STANDARD.encode([nonce.as_slice(), &text].concat());
        contents.sealed.insert(server.to_owned(), sealed);
        self.write(&contents)
    }

    /// Whether there were any.
    pub(super) fn erase(&self, server: &str) -> Result<bool, Error> {
        let mut contents = self.read()?;
        if contents.sealed.remove(server).is_none() {
            return Ok(false);
        }
        self.write(&contents)?;
        Ok(true)
    }

    fn read(&self) -> Result<Contents, Error> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
            Err(source) => {
                return Err(Error::File {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        serde_json::from_str(&text).map_err(|error| Error::Config {
            path: self.path.display().to_string(),
            why: error.to_string(),
        })
    }

    fn write(&self, contents: &Contents) -> Result<(), Error> {
        let contents = Contents {
            version: 1,
            sealed: contents.sealed.clone(),
        };
        // A map with string keys always serializes.
        let bytes = serde_json::to_vec_pretty(&contents).unwrap_or_default();
        write_file(&self.path, &bytes, 0o600)
    }

    fn read_key(&self) -> Result<Option<[u8; KEY]>, Error> {
        let failed = |source| Error::File {
            path: self.key.clone(),
            source,
        };
        match std::fs::read(&self.key) {
            Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
                failed(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a key of {KEY} bytes is expected"),
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn make_key(&self) -> Result<[u8; KEY], Error> {
        let key = random()?;
        write_file(&self.key, &key, 0o600)?;
        Ok(key)
    }
}

fn cipher(key: [u8; KEY]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(key))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}
