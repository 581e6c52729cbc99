//! Reading and writing cgroup files.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::plan::Version;
use super::{Cgroup, Dir, Error};

/// Writes one value in one write(2), as the kernel wants it.
pub(super) fn write(path: &Path, value: &str) -> Result<(), Error> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|source| Error::Write {
            value: value.to_owned(),
            path: path.to_owned(),
            source,
        })
}

pub(super) fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// The trimmed content of a file.
pub(super) fn line(path: &Path) -> Result<String, Error> {
    Ok(text(path)?.trim().to_owned())
}

/// The number after a key in a flat-keyed file; zero when it is not there.
fn keyed(path: &Path, key: &str) -> Result<u64, Error> {
    let text = text(path)?;
    let value = |l: &str| l.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    Ok(text.lines().find_map(value).unwrap_or(0))
}

/// Whether an error says that the cgroup is gone: ENODEV from a file of a removed one.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// Ids of the processes in one directory. Those that another pid namespace hides read as zero and
/// are left out.
pub(super) fn procs_of(dir: &Path) -> Result<Vec<i32>, Error> {
    match text(&dir.join("cgroup.procs")) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|l| l.parse().ok())
            .filter(|pid| *pid > 0)
            .collect()),
        Err(Error::File { source, .. }) if is_gone(&source) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The directory and all below it, parents first.
pub(super) fn tree(dir: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut found = vec![dir.to_owned()];
    let mut next = 0;
    while let Some(dir) = found.get(next).cloned() {
        next += 1;
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if is_gone(&e) => continue,
            Err(source) => {
                return Err(Error::File {
                    action: "list cgroup",
                    path: dir,
                    source,
                });
            }
        };
        let subdirs = entries
            .filter_map(Result::ok)
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        found.extend(subdirs.map(|e| e.path()));
    }
    Ok(found)
}

impl Dir {
    /// Processes here and below.
    pub(super) fn pids(&self) -> Result<Vec<i32>, Error> {
        let mut all = Vec::new();
        for dir in tree(&self.path)? {
            all.extend(procs_of(&dir)?);
        }
        Ok(all)
    }
}

impl Cgroup {
    /// Ids of all processes in it and below, in this process' pid namespace.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        self.census().map_or_else(|| Ok(Vec::new()), Dir::pids)
    }

    /// Whether the out-of-memory killer has struck in it or below. False when the cgroup is gone.
    pub fn oom_killed(&self) -> Result<bool, Error> {
        let Some(dir) = self.controller("memory") else {
            return Ok(false);
        };
        let count = match dir.version {
            // Counts what is below too.
            Version::V2 => keyed(&dir.path.join("memory.events"), "oom_kill"),
            Version::V1 => tree(&dir.path)?.iter().try_fold(0, |sum, dir| {
                Ok(sum + keyed(&dir.join("memory.oom_control"), "oom_kill")?)
            }),
        };
        match count {
            Ok(count) => Ok(count > 0),
            Err(Error::File { source, .. }) if is_gone(&source) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
