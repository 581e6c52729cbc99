//! Where things are in this repository.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's top directory.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where what was fetched or made once is kept.
pub(crate) fn cache() -> PathBuf {
    env::var_os("BRIG_CACHE").map_or_else(|| repository().join(".cache"), PathBuf::from)
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Where the built programs lie side by side.
pub(crate) fn dist(release: bool) -> PathBuf {
    target().join(if release { "dist" } else { "dist-debug" })
}
