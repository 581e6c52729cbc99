//! Being told that a cgroup ran out of memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};

use super::plan::Version;
use super::{Cgroup, Dir, Error, read};
use crate::inotify::Changes;

/// Readable when the out-of-memory killer may have struck; [`OomWatch::take`] tells.
#[derive(Debug)]
pub struct OomWatch {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The eventfd(2) that version 1 counts up.
    V1 {
        event: OwnedFd,
        _control: OwnedFd,
        path: PathBuf,
    },
    /// Version 2 changes a file.
    V2 {
        changes: Changes,
        file: PathBuf,
        seen: u64,
    },
}

impl Cgroup {
    /// Watches it from now on. None where memory is not accounted.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>, Error> {
        let Some(dir) = self.controller("memory") else {
            return Ok(None);
        };
        let kind = match dir.version {
            Version::V1 => watch_v1(dir)?,
            Version::V2 => watch_v2(dir)?,
        };
        Ok(Some(OomWatch { kind }))
    }
}

/// Kernel, Documentation/admin-guide/cgroup-v1/memory.rst: the numbers of an eventfd and of
/// memory.oom_control are written to cgroup.event_control.
fn watch_v1(dir: &Dir) -> Result<Kind, Error> {
    let failed = |path: &Path, errno: rustix::io::Errno| Error::File {
        action: "watch",
        path: path.to_owned(),
        source: errno.into(),
    };
    let path = dir.path.join("memory.oom_control");
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let event = eventfd(0, flags).map_err(|errno| failed(&path, errno))?;
    let control = read::open_to_read(&path)?;
    let value = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    read::write(&dir.path.join("cgroup.event_control"), &value)?;
    Ok(Kind::V1 {
        event,
        _control: control,
        path,
    })
}

fn watch_v2(dir: &Dir) -> Result<Kind, Error> {
    let file = dir.path.join("memory.events");
    let changes = Changes::of_file(&file).map_err(|error| Error::File {
        action: "watch",
        path: file.clone(),
        source: std::io::Error::from_raw_os_error(error.errno.0),
    })?;
    let seen = read::keyed(&file, "oom_kill")?;
    Ok(Kind::V2 {
        changes,
        file,
        seen,
    })
}

impl OomWatch {
    /// Whether the killer has struck since it was last asked. Does not wait.
    pub fn take(&mut self) -> Result<bool, Error> {
        match &mut self.kind {
            Kind::V1 { event, path, .. } => {
                let mut count = [0; 8];
                let told = rustix::io::read(&*event, &mut count).is_ok();
                // The removal of a cgroup is told too.
                Ok(told && path.exists())
            }
            Kind::V2 {
                changes,
                file,
                seen,
            } => {
                // Only that something changed matters, and that is asked of the file.
                let _ = changes.drain();
                let before = *seen;
                *seen = match read::keyed(file, "oom_kill") {
                    Ok(count) => count,
                    Err(Error::File { source, .. }) if read::is_gone(&source) => before,
                    Err(error) => return Err(error),
                };
                Ok(*seen > before)
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::V1 { event, .. } => event.as_fd(),
            Kind::V2 { changes, .. } => changes.as_fd(),
        }
    }
}
