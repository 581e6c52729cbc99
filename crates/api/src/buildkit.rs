//! BuildKit's messages as a client of the daemon writes and reads them. The daemon has its own of the other
//! side; names and numbers of fields are the protocol's, and each side leaves out what it does not use.

use std::collections::{BTreeMap, HashMap};

use prost::{Enumeration, Message};

/// The build service's methods.
pub mod control {
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
}

/// What a client answers on its session.
pub mod session {
    /// The files of a directory: `dir-name` in the headers says which.
    pub const FILE_SYNC: &str = "/moby.filesync.v1.FileSync/DiffCopy";
    /// Takes an output.
    pub const FILE_SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
    /// A user and password for a registry.
    pub const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
    /// A secret.
    pub const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
    /// Is there an agent?
    pub const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
    /// A connection to the agent.
    pub const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
    /// An archive that the client has on its standard input.
    pub const PULL_UPLOAD: &str = "/moby.upload.v1.Upload/Pull";
    /// Is it well?
    pub const HEALTH: &str = "/grpc.health.v1.Health/Check";
}

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

impl Timestamp {
    /// Nanoseconds since 1970.
    pub fn as_nanos(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }
}

/// Bytes of a stream.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BytesMessage {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

/// A build.
#[derive(Clone, PartialEq, Message)]
pub struct SolveRequest {
    /// The client's name for it.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// The session that has the client's files.
    #[prost(string, tag = "5")]
    pub session: String,
    /// `dockerfile.v0`
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
    pub info: Option<SourceInfo>,
    /// Where in it.
    #[prost(message, repeated, tag = "7")]
    pub ranges: Vec<Range>,
}

/// A file whose lines are shown.
#[derive(Clone, PartialEq, Message)]
pub struct SourceInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub filename: String,
    /// Its text.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    /// `Dockerfile`
    #[prost(string, tag = "4")]
    pub language: String,
}

/// From here to there.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Range {
    /// Here.
    #[prost(message, optional, tag = "1")]
    pub start: Option<Position>,
    /// There.
    #[prost(message, optional, tag = "2")]
    pub end: Option<Position>,
}

/// A place.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Position {
    /// From 1.
    #[prost(int32, tag = "1")]
    pub line: i32,
    /// From 0.
    #[prost(int32, tag = "2")]
    pub character: i32,
}

/// For which registry?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CredentialsRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub host: String,
}

/// A user and a password; with no user the secret is a token that identifies.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CredentialsResponse {
    /// Who.
    #[prost(string, tag = "1")]
    pub username: String,
    /// The password.
    #[prost(string, tag = "2")]
    pub secret: String,
}

/// Which secret?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetSecretRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// A secret.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetSecretResponse {
    /// It.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

/// Is there this agent?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CheckAgentRequest {
    /// Its name; `default` is the usual.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// There is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CheckAgentResponse {}

/// Is it well?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HealthCheckRequest {
    /// Which service.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// 1 is well.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct HealthCheckResponse {
    /// The number.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// Something of a file sync, either way (`fsutil.types`).
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

/// `google.rpc.Status`: an error with details.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RpcStatus {
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

/// What is in the cache?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DiskUsageRequest {
    /// `id=...`, `type==...`
    #[prost(string, repeated, tag = "1")]
    pub filter: Vec<String>,
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

/// Who builds?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListWorkersRequest {}

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
    pub platforms: Vec<WirePlatform>,
    /// Its version.
    #[prost(message, optional, tag = "5")]
    pub buildkit_version: Option<BuildkitVersion>,
}

/// What is built for.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WirePlatform {
    /// `amd64`
    #[prost(string, tag = "1")]
    pub architecture: String,
    /// `linux`
    #[prost(string, tag = "2")]
    pub os: String,
    /// `v7`
    #[prost(string, tag = "3")]
    pub variant: String,
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
