//! Mounts as users ask for them; [`crate::Mount`] is what becomes of them.

use serde::{Deserialize, Serialize};

/// One `-v`, `--mount` or `--tmpfs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// What is mounted.
    pub kind: MountKind,
    /// Where: an absolute path inside the container.
    pub target: String,
    /// Whether it is read-only.
    #[serde(default)]
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum MountKind {
    /// A directory or file of the host.
    Bind {
        /// Absolute path on the host.
        source: String,
        /// How mounts below travel between host and container; none means rprivate.
        propagation: Option<Propagation>,
        /// Whether a missing source is made as a directory: `-v` does, `--mount` does not.
        create_source: bool,
        /// Whether mounts below the source come along.
        recursive: bool,
        /// Whether read-only covers only the top mount, not those below.
        read_only_non_recursive: bool,
        /// Whether read-only that cannot cover the mounts below is an error.
        read_only_force_recursive: bool,
        /// The mode part of `-v source:target:mode` as it was written; none for `--mount`.
        /// `inspect` shows the two under different names.
        bind_mode: Option<String>,
    },
    /// A fresh file system in memory.
    Tmpfs {
        /// Bytes; none means half the memory.
        size: Option<i64>,
        /// Permission bits; none means 1777.
        mode: Option<u32>,
        /// Further options as in mount(8).
        options: Vec<String>,
        /// The option text of `--tmpfs target:options` as it was written; none for `--mount`.
        flag_options: Option<String>,
    },
}

/// Mount propagation, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// `private`
    Private,
    /// `rprivate`
    Rprivate,
    /// `shared`
    Shared,
    /// `rshared`
    Rshared,
    /// `slave`
    Slave,
    /// `rslave`
    Rslave,
}

impl Propagation {
    /// The mount option of this name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Rprivate => "rprivate",
            Self::Shared => "shared",
            Self::Rshared => "rshared",
            Self::Slave => "slave",
            Self::Rslave => "rslave",
        }
    }

    /// The propagation a mount option names.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Private,
            Self::Rprivate,
            Self::Shared,
            Self::Rshared,
            Self::Slave,
            Self::Rslave,
        ]
        .into_iter()
        .find(|p| p.as_str() == text)
    }
}
