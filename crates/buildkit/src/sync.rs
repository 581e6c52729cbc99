//! Files on their way between a client and the daemon (package `fsutil.types`): whoever has files tells of
//! each in order, whoever wants them asks for those it has not, and gets their bytes.

use std::collections::BTreeMap;

use prost::{Enumeration, Message};

/// A header with which a daemon of Brig's asks for files, of the name of the list that it has from the last time;
/// empty if it has none. A client that knows the header says the name of its list in the data of the packet that
/// ends the list; or, if that is the name it was told, tells of no file, but says the name in a packet
/// [`PacketKind::Finish`].
pub const KNOWN_LIST: &str = "brig-known-list";
/// The longest name of a list, in bytes.
pub const LONGEST_LIST_NAME: usize = 128;

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

impl Packet {
    /// One that says no more.
    pub fn of(kind: PacketKind) -> Self {
        Self {
            kind: kind.into(),
            ..Self::default()
        }
    }

    /// One about a file.
    pub fn numbered(kind: PacketKind, id: u32) -> Self {
        Self {
            id,
            ..Self::of(kind)
        }
    }
}
