//! The messages of BuildKit's protocols, for both of their ends: the daemon, which builds, and a client,
//! which has the files. Pure: what carries them is `api`'s, what they mean `builder`'s.
//!
//! Names and numbers of fields are facts of those protocols, as buildx 0.29 has them. Fields that nobody
//! here reads are left out: readers of protobuf pass over what they do not know.

pub mod content;
pub mod control;
pub mod gateway;
pub mod mode;
pub mod pb;
pub mod session;
pub mod sync;

use std::time::Duration;

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

impl From<Duration> for Timestamp {
    /// A time since 1970.
    fn from(since: Duration) -> Self {
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
        }
    }
}

impl Timestamp {
    /// Nanoseconds since 1970.
    pub fn as_nanos(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }
}

/// Bytes of a stream: what a session's tunnels, uploads and exports carry.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BytesMessage {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

/// `google.rpc.Status`: an error with details.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Status {
    /// gRPC's number.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The sentence.
    #[prost(string, tag = "2")]
    pub message: String,
    /// More for programs.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Any {
    /// What it is.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// It, here in JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}
