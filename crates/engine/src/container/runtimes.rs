//! Which OCI runtime runs a container.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use types::ContainerSpec;

use super::check::Invalid;
use crate::Config;

/// The name of our own.
pub const OWN_RUNTIME: &str = "brig";

/// What Docker calls the one that it brings along: whoever asks for it asks for the usual one.
const DOCKERS_OWN: [&str; 2] = ["runc", "io.containerd.runc.v2"];

/// The other runtimes' binaries by the names that containers ask for them by. Clones share one table.
#[derive(Debug, Clone, Default)]
pub struct Runtimes(Arc<RwLock<Table>>);

#[derive(Debug, Default)]
struct Table {
    named: Arc<BTreeMap<String, PathBuf>>,
    /// Whether there has been any: one that is gone has left something.
    ever: bool,
}

impl Runtimes {
    /// These.
    pub fn new(named: BTreeMap<String, PathBuf>) -> Self {
        let runtimes = Self::default();
        runtimes.replace(named);
        runtimes
    }

    /// Those that there are.
    pub fn named(&self) -> Arc<BTreeMap<String, PathBuf>> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.named.clone()
    }

    /// From now on these are there; what runs goes on.
    pub fn replace(&self, named: BTreeMap<String, PathBuf>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.ever |= !named.is_empty();
        table.named = Arc::new(named);
    }

    /// Whether a container may have had one.
    pub(super) fn ever(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ever
    }
}

/// Whether our own is meant by a name that the configuration gives to no other.
pub fn is_own_runtime(name: &str) -> bool {
    name == OWN_RUNTIME || DOCKERS_OWN.contains(&name)
}

/// The other runtime's binary that runs it; none is our own, in the shim.
///
/// One that the daemon does not know, or not any more, is refused: another one might isolate less than
/// what was asked for.
pub(super) fn binary(config: &Config, spec: &ContainerSpec) -> Result<Option<PathBuf>, Invalid> {
    let Some(name) = spec.runtime.as_deref() else {
        return Ok(config.foreign_runtime.clone());
    };
    let named = config.runtimes.named();
    let found = named.get(name).cloned();
    if found.is_none() && is_own_runtime(name) {
        return Ok(None);
    }
    found.map(Some).ok_or_else(|| {
        let others = named.keys().map(String::as_str);
        let known: Vec<&str> = std::iter::once(OWN_RUNTIME).chain(others).collect();
        Invalid::Runtime {
            name: name.to_owned(),
            known: known.join(", "),
        }
    })
}
