//! `moby.buildkit.v1.Control`: what clients ask the daemon for.

use std::collections::HashMap;

use prost::{Enumeration, Message};

use crate::{Status, Timestamp, pb};

/// Builds.
pub const SOLVE: &str = "/moby.buildkit.v1.Control/Solve";
/// Tells how a build goes on.
pub const STATUS: &str = "/moby.buildkit.v1.Control/Status";
/// Tells what the cache holds.
pub const DISK_USAGE: &str = "/moby.buildkit.v1.Control/DiskUsage";
/// Takes things out of the cache.
pub const PRUNE: &str = "/moby.buildkit.v1.Control/Prune";
/// Tells who builds.
pub const LIST_WORKERS: &str = "/moby.buildkit.v1.Control/ListWorkers";
/// Tells which builds there were.
pub const HISTORY: &str = "/moby.buildkit.v1.Control/ListenBuildHistory";
/// Changes what is kept of a build.
pub const UPDATE_HISTORY: &str = "/moby.buildkit.v1.Control/UpdateBuildHistory";

/// A build.
#[derive(Clone, PartialEq, Message)]
pub struct SolveRequest {
    /// The client's name for it.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// What is built, in LLB.
    #[prost(message, optional, tag = "2")]
    pub definition: Option<pb::Definition>,
    /// What becomes of the result, from clients that know one output only.
    #[prost(string, tag = "3")]
    pub exporter_deprecated: String,
    /// How.
    #[prost(map = "string, string", tag = "4")]
    pub exporter_attrs_deprecated: HashMap<String, String>,
    /// The session that has the client's files.
    #[prost(string, tag = "5")]
    pub session: String,
    /// What makes LLB of something else: `dockerfile.v0`, or nothing.
    #[prost(string, tag = "6")]
    pub frontend: String,
    /// What it is told.
    #[prost(map = "string, string", tag = "7")]
    pub frontend_attrs: HashMap<String, String>,
    /// Caches elsewhere.
    #[prost(message, optional, tag = "8")]
    pub cache: Option<CacheOptions>,
    /// What the build may do beyond the usual.
    #[prost(string, repeated, tag = "9")]
    pub entitlements: Vec<String>,
    /// Named definitions for the frontend.
    #[prost(map = "string, message", tag = "10")]
    pub frontend_inputs: HashMap<String, pb::Definition>,
    /// The client's own: not shown in the history.
    #[prost(bool, tag = "11")]
    pub internal: bool,
    /// What becomes of the result.
    #[prost(message, repeated, tag = "13")]
    pub exporters: Vec<Exporter>,
}

/// What becomes of a result.
#[derive(Clone, PartialEq, Message)]
pub struct Exporter {
    /// `moby`, `image`, `oci`, `docker`, `tar`, `local`
    #[prost(string, tag = "1")]
    pub kind: String,
    /// How.
    #[prost(map = "string, string", tag = "2")]
    pub attrs: HashMap<String, String>,
}

/// Caches elsewhere.
#[derive(Clone, PartialEq, Message)]
pub struct CacheOptions {
    /// Written at the end.
    #[prost(message, repeated, tag = "4")]
    pub exports: Vec<CacheOptionsEntry>,
    /// Read on the way.
    #[prost(message, repeated, tag = "5")]
    pub imports: Vec<CacheOptionsEntry>,
}

/// A cache elsewhere.
#[derive(Clone, PartialEq, Message)]
pub struct CacheOptionsEntry {
    /// `registry`, `local`, `inline`
    #[prost(string, tag = "1")]
    pub kind: String,
    /// `ref`, `mode`, ...
    #[prost(map = "string, string", tag = "2")]
    pub attrs: HashMap<String, String>,
}

/// A build has been done.
#[derive(Clone, PartialEq, Message)]
pub struct SolveResponse {
    /// `containerimage.digest`, ...
    #[prost(map = "string, string", tag = "1")]
    pub exporter_response: HashMap<String, String>,
}

/// What happens in a build?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatusRequest {
    /// The client's name for the build.
    #[prost(string, tag = "1")]
    pub reference: String,
}

/// What has happened in a build since the last one.
#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {
    /// Steps.
    #[prost(message, repeated, tag = "1")]
    pub vertexes: Vec<Vertex>,
    /// What they are at.
    #[prost(message, repeated, tag = "2")]
    pub statuses: Vec<VertexStatus>,
    /// What they print.
    #[prost(message, repeated, tag = "3")]
    pub logs: Vec<VertexLog>,
    /// What is likely not meant.
    #[prost(message, repeated, tag = "4")]
    pub warnings: Vec<VertexWarning>,
}

