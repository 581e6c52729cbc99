//! Which OCI runtime runs a container.

use std::path::PathBuf;

use types::ContainerSpec;

use super::check::Invalid;
use crate::Config;

/// The name of our own.
pub const OWN_RUNTIME: &str = "brig";

/// What Docker calls the one that it brings along: whoever asks for it asks for the usual one.
const DOCKERS_OWN: [&str; 2] = ["runc", "io.containerd.runc.v2"];

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
    let found = config.runtimes.get(name).cloned();
    if found.is_none() && is_own_runtime(name) {
        return Ok(None);
    }
    found.map(Some).ok_or_else(|| {
        let others = config.runtimes.keys().map(String::as_str);
        let known: Vec<&str> = std::iter::once(OWN_RUNTIME).chain(others).collect();
        Invalid::Runtime {
            name: name.to_owned(),
            known: known.join(", "),
        }
    })
}
