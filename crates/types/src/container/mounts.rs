//! Mounts as users ask for them; [`crate::Mount`] is what becomes of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::VolumeName;

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
        /// Whose files it shows as whose; none shows them as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id_map: Option<IdMap>,
    },
    /// A volume.
    Volume(VolumeRequest),
    /// An image's files, which nobody can change.
    Image {
        /// The image as the user wrote it.
        source: String,
        /// The part of it that is mounted; none is all of it.
        subpath: Option<String>,
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

/// A volume as users ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeRequest {
    /// Its name; none asks for one of the container's own.
    pub name: Option<VolumeName>,
    /// Whether it was made with its container, and goes with it where that is asked for.
    pub own: bool,
    /// Who keeps it; none is `local`.
    pub driver: Option<String>,
    /// The driver's options, should it have to be made.
    pub options: BTreeMap<String, String>,
    /// Its labels, should it have to be made.
    pub labels: BTreeMap<String, String>,
    /// Whether an empty one is left empty, instead of being given what the image has there.
    pub no_copy: bool,
    /// The part of it that is mounted; none is all of it.
    pub subpath: Option<String>,
    /// The mode part of `-v name:target:mode` as it was written; none for `--mount`.
    pub bind_mode: Option<String>,
}

/// Whose files a bind mount shows as the container's user's. What that user makes belongs to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdMap {
    /// Those of whoever owns the source.
    Owner,
    /// Those of this user and this group of the host.
    Ids(u32, u32),
}

impl IdMap {
    /// What follows `idmap=`, as `1000:1000`; nothing means the owner.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else {
            return Some(Self::Owner);
        };
        if text == "auto" {
            return Some(Self::Owner);
        }
        let (user, group) = text.split_once(':').unwrap_or((text, text));
        let id = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
        Some(Self::Ids(id(user)?, id(group)?))
    }
}

impl std::fmt::Display for IdMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner => f.write_str("auto"),
            Self::Ids(user, group) => write!(f, "{user}:{group}"),
        }
    }
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