/// A step.
#[derive(Clone, PartialEq, Message)]
pub struct Vertex {
    /// Its name for programs.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Steps it is built on.
    #[prost(string, repeated, tag = "2")]
    pub inputs: Vec<String>,
    /// Its name for people.
    #[prost(string, tag = "3")]
    pub name: String,
    /// It was in the cache.
    #[prost(bool, tag = "4")]
    pub cached: bool,
    /// When it began.
    #[prost(message, optional, tag = "5")]
    pub started: Option<Timestamp>,
    /// When it was done.
    #[prost(message, optional, tag = "6")]
    pub completed: Option<Timestamp>,
    /// Why it failed.
    #[prost(string, tag = "7")]
    pub error: String,
    /// What it is shown with.
    #[prost(message, optional, tag = "8")]
    pub progress_group: Option<pb::ProgressGroup>,
}

/// What a step is at.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VertexStatus {
    /// Its name for programs, of this step only.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The step.
    #[prost(string, tag = "2")]
    pub vertex: String,
    /// Its name for people.
    #[prost(string, tag = "3")]
    pub name: String,
    /// How far it is.
    #[prost(int64, tag = "4")]
    pub current: i64,
    /// How far it goes; 0 is not known.
    #[prost(int64, tag = "5")]
    pub total: i64,
    /// When this was so.
    #[prost(message, optional, tag = "6")]
    pub timestamp: Option<Timestamp>,
    /// When it began.
    #[prost(message, optional, tag = "7")]
    pub started: Option<Timestamp>,
    /// When it was done.
    #[prost(message, optional, tag = "8")]
    pub completed: Option<Timestamp>,
}

/// What a step prints.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VertexLog {
    /// The step.
    #[prost(string, tag = "1")]
    pub vertex: String,
    /// When.
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Timestamp>,
    /// 1 output, 2 errors.
    #[prost(int64, tag = "3")]
    pub stream: i64,
    /// What.
    #[prost(bytes = "vec", tag = "4")]
    pub msg: Vec<u8>,
}

/// What is likely not meant.
#[derive(Clone, PartialEq, Message)]
pub struct VertexWarning {
    /// The step it is about.
    #[prost(string, tag = "1")]
    pub vertex: String,
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

/// Who builds?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListWorkersRequest {
    /// containerd's filters.
    #[prost(string, repeated, tag = "1")]
    pub filter: Vec<String>,
}

/// Those who build.
#[derive(Clone, PartialEq, Message)]
pub struct ListWorkersResponse {
    /// The machine's one.
    #[prost(message, repeated, tag = "1")]
    pub record: Vec<WorkerRecord>,
}

/// Who builds.
#[derive(Clone, PartialEq, Message)]
pub struct WorkerRecord {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What it says of itself.
    #[prost(map = "string, string", tag = "2")]
    pub labels: HashMap<String, String>,
    /// What it builds for.
    #[prost(message, repeated, tag = "3")]
    pub platforms: Vec<pb::Platform>,
    /// What is collected, one rule after the other.
    #[prost(message, repeated, tag = "4")]
    pub gc_policy: Vec<GcPolicy>,
    /// Its version.
    #[prost(message, optional, tag = "5")]
    pub buildkit_version: Option<BuildkitVersion>,
}

/// What of the cache is collected.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GcPolicy {
    /// What is asked for by name, too.
    #[prost(bool, tag = "1")]
    pub all: bool,
    /// Nanoseconds after its last use.
    #[prost(int64, tag = "2")]
    pub keep_duration: i64,
    /// Bytes that are not collected.
    #[prost(int64, tag = "3")]
    pub reserved_space: i64,
    /// What it is about.
    #[prost(string, repeated, tag = "4")]
    pub filters: Vec<String>,
    /// Bytes it may have.
    #[prost(int64, tag = "5")]
    pub max_used_space: i64,
    /// Bytes that others are to find.
    #[prost(int64, tag = "6")]
    pub min_free_space: i64,
}

/// A version.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BuildkitVersion {
    /// Of what.
    #[prost(string, tag = "1")]
    pub package: String,
    /// `v0.25.1`
    #[prost(string, tag = "2")]
    pub version: String,
    /// The commit.
    #[prost(string, tag = "3")]
    pub revision: String,
}

/// Which version?
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct InfoRequest {}

/// The version.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct InfoResponse {
    /// It.
    #[prost(message, optional, tag = "1")]
    pub buildkit_version: Option<BuildkitVersion>,
}

/// What is in the cache?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DiskUsageRequest {
    /// `id=...`, `type==...`
    #[prost(string, repeated, tag = "1")]
    pub filter: Vec<String>,
    /// Nanoseconds since the last use, at least.
    #[prost(int64, tag = "2")]
    pub age_limit: i64,
}

/// What is in the cache.
#[derive(Clone, PartialEq, Message)]
pub struct DiskUsageResponse {
    /// Each of it.
    #[prost(message, repeated, tag = "1")]
    pub record: Vec<UsageRecord>,
}

