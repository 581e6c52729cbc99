//! What is kept on disk of a container by callers that end before it does.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
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
    /// systemd's unit that the cgroup is of, if systemd made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Its root, if that is mounted where others see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_root: Option<SharedRoot>,
    /// The kinds of its namespaces that are not the host's: CLONE_NEW* flags.
    pub namespaces: u32,
}

impl Saved {
    /// Whether the container's processes end with its first one.
    pub fn has_pid_namespace(&self) -> bool {
        Namespaces::from_bits_truncate(self.namespaces).contains(Namespaces::PID)
    }
}
