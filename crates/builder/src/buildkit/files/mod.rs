//! How files go between a client and the daemon (package `fsutil.types`): whoever has files tells of each in
//! order, whoever wants them asks for those it has not, and gets their bytes.
//!
//! [`receive`] takes a client's files into a directory, [`send`] gives it some, [`Kept`] are the
//! directories in which files wait for the next build. Blocking: see [`Wire`].

mod content;
mod kept;
mod mode;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod tree;

use buildkit::sync::Packet;
use types::ErrorKind;

pub use kept::{Held, Kept};
pub use receive::{Received, receive};
pub use send::{look, send};

/// Why files did not get across.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The other side does not keep to the protocol, or tells of what cannot be.
    #[error("the client sends files wrongly: {0}")]
    Protocol(String),
    /// The other side could not go on, and says why.
    #[error("{0}")]
    Remote(String),
    /// It is gone, or has broken off.
    #[error("{0}")]
    Gone(String),
    /// A file of ours.
    #[error("cannot use the file {path}")]
    Disk {
        /// Which, as the client names it.
        path: String,
        /// Why.
        source: sys::Error,
    },
    /// Bytes of a file of ours.
    #[error("cannot use the file {path}")]
    Bytes {
        /// Which, as the client names it.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Protocol(_) | Self::Remote(_) => ErrorKind::Invalid,
            Self::Gone(_) => ErrorKind::Unavailable,
            Self::Disk { .. } | Self::Bytes { .. } => ErrorKind::Internal,
        }
    }

    /// All layers in one line.
    pub fn chain(&self) -> String {
        match self {
            Self::Disk { source, .. } => format!("{self}: {source}"),
            Self::Bytes { source, .. } => format!("{self}: {source}"),
            other => other.to_string(),
        }
    }
}

/// Packets to and from the other side, for a thread that may block.
pub trait Wire {
    /// The next packet; none when the other side has ended well.
    ///
    /// # Errors
    /// When it has not.
    fn next(&mut self) -> Result<Option<Packet>, Error>;

    /// Sends one. A request must go out though nobody reads yet: whoever has the files writes them until
    /// somebody reads, and reads no requests meanwhile.
    ///
    /// # Errors
    /// When the other side is gone.
    fn send(&mut self, packet: Packet) -> Result<(), Error>;
}
