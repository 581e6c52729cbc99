//! How files go between a client and the daemon (package `fsutil.types`): whoever has files tells of each in
//! order, whoever wants them asks for those it has not, and gets their bytes.
//!
//! [`receive`] takes a client's files into a directory, [`send`] gives it some, [`Kept`] are the
//! directories in which files wait for the next build. Blocking: see [`Wire`].

mod kept;
mod mode;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;

use prost::{Enumeration, Message};
use types::ErrorKind;

pub use kept::{Held, Kept};
pub use receive::{Received, receive};
pub use send::{look, send};

/// Something sent, either way.
#[derive(Clone, PartialEq, Message)]
pub struct Packet {
    /// What it is.
    #[prost(enumeration = "PacketKind", tag = "1")]
    pub kind: i32,
    /// A file; none after the last one.
    #[prost(message, optional, tag = "2")]
    pub stat: Option<Stat>,
    /// Which file, counted from 0 in the order in which they were told of.
    #[prost(uint32, tag = "3")]
    pub id: u32,
    /// Bytes; none at a file's end.
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum PacketKind {
    /// There is a file.
    Stat = 0,
    /// The file is wanted.
    Request = 1,
    /// Bytes of it.
    Data = 2,
    /// That was all.
    Finish = 3,
    /// It went wrong.
    Error = 4,
}

/// A file.
#[derive(Clone, PartialEq, Message)]
pub struct Stat {
    /// Its path, below the directory that is sent.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Its kind and permissions, as Go counts them.
    #[prost(uint32, tag = "2")]
    pub mode: u32,
    /// Its owner.
    #[prost(uint32, tag = "3")]
    pub uid: u32,
    /// Its group.
    #[prost(uint32, tag = "4")]
    pub gid: u32,
    /// Bytes.
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "6")]
    pub modified: i64,
    /// Where a symbolic link leads; the first name of a file that has several.
    #[prost(string, tag = "7")]
    pub linkname: String,
    /// Of a device.
    #[prost(int64, tag = "8")]
    pub major: i64,
    /// Of a device.
    #[prost(int64, tag = "9")]
    pub minor: i64,
    /// Extended attributes.
    #[prost(btree_map = "string, bytes", tag = "10")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

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

impl Packet {
    fn of(kind: PacketKind) -> Self {
        Self {
            kind: kind.into(),
            ..Self::default()
        }
    }

    fn numbered(kind: PacketKind, id: u32) -> Self {
        Self {
            id,
            ..Self::of(kind)
        }
    }
}
