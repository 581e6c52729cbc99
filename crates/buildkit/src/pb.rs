//! LLB's messages as they are on the wire (package `pb` of BuildKit's `solver/pb/ops.proto`): numbers and
//! names of fields are facts of that protocol. Numbers that stand for nothing are `-1`, as there.

use std::collections::HashMap;

use prost::{Enumeration, Message, Oneof};

/// A graph: operations, each encoded by itself so that it has a digest.
#[derive(Clone, PartialEq, Message)]
pub struct Definition {
    /// Encoded [`Op`]s; the last one says which result is meant.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub def: Vec<Vec<u8>>,
    /// What is said about operations, by digest.
    #[prost(map = "string, message", tag = "2")]
    pub metadata: HashMap<String, OpMetadata>,
    /// Where operations come from.
    #[prost(message, optional, tag = "3")]
    pub source: Option<Source>,
}

/// An operation.
#[derive(Clone, PartialEq, Message)]
pub struct Op {
    /// Results it works on.
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<Input>,
    /// What it does; none at the end of a definition.
    #[prost(oneof = "op::Op", tags = "2, 3, 4, 5, 6, 7")]
    pub op: Option<op::Op>,
    /// For which platform.
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
    /// Who may do it.
    #[prost(message, optional, tag = "11")]
    pub constraints: Option<WorkerConstraints>,
}

/// The kinds of [`Op`].
pub mod op {
    use super::{BuildOp, DiffOp, ExecOp, FileOp, MergeOp, Oneof, SourceOp};

    /// One of them.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Op {
        /// A command.
        #[prost(message, tag = "2")]
        Exec(ExecOp),
        /// Files from somewhere.
        #[prost(message, tag = "3")]
        Source(SourceOp),
        /// Changes without a command.
        #[prost(message, tag = "4")]
        File(FileOp),
        /// A build in the build.
        #[prost(message, tag = "5")]
        Build(BuildOp),
        /// One on top of the other.
        #[prost(message, tag = "6")]
        Merge(MergeOp),
        /// What one has and the other has not.
        #[prost(message, tag = "7")]
        Diff(DiffOp),
    }
}

/// A platform.
#[derive(Clone, PartialEq, Message)]
pub struct Platform {
    /// `amd64`
    #[prost(string, tag = "1")]
    pub architecture: String,
    /// `linux`
    #[prost(string, tag = "2")]
    pub os: String,
    /// `v7`
    #[prost(string, tag = "3")]
    pub variant: String,
    /// Windows' version.
    #[prost(string, tag = "4")]
    pub os_version: String,
    /// Windows' features.
    #[prost(string, repeated, tag = "5")]
    pub os_features: Vec<String>,
}

/// A result of another operation.
#[derive(Clone, PartialEq, Message)]
pub struct Input {
    /// That operation's digest.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Which of its results.
    #[prost(int64, tag = "2")]
    pub index: i64,
}

/// Who may do an operation.
#[derive(Clone, PartialEq, Message)]
pub struct WorkerConstraints {
    /// containerd's filters.
    #[prost(string, repeated, tag = "1")]
    pub filter: Vec<String>,
}

/// A command.
#[derive(Clone, PartialEq, Message)]
pub struct ExecOp {
    /// What is executed.
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    /// What it sees.
    #[prost(message, repeated, tag = "2")]
    pub mounts: Vec<Mount>,
    /// 0 sandbox, 1 host, 2 none.
    #[prost(int32, tag = "3")]
    pub network: i32,
    /// 0 sandbox, 1 insecure.
    #[prost(int32, tag = "4")]
    pub security: i32,
    /// Secrets in variables.
    #[prost(message, repeated, tag = "5")]
    pub secretenv: Vec<SecretEnv>,
    /// Devices.
    #[prost(message, repeated, tag = "6")]
    pub cdi_devices: Vec<CdiDevice>,
}

/// What is executed.
#[derive(Clone, PartialEq, Message)]
pub struct Meta {
    /// The command.
    #[prost(string, repeated, tag = "1")]
    pub args: Vec<String>,
    /// `NAME=value`
    #[prost(string, repeated, tag = "2")]
    pub env: Vec<String>,
    /// Where.
    #[prost(string, tag = "3")]
    pub cwd: String,
    /// As whom.
    #[prost(string, tag = "4")]
    pub user: String,
    /// Proxies.
    #[prost(message, optional, tag = "5")]
    pub proxy_env: Option<ProxyEnv>,
    /// For `/etc/hosts`.
    #[prost(message, repeated, tag = "6")]
    pub extra_hosts: Vec<HostIp>,
    /// The machine's name.
    #[prost(string, tag = "7")]
    pub hostname: String,
    /// Limits.
    #[prost(message, repeated, tag = "9")]
    pub ulimit: Vec<Ulimit>,
    /// The cgroup above.
    #[prost(string, tag = "10")]
    pub cgroup_parent: String,
    /// Directories made to mount on are taken away.
    #[prost(bool, tag = "11")]
    pub remove_mount_stubs_recursive: bool,
    /// Exit codes that are success.
    #[prost(int32, repeated, tag = "12")]
    pub valid_exit_codes: Vec<i32>,
}

