//! Reading and writing cgroup files, in as few system calls as it takes: a start does this by the
//! dozen.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::plan::Version;
use super::{Cgroup, Dir, Error};
use crate::error::retry;

/// Opens for writing. What fails is told as the failed write of `value`.
pub(super) fn open_to_write(path: &Path, value: &str) -> Result<OwnedFd, Error> {
    open(path, OFlags::WRONLY).map_err(|source| refused(path, value, source))
}

pub(super) fn open_to_read(path: &Path) -> Result<OwnedFd, Error> {
    open(path, OFlags::RDONLY).map_err(|source| Error::File {
        action: "open",
        path: path.to_owned(),
        source,
    })
}

/// Writes one value in one write(2), as the kernel wants it.
pub(super) fn write(path: &Path, value: &str) -> Result<(), Error> {
    write_to(&open_to_write(path, value)?, path, value)
}

/// The same, to a file that is open.
pub(super) fn write_to(file: &OwnedFd, path: &Path, value: &str) -> Result<(), Error> {
    match retry(|| rustix::io::write(file, value.as_bytes())) {
        Ok(_) => Ok(()),
        Err(errno) => Err(refused(path, value, errno.into())),
    }
}

fn refused(path: &Path, value: &str, source: io::Error) -> Error {
    Error::Write {
        value: value.to_owned(),
        path: path.to_owned(),
        source,
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(retry(|| {
        rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
    })?)
}

/// The whole text of a file.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    read(path, |_| false)
}

/// The trimmed content of a one-line file.
pub(super) fn line(path: &Path) -> Result<String, Error> {
    Ok(read(path, |text| text.ends_with(b"\n"))?.trim().to_owned())
}

/// Reads until the end, or until `complete` says that nothing more will come: the kernel tells the
/// end of a file only to who asks once more.
fn read(path: &Path, complete: impl Fn(&[u8]) -> bool) -> Result<String, Error> {
    let failed = |source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let file = open(path, OFlags::RDONLY).map_err(failed)?;
    let mut bytes = Vec::with_capacity(4096);
    loop {
        bytes.reserve(1024);
        let room = || rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes));
        let count = retry(room).map_err(|errno| failed(errno.into()))?;
        if count == 0 || complete(&bytes) {
            break;
        }
    }
    String::from_utf8(bytes).map_err(|_| failed(io::ErrorKind::InvalidData.into()))
}

/// The number after a key in a flat-keyed file; zero when it is not there.
pub(super) fn keyed(path: &Path, key: &str) -> Result<u64, Error> {
    let text = text(path)?;
    let value = |l: &str| l.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    Ok(text.lines().find_map(value).unwrap_or(0))
}

/// Whether an error says that the cgroup is gone: ENODEV from a file of a removed one.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// Ids of the processes in one directory. Those that another pid namespace hides read as zero and
/// are left out.
pub(super) fn procs_of(dir: &Path) -> Result<Vec<i32>, Error> {
    match text(&dir.join("cgroup.procs")) {
        Ok(text) => Ok(ids(&text)),
        Err(Error::File { source, .. }) if is_gone(&source) => Ok(Vec::new()),
        Err(Error::File { source, .. }) if source.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            procs_of_threads(dir)
        }
        Err(error) => Err(error),
    }
}

fn ids(text: &str) -> Vec<i32> {
    let ids = text.lines().filter_map(|l| l.parse().ok());
    ids.filter(|id| *id > 0).collect()
}

/// The same of a threaded cgroup (version 2), which has threads and does not say whose.
fn procs_of_threads(dir: &Path) -> Result<Vec<i32>, Error> {
    let threads = match text(&dir.join("cgroup.threads")) {
        Ok(text) => ids(&text),
        Err(Error::File { source, .. }) if is_gone(&source) => Vec::new(),
        Err(error) => return Err(error),
    };
    let process = |thread: &i32| {
        // One that has ended meanwhile is nobody's.
        let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("Tgid:"))?;
        line.trim().parse().ok()
    };
    let mut processes: Vec<i32> = threads.iter().filter_map(process).collect();
    processes.dedup();
    Ok(processes)
}

/// The directory and all below it, parents first.
pub(super) fn tree(dir: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut found = vec![dir.to_owned()];
    let mut next = 0;
    while let Some(dir) = found.get(next).cloned() {
        next += 1;
        if is_childless(&dir) {
            continue;
        }
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

/// Whether it has no directories for sure, as nearly all have none: each counts as a link to it, and to look
/// at the number takes a tenth of the time that a listing takes, with a file for each of the controller's knobs.
fn is_childless(dir: &Path) -> bool {
    const OWN_LINKS: u64 = 2;
    fs::symlink_metadata(dir).is_ok_and(|dir| dir.nlink() == OWN_LINKS)
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
