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
    /// Somebody else's processes are in the cgroup that was to be made.
    #[error("cgroup {} is in use", .0.display())]
    Busy(PathBuf),
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
            Self::NotMounted | Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Busy(_) => ErrorKind::Conflict,
            Self::File { .. } | Self::Unkillable(_) | Self::DeviceFilter { .. } => {
                ErrorKind::Internal
            }
        }
    }
}
