//! `containerd.services.content.v1.Content`: stores of content that a client has, read and written over its
//! session. A header says which.

use std::collections::HashMap;

use prost::Message;

/// What is known of content.
pub const INFO: &str = "/containerd.services.content.v1.Content/Info";
/// Content from a byte on.
pub const READ: &str = "/containerd.services.content.v1.Content/Read";
/// Content for the client.
pub const WRITE: &str = "/containerd.services.content.v1.Content/Write";
/// The header that names the store.
pub const STORE: &str = "buildkit-attachable-store-id";

/// Which content?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct InfoRequest {
    /// What names it.
    #[prost(string, tag = "1")]
    pub digest: String,
}

/// Content.
#[derive(Clone, PartialEq, Message)]
pub struct InfoResponse {
    /// What is known of it.
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
}

/// What is known of content.
#[derive(Clone, PartialEq, Message)]
pub struct Info {
    /// What names it.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Its bytes.
    #[prost(int64, tag = "2")]
    pub size: i64,
}

/// Which bytes?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadRequest {
    /// Of what.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// From where on.
    #[prost(int64, tag = "2")]
    pub offset: i64,
    /// How many; 0 is all.
    #[prost(int64, tag = "3")]
    pub size: i64,
}

/// Bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadResponse {
    /// Where they are.
    #[prost(int64, tag = "1")]
    pub offset: i64,
    /// They.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
}

/// What is to be done with what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Action {
    /// Say how far it is.
    Stat = 0,
    /// Take these bytes.
    Write = 1,
    /// That was all.
    Commit = 2,
}

/// Content on its way to the client.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// What is to be done.
    #[prost(enumeration = "Action", tag = "1")]
    pub action: i32,
    /// A name for what is under way.
    #[prost(string, tag = "2")]
    pub reference: String,
    /// How many bytes it will be.
    #[prost(int64, tag = "3")]
    pub total: i64,
    /// What they hash to.
    #[prost(string, tag = "4")]
    pub expected: String,
    /// Where the bytes go.
    #[prost(int64, tag = "5")]
    pub offset: i64,
    /// They.
    #[prost(bytes = "vec", tag = "6")]
    pub data: Vec<u8>,
    /// What is to be said of it.
    #[prost(map = "string, string", tag = "7")]
    pub labels: HashMap<String, String>,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WriteResponse {
    /// Of what this is the answer.
    #[prost(enumeration = "Action", tag = "1")]
    pub action: i32,
    /// Bytes so far.
    #[prost(int64, tag = "4")]
    pub offset: i64,
}
