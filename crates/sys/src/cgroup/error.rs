//! Why a cgroup could not be made, changed or removed.

use std::io;
use std::path::PathBuf;

use types::ErrorKind;

/// Names the file and the value, so that one sentence is enough to reproduce the refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine has no cgroup file system.
    #[error("no cgroup hierarchy is mounted")]
    NotMounted,
    /// Not a path inside the hierarchies.
    #[error("invalid cgroup path {0:?}: an absolute path without . and .. is expected")]
    InvalidPath(String),
    /// Something other than a write failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("cannot write {value:?} to {}", path.display())]
    Write {
        /// The value.
        value: String,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel or this layout has no such limit.
    #[error("this machine cannot limit {limit}: there is no {file}")]
    Unsupported {
        /// The limit.
        limit: &'static str,
        /// The file that would have taken it.
        file: String,
    },
    /// The value makes no sense.
    #[error("invalid {limit}: {reason}")]
    Invalid {
        /// The limit.
        limit: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
    /// Somebody else's processes are in the cgroup that was to be made. In runc's words, which
    /// people search for.
    #[error(
        "container's cgroup is not empty: {processes} process(es) found in {}",
        path.display()
    )]
    Busy {
        /// The cgroup.
        path: PathBuf,
        /// How many.
        processes: usize,
    },
    /// The cgroup that was to be made is there and frozen: nothing would run in it. In runc's words.
    #[error("container's cgroup unexpectedly frozen: {}", .0.display())]
    Frozen(PathBuf),
    /// Part of a threaded subtree, where limits for whole processes do not work.
    #[error(
        "cgroup {} is {kind}: it can limit neither memory nor I/O; a path outside the threaded \
         subtree is needed",
        path.display()
    )]
    Threaded {
        /// The cgroup.
        path: PathBuf,
        /// The content of its cgroup.type.
        kind: String,
    },
    /// Killed processes are still there.
    #[error("processes of cgroup {} did not end", .0.display())]
    Unkillable(PathBuf),
    /// Loading or attaching the device program failed.
    #[error("cannot {action} the device filter of cgroup {}", path.display())]
    DeviceFilter {
        /// What was tried.
        action: &'static str,
        /// For which cgroup.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// Values the kernel finds invalid are the request's fault; the rest is the machine's.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidPath(_) | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Write { source, .. } => match source.raw_os_error() {
                Some(libc::EINVAL | libc::ERANGE | libc::EBUSY) => ErrorKind::Invalid,
                _ => ErrorKind::Internal,
            },
            Self::NotMounted | Self::Unsupported { .. } | Self::Threaded { .. } => {
                ErrorKind::Unsupported
            }
            Self::Busy { .. } | Self::Frozen(_) => ErrorKind::Conflict,
            Self::File { .. } | Self::Unkillable(_) | Self::DeviceFilter { .. } => {
                ErrorKind::Internal
            }
        }
    }
}