/// Something in the cache.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UsageRecord {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// It changes.
    #[prost(bool, tag = "2")]
    pub mutable: bool,
    /// Somebody uses it now.
    #[prost(bool, tag = "3")]
    pub in_use: bool,
    /// Bytes.
    #[prost(int64, tag = "4")]
    pub size: i64,
    /// When it was made.
    #[prost(message, optional, tag = "6")]
    pub created_at: Option<Timestamp>,
    /// When it was used last.
    #[prost(message, optional, tag = "7")]
    pub last_used_at: Option<Timestamp>,
    /// How often.
    #[prost(int64, tag = "8")]
    pub usage_count: i64,
    /// What it is, for people.
    #[prost(string, tag = "9")]
    pub description: String,
    /// `regular`, `source.local`, `exec.cachemount`, ...
    #[prost(string, tag = "10")]
    pub record_type: String,
    /// An image has it, too.
    #[prost(bool, tag = "11")]
    pub shared: bool,
    /// What it is built on.
    #[prost(string, repeated, tag = "12")]
    pub parents: Vec<String>,
}

/// Something is to be taken out of the cache.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PruneRequest {
    /// Only what these name.
    #[prost(string, repeated, tag = "1")]
    pub filter: Vec<String>,
    /// What images have, too.
    #[prost(bool, tag = "2")]
    pub all: bool,
    /// Nanoseconds after its last use.
    #[prost(int64, tag = "3")]
    pub keep_duration: i64,
    /// Bytes that stay.
    #[prost(int64, tag = "4")]
    pub reserved_space: i64,
    /// Bytes that may stay.
    #[prost(int64, tag = "5")]
    pub max_used_space: i64,
    /// Bytes that are to be free then.
    #[prost(int64, tag = "6")]
    pub min_free_space: i64,
}

/// Which builds were and are there?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BuildHistoryRequest {
    /// Only those under way.
    #[prost(bool, tag = "1")]
    pub active_only: bool,
    /// Only this one.
    #[prost(string, tag = "2")]
    pub reference: String,
    /// Those of now, and no waiting for others.
    #[prost(bool, tag = "3")]
    pub early_exit: bool,
    /// Only what these name.
    #[prost(string, repeated, tag = "4")]
    pub filter: Vec<String>,
    /// So many.
    #[prost(int32, tag = "5")]
    pub limit: i32,
}

/// What happened to a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum BuildHistoryEventType {
    /// It has begun.
    Started = 0,
    /// It is done.
    Complete = 1,
    /// It is forgotten.
    Deleted = 2,
}

/// Something happened to a build.
#[derive(Clone, PartialEq, Message)]
pub struct BuildHistoryEvent {
    /// What.
    #[prost(enumeration = "BuildHistoryEventType", tag = "1")]
    pub kind: i32,
    /// To which.
    #[prost(message, optional, tag = "2")]
    pub record: Option<BuildHistoryRecord>,
}

/// What is known of a build.
#[derive(Clone, PartialEq, Message)]
pub struct BuildHistoryRecord {
    /// The client's name for it.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// Its frontend.
    #[prost(string, tag = "2")]
    pub frontend: String,
    /// What that was told.
    #[prost(map = "string, string", tag = "3")]
    pub frontend_attrs: HashMap<String, String>,
    /// What became of the result.
    #[prost(message, repeated, tag = "4")]
    pub exporters: Vec<Exporter>,
    /// Why it failed.
    #[prost(message, optional, tag = "5")]
    pub error: Option<Status>,
    /// When it began.
    #[prost(message, optional, tag = "6")]
    pub created_at: Option<Timestamp>,
    /// When it was done.
    #[prost(message, optional, tag = "7")]
    pub completed_at: Option<Timestamp>,
    /// What the client was told.
    #[prost(map = "string, string", tag = "9")]
    pub exporter_response: HashMap<String, String>,
    /// Counts changes of this record.
    #[prost(int32, tag = "12")]
    pub generation: i32,
    /// It is kept.
    #[prost(bool, tag = "14")]
    pub pinned: bool,
    /// Steps that were in the cache.
    #[prost(int32, tag = "15")]
    pub num_cached_steps: i32,
    /// Steps.
    #[prost(int32, tag = "16")]
    pub num_total_steps: i32,
    /// Steps that are done.
    #[prost(int32, tag = "17")]
    pub num_completed_steps: i32,
    /// Warnings.
    #[prost(int32, tag = "19")]
    pub num_warnings: i32,
}

/// Something is to happen to a build's record.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UpdateBuildHistoryRequest {
    /// Which.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// It is kept.
    #[prost(bool, tag = "2")]
    pub pinned: bool,
    /// It is forgotten.
    #[prost(bool, tag = "3")]
    pub delete: bool,
    /// It is complete.
    #[prost(bool, tag = "4")]
    pub finalize: bool,
}

/// It has happened.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UpdateBuildHistoryResponse {}
