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
    let beside = beside.map(Path::to_owned).into_iter();
    beside
        .chain(DIRECTORIES.map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .or_else(|| on_path(program.as_ref()))
        .ok_or(Error::Program { program, key })
}

/// The program of this name that a shell would run.
pub(super) fn on_path(program: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let mut found = dirs.map(|dir| dir.join(program));
    found.find(|candidate| candidate.is_file())
}
