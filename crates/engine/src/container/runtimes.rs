//! Which OCI runtime runs a container.

use std::path::PathBuf;

use types::ContainerSpec;

use super::check::Invalid;
use crate::Config;

/// The name of our own.
pub const OWN_RUNTIME: &str = "brig";

/// The other runtime's binary that runs it; none is our own, in the shim.
///
/// One that the daemon does not know, or not any more, is refused: another one might isolate less than
/// what was asked for.
pub(super) fn binary(config: &Config, spec: &ContainerSpec) -> Result<Option<PathBuf>, Invalid> {
    let Some(name) = spec.runtime.as_deref() else {
        return Ok(config.foreign_runtime.clone());
    };
    if name == OWN_RUNTIME {
        return Ok(None);
    }
    let found = config.runtimes.get(name).cloned();
    found.map(Some).ok_or_else(|| {
        let others = config.runtimes.keys().map(String::as_str);
        let known: Vec<&str> = std::iter::once(OWN_RUNTIME).chain(others).collect();
        Invalid::Runtime {
            name: name.to_owned(),
            known: known.join(", "),
        }
    })
}
