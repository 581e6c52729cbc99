//! Secrets as containers ask for them.

use serde::{Deserialize, Serialize};

/// One secret of a container's: which, and how it is given. What it says is nowhere in here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRequest {
    /// Its name.
    pub source: String,
    /// How it is given.
    pub given: SecretTarget,
}

/// How a container is given a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub enum SecretTarget {
    /// A file in `/run/secrets`, in memory.
    File {
        /// Its name there.
        name: String,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A variable of the environment, as it is when the container starts.
    Variable {
        /// The variable's name.
        name: String,
    },
}

impl Default for SecretTarget {
    fn default() -> Self {
        Self::File {
            name: String::new(),
            uid: 0,
            gid: 0,
            mode: Self::MODE,
        }
    }
}

impl SecretTarget {
    /// Permission bits where none are said: everybody in the container may read.
    pub const MODE: u32 = 0o444;
}
