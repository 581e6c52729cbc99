//! Where the helpers are.

use std::path::{Path, PathBuf};

use super::Error;

const DIRECTORIES: [&str; 2] = ["/usr/local/libexec/brig", "/usr/libexec/brig"];

/// Where a program belongs that is nowhere.
pub(super) fn place(program: &str) -> PathBuf {
    Path::new(DIRECTORIES[1]).join(program)
}

/// The named path, or the program beside `brigd`, in the usual places, on the PATH.
pub(super) fn find(
    program: &'static str,
    key: &'static str,
    named: Option<PathBuf>,
) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return Ok(path);
    }
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .map(Path::to_owned)
        .into_iter()
        .chain(DIRECTORIES.map(PathBuf::from))
        .chain(std::env::split_paths(&path).filter(|dir| dir.is_absolute()))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(Error::Program { program, key })
}