/// A name and its address.
#[derive(Clone, PartialEq, Message)]
pub struct HostIp {
    /// The name.
    #[prost(string, tag = "1")]
    pub host: String,
    /// The address.
    #[prost(string, tag = "2")]
    pub ip: String,
}

/// A limit.
#[derive(Clone, PartialEq, Message)]
pub struct Ulimit {
    /// `nofile`
    #[prost(string, tag = "1")]
    pub name: String,
    /// The limit.
    #[prost(int64, tag = "2")]
    pub soft: i64,
    /// What it may be raised to.
    #[prost(int64, tag = "3")]
    pub hard: i64,
}

/// Proxies.
#[derive(Clone, PartialEq, Message)]
pub struct ProxyEnv {
    /// `HTTP_PROXY`
    #[prost(string, tag = "1")]
    pub http_proxy: String,
    /// `HTTPS_PROXY`
    #[prost(string, tag = "2")]
    pub https_proxy: String,
    /// `FTP_PROXY`
    #[prost(string, tag = "3")]
    pub ftp_proxy: String,
    /// `NO_PROXY`
    #[prost(string, tag = "4")]
    pub no_proxy: String,
    /// `ALL_PROXY`
    #[prost(string, tag = "5")]
    pub all_proxy: String,
}

/// A secret in a variable.
#[derive(Clone, PartialEq, Message)]
pub struct SecretEnv {
    /// Its name at the client.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The variable.
    #[prost(string, tag = "2")]
    pub name: String,
    /// None is no error.
    #[prost(bool, tag = "3")]
    pub optional: bool,
}

/// A device.
#[derive(Clone, PartialEq, Message)]
pub struct CdiDevice {
    /// `vendor.com/class=name`
    #[prost(string, tag = "1")]
    pub name: String,
    /// None is no error.
    #[prost(bool, tag = "2")]
    pub optional: bool,
}

/// Something a command sees.
#[derive(Clone, PartialEq, Message)]
pub struct Mount {
    /// Which input.
    #[prost(int64, tag = "1")]
    pub input: i64,
    /// Only what is below.
    #[prost(string, tag = "2")]
    pub selector: String,
    /// Where.
    #[prost(string, tag = "3")]
    pub dest: String,
    /// Which result it is.
    #[prost(int64, tag = "4")]
    pub output: i64,
    /// Nothing can be written.
    #[prost(bool, tag = "5")]
    pub readonly: bool,
    /// What kind it is.
    #[prost(enumeration = "MountType", tag = "6")]
    pub mount_type: i32,
    /// Of memory.
    #[prost(message, optional, tag = "19")]
    pub tmpfs_opt: Option<TmpfsOpt>,
    /// Of a cache.
    #[prost(message, optional, tag = "20")]
    pub cache_opt: Option<CacheOpt>,
    /// Of a secret.
    #[prost(message, optional, tag = "21")]
    pub secret_opt: Option<FileOpt>,
    /// Of an agent.
    #[prost(message, optional, tag = "22")]
    pub ssh_opt: Option<FileOpt>,
    /// A result by name, of a gateway's containers.
    #[prost(string, tag = "23")]
    pub result_id: String,
    /// 0 default, 1 on, 2 off: whether contents stand for definitions.
    #[prost(int32, tag = "24")]
    pub content_cache: i32,
}

/// The kinds of mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum MountType {
    /// Files.
    Bind = 0,
    /// A secret.
    Secret = 1,
    /// An agent.
    Ssh = 2,
    /// A directory that stays.
    Cache = 3,
    /// Memory.
    Tmpfs = 4,
}

