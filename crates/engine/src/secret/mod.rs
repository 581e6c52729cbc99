//! Secrets: what containers are given and nobody is shown. One file a verb.
//!
//! They are kept encrypted ([`sealed`]). A container that runs has them in a file system in memory that
//! is mounted for it alone, or in its environment.

mod create;
mod list;
pub(crate) mod place;
mod remove;
mod sealed;
mod update;

use std::collections::BTreeMap;

use types::ErrorKind;

use crate::Engine;
use crate::event::{self, Kind};

pub use create::create;
pub use list::{inspect, list};
pub use remove::remove;
pub(crate) use sealed::Vault;
pub use update::update;

/// The most that one may hold, in bytes, as in Docker.
pub const LONGEST: usize = 500 * 1024;

/// All about a secret but what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub created: i64,
    /// When it was last changed.
    pub updated: i64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Why something with a secret cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The name cannot be one.
    #[error(
        "invalid secret name {0:?}: letters, digits, '_', '.' and '-' are expected, a letter or digit first"
    )]
    Name(String),
    /// It is too long, or empty.
    #[error("the secret {name} has {length} bytes: 1 to {LONGEST} are expected")]
    Length {
        /// Its name.
        name: String,
        /// How many.
        length: usize,
    },
    /// There is one of that name.
    #[error("the secret {0} exists already: change it, or choose another name")]
    Exists(String),
    /// There is none.
    #[error("No such secret: {0}")]
    Missing(String),
    /// A container has it.
    #[error("the secret {secret} is in use by container {container}: remove that first")]
    InUse {
        /// The secret.
        secret: String,
        /// The container's name.
        container: String,
    },
    /// It is to be a variable and is no text.
    #[error("the secret {0} cannot be a variable: it is no text, or has a byte 0 in it")]
    NoText(String),
    /// There are some, and not what they were encrypted with.
    #[error(
        "the key {0} is not there, with which the secrets that exist were encrypted: bring it back, or \
         remove them first"
    )]
    NoKey(String),
    /// The user namespace has no such id.
    #[error(
        "the secret {secret} cannot belong to {id}: the container's user namespace has no such id"
    )]
    NoId {
        /// The secret.
        secret: String,
        /// The user or group.
        id: u32,
    },
    /// What is kept cannot be opened.
    #[error("the secret {name} cannot be opened with the key {key}")]
    Sealed {
        /// Its name.
        name: String,
        /// The key's file.
        key: String,
    },
}

impl SecretError {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(_) | Self::Length { .. } | Self::NoText(_) | Self::NoId { .. } => {
                ErrorKind::Invalid
            }
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Exists(_) | Self::InUse { .. } => ErrorKind::Conflict,
            Self::NoKey(_) | Self::Sealed { .. } => ErrorKind::Internal,
        }
    }
}

/// Tells what happened to one.
fn told(engine: &Engine, secret: &Secret, action: &'static str) {
    let name = [("name", secret.name.clone())];
    event::emit(engine, Kind::Secret, action, secret.id.clone(), name);
}
