//! `moby.buildkit.v1.frontend.LLBBridge`: what a frontend asks for while its build is under way. buildx is
//! such a frontend: it asks for the Dockerfile's, and returns that one's result.

use std::collections::HashMap;

use prost::{Message, Oneof};

use crate::control::{CacheOptionsEntry, WorkerRecord};
use crate::sync::Stat;
use crate::{Status, pb};

/// What can be done?
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct PingRequest {}

/// What can be done.
#[derive(Clone, PartialEq, Message)]
pub struct PongResponse {
    /// By this service.
    #[prost(message, repeated, tag = "1")]
    pub frontend_api_caps: Vec<ApiCap>,
    /// In LLB.
    #[prost(message, repeated, tag = "2")]
    pub llb_caps: Vec<ApiCap>,
    /// By whom.
    #[prost(message, repeated, tag = "3")]
    pub workers: Vec<WorkerRecord>,
}

/// Something that can be done.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ApiCap {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// It can.
    #[prost(bool, tag = "2")]
    pub enabled: bool,
}

/// A build in the build.
#[derive(Clone, PartialEq, Message)]
pub struct SolveRequest {
    /// In LLB.
    #[prost(message, optional, tag = "1")]
    pub definition: Option<pb::Definition>,
    /// By a frontend.
    #[prost(string, tag = "2")]
    pub frontend: String,
    /// What that is told.
    #[prost(map = "string, string", tag = "3")]
    pub frontend_opt: HashMap<String, String>,
    /// Caches elsewhere.
    #[prost(message, repeated, tag = "12")]
    pub cache_imports: Vec<CacheOptionsEntry>,
    /// Named definitions.
    #[prost(map = "string, message", tag = "13")]
    pub frontend_inputs: HashMap<String, pb::Definition>,
    /// It is done before it is answered.
    #[prost(bool, tag = "14")]
    pub evaluate: bool,
}

/// It was done, or will be.
#[derive(Clone, PartialEq, Message)]
pub struct SolveResponse {
    /// The result.
    #[prost(message, optional, tag = "3")]
    pub result: Option<Result>,
}

/// Files, or files by platform, and what is said of them.
#[derive(Clone, PartialEq, Message)]
pub struct Result {
    /// Files.
    #[prost(oneof = "result::Result", tags = "1, 2, 3, 4")]
    pub result: Option<result::Result>,
    /// `containerimage.config`, ...
    #[prost(map = "string, bytes", tag = "10")]
    pub metadata: HashMap<String, Vec<u8>>,
}

/// The kinds of [`Result`].
pub mod result {
    use super::{Oneof, Ref, RefMap, RefMapDeprecated};

    /// One of them.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Result {
        /// A name, from older clients.
        #[prost(string, tag = "1")]
        RefDeprecated(String),
        /// Names, from older clients.
        #[prost(message, tag = "2")]
        RefsDeprecated(RefMapDeprecated),
        /// One.
        #[prost(message, tag = "3")]
        Ref(Ref),
        /// One a platform.
        #[prost(message, tag = "4")]
        Refs(RefMap),
    }
}

/// Names of files by platform.
#[derive(Clone, PartialEq, Message)]
pub struct RefMapDeprecated {
    /// Them.
    #[prost(map = "string, string", tag = "1")]
    pub refs: HashMap<String, String>,
}

/// Files of a build.
#[derive(Clone, PartialEq, Message)]
pub struct Ref {
    /// Their name in this build.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What they are made by.
    #[prost(message, optional, tag = "2")]
    pub def: Option<pb::Definition>,
}

/// Files by platform.
#[derive(Clone, PartialEq, Message)]
pub struct RefMap {
    /// Them.
    #[prost(map = "string, message", tag = "1")]
    pub refs: HashMap<String, Ref>,
}

/// The frontend is done.
#[derive(Clone, PartialEq, Message)]
pub struct ReturnRequest {
    /// Its result.
    #[prost(message, optional, tag = "1")]
    pub result: Option<Result>,
    /// Or why it has none.
    #[prost(message, optional, tag = "2")]
    pub error: Option<Status>,
}

/// Understood.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ReturnResponse {}

/// What was the frontend given?
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct InputsRequest {}

/// What it was given.
#[derive(Clone, PartialEq, Message)]
pub struct InputsResponse {
    /// By name.
    #[prost(map = "string, message", tag = "1")]
    pub definitions: HashMap<String, pb::Definition>,
}

/// Files are to be there now.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EvaluateRequest {
    /// Which.
    #[prost(string, tag = "1")]
    pub reference: String,
}

/// They are.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct EvaluateResponse {}

/// What is in a file?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadFileRequest {
    /// Of which files.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// The path.
    #[prost(string, tag = "2")]
    pub file_path: String,
    /// Only this of it.
    #[prost(message, optional, tag = "3")]
    pub range: Option<FileRange>,
}

/// Part of a file.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct FileRange {
    /// From here.
    #[prost(int64, tag = "1")]
    pub offset: i64,
    /// So many bytes.
    #[prost(int64, tag = "2")]
    pub length: i64,
}

/// What is in a file.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadFileResponse {
    /// It.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

/// What is in a directory?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadDirRequest {
    /// Of which files.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// The path.
    #[prost(string, tag = "2")]
    pub dir_path: String,
    /// Only such names.
    #[prost(string, tag = "3")]
    pub include_pattern: String,
}

/// What is in a directory.
#[derive(Clone, PartialEq, Message)]
pub struct ReadDirResponse {
    /// Each of it, by name.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Stat>,
}

/// What is at a path?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatFileRequest {
    /// Of which files.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// The path.
    #[prost(string, tag = "2")]
    pub path: String,
}

/// What is at a path.
#[derive(Clone, PartialEq, Message)]
pub struct StatFileResponse {
    /// It.
    #[prost(message, optional, tag = "1")]
    pub stat: Option<Stat>,
}

/// What does an image say?
#[derive(Clone, PartialEq, Message)]
pub struct ResolveImageConfigRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// For which platform.
    #[prost(message, optional, tag = "2")]
    pub platform: Option<pb::Platform>,
    /// `default`, `pull`, `local`
    #[prost(string, tag = "3")]
    pub resolve_mode: String,
    /// What people are shown.
    #[prost(string, tag = "4")]
    pub log_name: String,
}

/// What an image says.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ResolveImageConfigResponse {
    /// Its manifest's digest.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Its configuration.
    #[prost(bytes = "vec", tag = "2")]
    pub config: Vec<u8>,
    /// Its name.
    #[prost(string, tag = "3")]
    pub reference: String,
}

/// A frontend warns.
#[derive(Clone, PartialEq, Message)]
pub struct WarnRequest {
    /// Of which step.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// 1 is the usual.
    #[prost(int64, tag = "2")]
    pub level: i64,
    /// In one line.
    #[prost(bytes = "vec", tag = "3")]
    pub short: Vec<u8>,
    /// More.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub detail: Vec<Vec<u8>>,
    /// Where more is said.
    #[prost(string, tag = "5")]
    pub url: String,
    /// The file it is about.
    #[prost(message, optional, tag = "6")]
    pub info: Option<pb::SourceInfo>,
    /// Where in it.
    #[prost(message, repeated, tag = "7")]
    pub ranges: Vec<pb::Range>,
}

/// Understood.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct WarnResponse {}
