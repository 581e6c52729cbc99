//! What rendering refuses.

use types::ErrorKind;

/// Why a request cannot be rendered. Each names the field and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A capability nobody knows.
    #[error(
        "invalid {field}: unknown capability: {name:?}; a name as in capabilities(7), or ALL, is \
         expected"
    )]
    Capability {
        /// `CapAdd` or `CapDrop`.
        field: &'static str,
        /// What was asked for.
        name: String,
    },
    /// A capability that the kernel or the daemon does not have.
    #[error(
        "invalid CapAdd: capability not supported by your kernel or not available in the current \
         environment: {name:?}"
    )]
    UnavailableCapability {
        /// What was asked for.
        name: String,
    },
    /// A resource limit nobody knows.
    #[error("invalid ulimit type: {0}")]
    Ulimit(String),
    /// A kernel parameter that is not the container's own.
    #[error("sysctl {name:?} is not allowed: {reason}")]
    Sysctl {
        /// The parameter.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A system call filter that cannot be understood.
    #[error("invalid seccomp profile: {0}")]
    Seccomp(String),
    /// A mount that cannot be.
    #[error("invalid mount {target:?}: {reason}")]
    Mount {
        /// Where it was to be.
        target: String,
        /// Why not.
        reason: String,
    },
    /// Permissions other than `r`, `w` and `m`.
    #[error(
        "invalid permissions {permissions:?} of device {path:?}: some of r, w and m are expected"
    )]
    DevicePermissions {
        /// The device.
        path: String,
        /// What was asked for.
        permissions: String,
    },
    /// Neither an entry point nor a command.
    #[error("no command specified")]
    NoCommand,
}

impl Error {
    /// Always [`ErrorKind::Invalid`]: rendering fails only for what the request says.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