/// Of memory.
#[derive(Clone, PartialEq, Message)]
pub struct TmpfsOpt {
    /// Bytes.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// Of a cache.
#[derive(Clone, PartialEq, Message)]
pub struct CacheOpt {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 0 shared, 1 private, 2 locked.
    #[prost(int32, tag = "2")]
    pub sharing: i32,
}

/// Of a secret or an agent: the same fields in both.
#[derive(Clone, PartialEq, Message)]
pub struct FileOpt {
    /// Its name at the client.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The owner.
    #[prost(uint32, tag = "2")]
    pub uid: u32,
    /// The group.
    #[prost(uint32, tag = "3")]
    pub gid: u32,
    /// The mode.
    #[prost(uint32, tag = "4")]
    pub mode: u32,
    /// None is no error.
    #[prost(bool, tag = "5")]
    pub optional: bool,
}

/// Files from somewhere.
#[derive(Clone, PartialEq, Message)]
pub struct SourceOp {
    /// `docker-image://...`
    #[prost(string, tag = "1")]
    pub identifier: String,
    /// Options of its kind.
    #[prost(map = "string, string", tag = "2")]
    pub attrs: HashMap<String, String>,
}

/// A build in the build.
#[derive(Clone, PartialEq, Message)]
pub struct BuildOp {
    /// Who builds; -1 is this worker.
    #[prost(int64, tag = "1")]
    pub builder: i64,
    /// Named inputs.
    #[prost(map = "string, message", tag = "2")]
    pub inputs: HashMap<String, Slot>,
    /// What is built.
    #[prost(message, optional, tag = "3")]
    pub def: Option<Definition>,
    /// Options.
    #[prost(map = "string, string", tag = "4")]
    pub attrs: HashMap<String, String>,
}

/// An input by its place: the inputs of builds, merges and differences.
#[derive(Clone, PartialEq, Message)]
pub struct Slot {
    /// The place.
    #[prost(int64, tag = "1")]
    pub input: i64,
}

/// One on top of the other.
#[derive(Clone, PartialEq, Message)]
pub struct MergeOp {
    /// Which, lowest first.
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<Slot>,
}

/// What one has and the other has not.
#[derive(Clone, PartialEq, Message)]
pub struct DiffOp {
    /// The lower.
    #[prost(message, optional, tag = "1")]
    pub lower: Option<Slot>,
    /// The upper.
    #[prost(message, optional, tag = "2")]
    pub upper: Option<Slot>,
}

/// What is said about an operation.
#[derive(Clone, PartialEq, Message)]
pub struct OpMetadata {
    /// It is done, whatever the cache holds.
    #[prost(bool, tag = "1")]
    pub ignore_cache: bool,
    /// Texts of the client's.
    #[prost(map = "string, string", tag = "2")]
    pub description: HashMap<String, String>,
    /// What it is shown with.
    #[prost(message, optional, tag = "6")]
    pub progress_group: Option<ProgressGroup>,
}

/// Operations that are shown as one.
#[derive(Clone, PartialEq, Message)]
pub struct ProgressGroup {
    /// The same for all of them.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What is shown.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Alone it is not shown as a group.
    #[prost(bool, tag = "3")]
    pub weak: bool,
}

/// Where operations come from.
#[derive(Clone, PartialEq, Message)]
pub struct Source {
    /// Places, by digest.
    #[prost(map = "string, message", tag = "1")]
    pub locations: HashMap<String, Locations>,
    /// Files.
    #[prost(message, repeated, tag = "2")]
    pub infos: Vec<SourceInfo>,
}

/// Places.
#[derive(Clone, PartialEq, Message)]
pub struct Locations {
    /// Each in one file.
    #[prost(message, repeated, tag = "1")]
    pub locations: Vec<Location>,
}

/// A file.
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

/// Places in one file.
#[derive(Clone, PartialEq, Message)]
pub struct Location {
    /// Which file.
    #[prost(int32, tag = "1")]
    pub source_index: i32,
    /// Where in it.
    #[prost(message, repeated, tag = "2")]
    pub ranges: Vec<Range>,
}

/// From here to there.
#[derive(Clone, PartialEq, Message)]
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

/// Changes without a command.
#[derive(Clone, PartialEq, Message)]
pub struct FileOp {
    /// One after the other.
    #[prost(message, repeated, tag = "2")]
    pub actions: Vec<FileAction>,
}

/// One change.
#[derive(Clone, PartialEq, Message)]
pub struct FileAction {
    /// What is changed: an input, or behind those an action.
    #[prost(int64, tag = "1")]
    pub input: i64,
    /// What is copied from.
    #[prost(int64, tag = "2")]
    pub secondary_input: i64,
    /// Which result it is.
    #[prost(int64, tag = "3")]
    pub output: i64,
    /// How.
    #[prost(oneof = "file_action::Action", tags = "4, 5, 6, 7, 8")]
    pub action: Option<file_action::Action>,
}

/// The kinds of [`FileAction`].
pub mod file_action {
    use super::{Copy, MkDir, MkFile, Oneof, Rm, Symlink};

    /// One of them.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Action {
        /// Copies.
        #[prost(message, tag = "4")]
        Copy(Copy),
        /// Makes a file.
        #[prost(message, tag = "5")]
        Mkfile(MkFile),
        /// Makes a directory.
        #[prost(message, tag = "6")]
        Mkdir(MkDir),
        /// Removes.
        #[prost(message, tag = "7")]
        Rm(Rm),
        /// Makes a link.
        #[prost(message, tag = "8")]
        Symlink(Symlink),
    }
}

