//! Which OCI runtime runs a container.

use std::path::PathBuf;

use types::ContainerSpec;

use super::check::Invalid;
use crate::Config;

/// The name of our own.
pub const OWN_RUNTIME: &str = "brig";

/// The other runtime's binary that runs it; none is our own, in the shim.
pub(super) fn binary(config: &Config, spec: &ContainerSpec) -> Option<PathBuf> {
    match spec.runtime.as_deref() {
        None => config.foreign_runtime.clone(),
        Some(OWN_RUNTIME) => None,
        Some(name) => config.runtimes.get(name).cloned(),
    }
}

pub(super) fn check(config: &Config, spec: &ContainerSpec) -> Result<(), Invalid> {
    match spec.runtime.as_deref() {
        Some(name) if name != OWN_RUNTIME && !config.runtimes.contains_key(name) => {
            let others = config.runtimes.keys().map(String::as_str);
            let known: Vec<&str> = std::iter::once(OWN_RUNTIME).chain(others).collect();
            Err(Invalid::Runtime {
                name: name.to_owned(),
                known: known.join(", "),
            })
        }
        _ => Ok(()),
    }
}
