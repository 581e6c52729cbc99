//! What is kept on disk of a container by callers that end before it does.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sys::cgroup::{Cgroup, Directory};
use sys::ns::Namespaces;
use types::ProcessRef;

use crate::SharedRoot;

/// How a later process finds a container again: see [`crate::Container::load`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its first process.
    pub process: ProcessRef,
    /// Its cgroup, from the root of the hierarchies; empty if it has none.
    pub cgroup: String,
    /// Where that is: to find it out anew costs a tenth of an `exec`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<SavedDirectory>,
    /// systemd's unit that the cgroup is of, if systemd made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Its root, if that is mounted where others see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_root: Option<SharedRoot>,
    /// The kinds of its namespaces that are not the host's: CLONE_NEW* flags.
    pub namespaces: u32,
}

/// A cgroup's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedDirectory {
    /// Of the hierarchy: 1 or 2.
    pub version: u8,
    /// The hierarchy's controllers.
    pub controllers: Vec<String>,
    /// The directory.
    pub path: PathBuf,
}

impl SavedDirectory {
    /// Those of a cgroup.
    pub(crate) fn all(cgroup: &Cgroup) -> Vec<Self> {
        let saved = |directory: Directory| Self {
            version: directory.version,
            controllers: directory.controllers,
            path: directory.path,
        };
        cgroup.directories().into_iter().map(saved).collect()
    }

    pub(crate) fn known(&self) -> Directory {
        Directory {
            version: self.version,
            name: String::new(),
            controllers: self.controllers.clone(),
            path: self.path.clone(),
        }
    }
}

impl Saved {
    /// Whether the container's processes end with its first one.
    pub fn has_pid_namespace(&self) -> bool {
        Namespaces::from_bits_truncate(self.namespaces).contains(Namespaces::PID)
    }
}
