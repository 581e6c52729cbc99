//! The operations: sources, commands, changes of files, and sums and differences of them.

use std::collections::BTreeMap;

use serde::Serialize;
use types::Digest;

use super::file::{self, FileAction};
use super::source::Origin;
use super::{Reads, Selection, Slot};
use crate::dockerfile::{Device, Sharing};

/// What a vertex does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Op {
    /// Files from somewhere. No inputs.
    Source(Origin),
    /// A command.
    Exec(Box<Exec>),
    /// Changes without a command.
    File(Vec<FileAction>),
    /// All inputs, each on top of those before it.
    Merge(Vec<Slot>),
    /// What the second has and the first has not, or has otherwise.
    Diff {
        /// The lower.
        lower: Slot,
        /// The upper.
        upper: Slot,
    },
    /// A build in the build.
    Build(Box<Build>),
}

/// A command and its surroundings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exec {
    /// The command.
    pub args: Vec<String>,
    /// `NAME=value`, sorted as they came about.
    pub env: Vec<String>,
    /// Where.
    pub directory: String,
    /// As whom; empty is root.
    pub user: String,
    /// The machine's name inside; empty is the worker's choice.
    pub hostname: String,
    /// Names and their addresses for `/etc/hosts`.
    pub hosts: Vec<(String, String)>,
    /// Limits of processes.
    pub ulimits: Vec<Ulimit>,
    /// The cgroup above.
    pub cgroup_parent: String,
    /// Limits of the command as a whole.
    pub resources: Option<Resources>,
    /// What it reaches.
    pub network: Network,
    /// With every privilege.
    pub insecure: bool,
    /// What it sees; the one at `/` is its root.
    pub mounts: Vec<ExecMount>,
    /// Secrets in variables.
    pub secrets: Vec<SecretEnv>,
    /// Devices by their CDI names.
    pub devices: Vec<Device>,
    /// Proxies; no part of the key of the cache.
    pub proxy: Option<Proxy>,
    /// Exit codes that are success; empty is 0.
    pub success: Vec<i32>,
    /// Directories made to mount on are taken away with those above them.
    pub remove_stubs: bool,
}

/// The network of a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Network {
    /// One like a container's.
    #[default]
    Sandbox,
    /// The host's.
    Host,
    /// Loopback alone.
    None,
}

/// A limit of setrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// `nofile`
    pub name: String,
    /// The limit.
    pub soft: i64,
    /// What it may be raised to.
    pub hard: i64,
}

/// Limits of a cgroup; 0 and empty are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Bytes.
    pub memory: i64,
    /// Bytes with swap.
    pub memory_swap: i64,
    /// Relative weight.
    pub cpu_shares: u64,
    /// Microseconds.
    pub cpu_period: u64,
    /// Microseconds in a period.
    pub cpu_quota: i64,
    /// `0-3`
    pub cpus: String,
    /// `0`
    pub memory_nodes: String,
}

/// Something a command sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExecMount {
    /// Which files; none is an empty file system.
    pub input: Slot,
    /// Only what is below, of the files.
    pub selector: String,
    /// Where.
    pub target: String,
    /// The result it is, if what is written is kept.
    pub output: Option<u32>,
    /// Nothing can be written.
    pub read_only: bool,
    /// What kind it is.
    pub source: MountSource,
    /// Whether contents stand for definitions in the key: none is the worker's choice.
    pub by_content: Option<bool>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MountSource {
    /// The input.
    Files,
    /// A directory that stays; the input is what it begins with.
    Cache(CacheMount),
    /// Memory, of so many bytes; 0 is half of the machine's.
    Memory(i64),
    /// A secret's text as a file.
    Secret(Secret),
    /// An agent's socket.
    Agent(Agent),
}

/// A directory that stays from build to build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheMount {
    /// Its name.
    pub id: String,
    /// Who may use it at a time.
    pub sharing: Sharing,
}

/// A secret as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Its name at the client.
    pub id: String,
    /// The file's owner.
    pub uid: u32,
    /// The file's group.
    pub gid: u32,
    /// The file's mode.
    pub mode: u32,
    /// None is no error.
    pub optional: bool,
}

/// An agent's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agent {
    /// Its name at the client.
    pub id: String,
    /// The socket's owner.
    pub uid: u32,
    /// The socket's group.
    pub gid: u32,
    /// The socket's mode.
    pub mode: u32,
    /// None is no error.
    pub optional: bool,
}

/// A secret in a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretEnv {
    /// Its name at the client.
    pub id: String,
    /// The variable.
    pub name: String,
    /// None is no error.
    pub optional: bool,
}

/// Proxies for a command; empty is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// `HTTP_PROXY`
    pub http: String,
    /// `HTTPS_PROXY`
    pub https: String,
    /// `FTP_PROXY`
    pub ftp: String,
    /// `NO_PROXY`
    pub no: String,
    /// `ALL_PROXY`
    pub all: String,
}

/// A build whose definition is an input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Build {
    /// Who builds: -1 is this worker.
    pub builder: i64,
    /// Named inputs.
    pub inputs: BTreeMap<String, Slot>,
    /// The definition, if it is no input: its digest tells it apart.
    pub definition: Option<Digest>,
    /// Options.
    pub attributes: BTreeMap<String, String>,
}

impl Op {
    /// The operation without what does not change its result.
    pub(super) fn without_circumstances(&self) -> Self {
        let mut op = self.clone();
        match &mut op {
            Self::Exec(exec) => exec.proxy = None,
            Self::Source(Origin::Local(local)) => {
                local.session = None;
                local.shared_key.clear();
            }
            Self::Source(Origin::Layout(layout)) => layout.session.clear(),
            _ => {}
        }
        op
    }

    /// How the result depends on an input.
    pub(super) fn reads(&self, input: usize) -> Reads {
        match self {
            Self::Source(_) => Reads::Nothing,
            Self::Exec(exec) => exec.reads(input),
            Self::File(actions) => file::reads(actions, input),
            Self::Merge(_) | Self::Diff { .. } | Self::Build(_) => Reads::All,
        }
    }
}

impl Exec {
    fn reads(&self, input: usize) -> Reads {
        let mut selections = Vec::new();
        for mount in self.mounts.iter().filter(|m| m.input == Some(input)) {
            let content = mount.by_content.unwrap_or(mount.read_only) && mount.output.is_none();
            if mount.target == "/" || !content || mount.source != MountSource::Files {
                return Reads::All;
            }
            selections.push(Selection {
                path: mount.selector.clone(),
                follow: true,
                ..Selection::default()
            });
        }
        if selections.is_empty() {
            Reads::Nothing
        } else {
            Reads::Files(selections)
        }
    }
}
