//! Why a network could not be made or an endpoint not attached.

use types::ErrorKind;

/// One sentence with the object's name in it; the kernel's answer is its source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Something of that name or address is there already.
    #[error("{0}")]
    Conflict(String),
    /// The kernel refused.
    #[error("cannot {action}")]
    System {
        /// What was to be done, with the object's name.
        action: String,
        /// What the kernel said.
        source: sys::Error,
    },
    /// The kernel refused a message, and may have said why.
    #[error("cannot {action}")]
    Netlink {
        /// What was to be done, with the object's name.
        action: String,
        /// What the kernel said.
        source: sys::netlink::Error,
    },
    /// There is no nftables.
    #[error(
        "this kernel has no nftables: load the module nf_tables, use the networks none or host, or do \
         without rules (firewall = false)"
    )]
    NoNftables {
        /// What the kernel said.
        source: sys::netlink::Error,
    },
    /// For tests: the step was told to fail.
    #[error("step {0} was told to fail")]
    Injected(&'static str),
}

impl Error {
    /// The class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::NoNftables { .. } => ErrorKind::Unsupported,
            Self::System { .. } | Self::Netlink { .. } | Self::Injected(_) => ErrorKind::Internal,
        }
    }
}

/// Says what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for sys::Result<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::System {
            action: action(),
            source,
        })
    }
}

impl<T> Doing<T> for sys::netlink::Result<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Netlink {
            action: action(),
            source,
        })
    }
}
