//! Who comes to the daemon, by which socket, and what may be done there.
//!
//! A socket is a [`Door`] with a policy of its own; the one that nobody says anything about allows
//! everything, and costs nothing.

pub(crate) mod audit;
pub(crate) mod guard;
pub(crate) mod policy;
mod subject;
pub(crate) mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use policy::Policy;

/// A socket that the daemon listens on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Door {
    /// Its name in the configuration; empty for those of `--host`.
    pub(crate) name: String,
    pub(crate) policy: Policy,
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) door: Arc<Door>,
    pub(crate) who: Who,
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// A process of this machine, unix(7).
    Process {
        pid: Option<i32>,
        uid: u32,
        gid: u32,
    },
    /// A machine that has shown nothing.
    Address(SocketAddr),
    /// One that has shown a certificate.
    Certificate {
        address: SocketAddr,
        /// The subject's common name.
        name: Option<String>,
        /// SHA-256 of the certificate, in hexadecimal.
        digest: String,
    },
    /// The kernel does not say.
    Unknown,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { uid, .. } => write!(f, "user {uid}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Certificate { address, name, .. } => {
                write!(f, "{} at {address}", name.as_deref().unwrap_or("somebody"))
            }
            Self::Unknown => f.write_str("somebody"),
        }
    }
}
