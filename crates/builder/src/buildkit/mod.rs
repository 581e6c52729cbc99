//! The messages of BuildKit's protocols, and the protocol by which its clients send files. Pure: what
//! carries them is the daemon's.
//!
//! Names and numbers of fields are facts of those protocols, as buildx 0.29 has them. Fields that nobody
//! here reads are left out: readers of protobuf pass over what they do not know.

pub mod content;
pub mod control;
pub mod error;
pub mod files;
pub mod gateway;
pub mod outline;
pub mod session;

use prost::Message;

/// `google.protobuf.Timestamp`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Timestamp {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds in the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<std::time::Duration> for Timestamp {
    /// A time since 1970.
    fn from(since: std::time::Duration) -> Self {
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
        }
    }
}

/// Bytes of a stream: what a session's tunnels, uploads and exports carry.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BytesMessage {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}
