//! The OCI configuration of a container, rendered from what was asked for and what the machine is.
//!
//! Pure: everything read from disk or the kernel comes in with [`RenderInput`], the result is a value
//! that tests compare as text. One section of the configuration a file. Defaults are Docker's.

mod input;

use oci_spec::runtime::Spec;
use types::ErrorKind;

pub use input::{DeviceKind, HostDevice, HostFacts, Identity, RenderInput};

/// Why a request cannot be rendered. Each names the field and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A capability nobody knows.
    #[error("invalid capability: {0:?}: a name as in capabilities(7) or ALL is expected")]
    Capability(String),
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
    #[error("invalid permissions {permissions:?} of device {path:?}: some of r, w and m are expected")]
    DevicePermissions {
        /// The device.
        path: String,
        /// What was asked for.
        permissions: String,
    },
    /// Neither an entry point nor a command.
    #[error("no command specified")]
    NoCommand,
    /// Limits that contradict each other.
    #[error("invalid limit: {0}")]
    Limit(String),
}

impl Error {
    /// Always [`ErrorKind::Invalid`]: rendering fails only for what the request says.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Renders the configuration. The root is `rootfs` in the bundle.
pub fn spec(_input: &RenderInput<'_>) -> Result<Spec, Error> {
    Err(Error::NoCommand)
}