/// A copy.
#[derive(Clone, PartialEq, Message)]
pub struct Copy {
    /// From where.
    #[prost(string, tag = "1")]
    pub src: String,
    /// Where to.
    #[prost(string, tag = "2")]
    pub dest: String,
    /// The new owner.
    #[prost(message, optional, tag = "3")]
    pub owner: Option<ChownOpt>,
    /// The new mode.
    #[prost(int32, tag = "4")]
    pub mode: i32,
    /// Links are followed.
    #[prost(bool, tag = "5")]
    pub follow_symlink: bool,
    /// Of a directory, what is in it.
    #[prost(bool, tag = "6")]
    pub dir_copy_contents: bool,
    /// Archives are unpacked.
    #[prost(bool, tag = "7")]
    pub attempt_unpack: bool,
    /// Directories above the target are made.
    #[prost(bool, tag = "8")]
    pub create_dest_path: bool,
    /// The source is a pattern.
    #[prost(bool, tag = "9")]
    pub allow_wildcard: bool,
    /// A pattern may find nothing.
    #[prost(bool, tag = "10")]
    pub allow_empty_wildcard: bool,
    /// The new time.
    #[prost(int64, tag = "11")]
    pub timestamp: i64,
    /// Only these.
    #[prost(string, repeated, tag = "12")]
    pub include_patterns: Vec<String>,
    /// Not these.
    #[prost(string, repeated, tag = "13")]
    pub exclude_patterns: Vec<String>,
    /// What is in the way is replaced.
    #[prost(bool, tag = "14")]
    pub always_replace: bool,
    /// The new mode in words.
    #[prost(string, tag = "15")]
    pub mode_str: String,
    /// What must be there.
    #[prost(string, repeated, tag = "16")]
    pub required_paths: Vec<String>,
}

/// A new file.
#[derive(Clone, PartialEq, Message)]
pub struct MkFile {
    /// Its path.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Its mode.
    #[prost(int32, tag = "2")]
    pub mode: i32,
    /// What is in it.
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
    /// Its owner.
    #[prost(message, optional, tag = "4")]
    pub owner: Option<ChownOpt>,
    /// Its time.
    #[prost(int64, tag = "5")]
    pub timestamp: i64,
}

/// A new directory.
#[derive(Clone, PartialEq, Message)]
pub struct MkDir {
    /// Its path.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Its mode.
    #[prost(int32, tag = "2")]
    pub mode: i32,
    /// Those above are made too.
    #[prost(bool, tag = "3")]
    pub make_parents: bool,
    /// Its owner.
    #[prost(message, optional, tag = "4")]
    pub owner: Option<ChownOpt>,
    /// Its time.
    #[prost(int64, tag = "5")]
    pub timestamp: i64,
}

/// What is removed.
#[derive(Clone, PartialEq, Message)]
pub struct Rm {
    /// Its path.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Nothing there is no error.
    #[prost(bool, tag = "2")]
    pub allow_not_found: bool,
    /// The path is a pattern.
    #[prost(bool, tag = "3")]
    pub allow_wildcard: bool,
}

/// A new link.
#[derive(Clone, PartialEq, Message)]
pub struct Symlink {
    /// What it says.
    #[prost(string, tag = "1")]
    pub oldpath: String,
    /// Its path.
    #[prost(string, tag = "2")]
    pub newpath: String,
    /// Its owner.
    #[prost(message, optional, tag = "3")]
    pub owner: Option<ChownOpt>,
    /// Its time.
    #[prost(int64, tag = "4")]
    pub timestamp: i64,
}

/// A new owner.
#[derive(Clone, PartialEq, Message)]
pub struct ChownOpt {
    /// The user.
    #[prost(message, optional, tag = "1")]
    pub user: Option<UserOpt>,
    /// The group.
    #[prost(message, optional, tag = "2")]
    pub group: Option<UserOpt>,
}

/// A user or group.
#[derive(Clone, PartialEq, Message)]
pub struct UserOpt {
    /// Which.
    #[prost(oneof = "user_opt::User", tags = "1, 2")]
    pub user: Option<user_opt::User>,
}

/// The kinds of [`UserOpt`].
pub mod user_opt {
    use super::{NamedUserOpt, Oneof};

    /// One of them.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum User {
        /// By name.
        #[prost(message, tag = "1")]
        ByName(NamedUserOpt),
        /// By number.
        #[prost(uint32, tag = "2")]
        ById(u32),
    }
}

/// A user by name.
#[derive(Clone, PartialEq, Message)]
pub struct NamedUserOpt {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Whose `/etc/passwd`.
    #[prost(int64, tag = "2")]
    pub input: i64,
}
