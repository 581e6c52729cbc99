//! What daemon and shim say to each other: JSON messages on a SOCK_SEQPACKET unix socket, with
//! descriptors beside them (SCM_RIGHTS). A message over 32 KiB travels as a memfd.
//!
//! ```text
//!   brigd                                   brig-shim DIR
//!     ── spawn, fd 3 = connection ───────────►  may wait here, ready, for a container to come
//!     ◄──────── a network namespace, if it did ─
//!     ── Launch ─────────────────────────────►  listens on DIR/shim.sock too, mounts the root
//!     ── Attach + client's socket ───────────►  the shim serves the client itself from here on
//!     ── Watch + connection ─────────────────►  carries notices
//!     ── Create + compiled filter ───────────►  runtime::create
//!     ◄───────────────── Done, Done, Process ─
//!          (the network fills the namespace, or has filled that one meanwhile)
//!     ── Start ──────────────────────────────►  runtime start
//!     ◄─────────────────────── Reply::Process ─
//!     ◄──────────────────────── Notice::Exited ─  after the exit record is on disk
//! ```
//!
//! Calls of a connection are answered in their order; any number of connections may be open. After
//! `Watch`, if no other came along, a connection carries notices only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use types::{ErrorKind, ExecId, HealthCheck, HealthStatus, Mount, Probed, ProcessRef, Signal};

/// The first message: what the shim keeps alive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// The container's id.
    pub id: String,
    /// The shim's directory, for its socket and its last words.
    pub dir: PathBuf,
    /// The bundle: `config.json` is read from here.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: Vec<Mount>,
    /// Where the exit record goes: replaced atomically, and flushed to disk when nobody watches.
    pub exit_record: PathBuf,
    /// The JSON-lines log; none keeps no log.
    pub log: Option<PathBuf>,
    /// Whether standard input is a pipe kept open; otherwise it is `/dev/null`.
    pub open_stdin: bool,
    /// Whether standard input closes when the first attached client's ends.
    pub stdin_once: bool,
    /// Rows and columns of the terminal, if the configuration asks for one.
    pub console_size: [u16; 2],
    /// Another OCI runtime's binary to drive by its command line; none runs `runtime` in-process.
    pub foreign_runtime: Option<PathBuf>,
    /// The log is put aside as `LOG.1`, and a new one begun, before it grows beyond this many bytes;
    /// zero lets it grow.
    #[serde(default)]
    pub log_max_size: u64,
    /// How many log files are kept, the current one counted; zero and one mean one.
    #[serde(default)]
    pub log_max_files: u32,
    /// Whether log files that were put aside are packed.
    #[serde(default)]
    pub log_compress: bool,
    /// The step that fails on purpose, to prove that nothing is left behind: one of [`STEPS`] or of
    /// the runtime's.
    #[serde(default)]
    pub fail_at: Option<String>,
}

/// The only argument of a shim that waits for its container. Its end is for the container's directory,
/// which takes its place.
pub const SPARE: &str = "spare";

/// The first argument of a shim that looks into a container's network, the words of the look follow it,
/// and ends.
pub const LOOK: &str = "look";

/// The first argument of a shim that packs a log file, its second, and ends.
pub const PACK: &str = "pack";

/// Steps of the shim's own that [`Launch::fail_at`] can name, in their order. The last two belong to
/// the start.
pub const STEPS: [&str; 6] = [
    "shim-listen",
    "shim-config",
    "shim-log",
    "shim-streams",
    "shim-start",
    "shim-started",
];

/// The names of all steps that [`Launch::fail_at`] takes: the shim's own and the runtime's.
pub fn steps() -> Vec<&'static str> {
    STEPS.into_iter().chain(runtime::steps()).collect()
}

/// The socket's name in the shim's directory.
pub const SOCKET: &str = "shim.sock";

/// The file in the shim's directory that says why it ended, when that was not as it should be.
pub const LAST_WORDS: &str = "shim.log";

/// The text is no message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(serde_json::Error);

/// A message as it travels.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    // Every message is a struct or an enum of strings and numbers: nothing that JSON cannot say.
    serde_json::to_vec(message).unwrap_or_default()
}

/// A message as it was meant.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(Malformed)
}

/// A compiled system call filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// How it is installed (`linux/seccomp.h`).
    pub flags: u32,
    /// Its instructions in base64.
    pub program: String,
}

/// What the daemon asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// Make the container; its process waits at the gate.
    Create {
        /// What takes the place of the configuration's filter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<Filter>,
    },
    /// Open the gate.
    Start,
    /// Serve the client whose socket comes along. Allowed before `Start` and while running.
    Attach(AttachOptions),
    /// Run another process. With a client's socket along, it is served as by `Attach`.
    Exec {
        /// Names the session.
        id: ExecId,
        /// The OCI `process` object as JSON text.
        process: String,
        /// What is attached; ignored without a socket.
        attach: AttachOptions,
        /// Rows and columns of the terminal, if the process asks for one.
        console_size: [u16; 2],
    },
    /// Signal the container's first process.
    Kill {
        /// The signal.
        signal: Signal,
    },
    /// Change the terminal's size.
    Resize {
        /// Of this exec session; none means the container.
        exec: Option<ExecId>,
        /// Rows and columns.
        size: [u16; 2],
    },
    /// Change its limits to these, which are all it has.
    Update {
        /// The OCI `linux.resources` object as JSON text.
        resources: String,
    },
    /// Mount one more while it runs.
    Mount {
        /// The OCI `mounts` object as JSON text.
        mount: String,
        /// What is mounted in its place, if that is not said there.
        given: Option<Mount>,
    },
    /// Take away what is mounted last at a path inside.
    Unmount {
        /// The path.
        target: PathBuf,
    },
    /// Look after its health from now on, if nobody does already.
    Health(HealthPlan),
    /// Say how things stand.
    State,
    /// Turn this connection into a stream of notices, or the one that comes along; what already happened is
    /// told first.
    Watch,
    /// Kill and clean up whatever is left, then end.
    Shutdown,
}

/// How a container's health is looked after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthPlan {
    /// What is looked at, and how often.
    pub check: HealthCheck,
    /// The OCI `process` object as JSON text of a command that looks; none looks at the container's
    /// network from outside.
    pub command: Option<String>,
    /// When the run began, in nanoseconds since the Unix epoch.
    pub began: i64,
    /// What is known already.
    pub status: HealthStatus,
}

/// Which streams a client gets, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachOptions {
    /// Which standard streams.
    pub streams: Streams,
    /// Whether output is framed with Docker's 8-byte headers.
    pub framed: bool,
    /// The bytes that detach, Ctrl-P Ctrl-Q by default; empty means none do. Only with a terminal.
    pub detach_keys: Vec<u8>,
    /// What the client had already sent when its socket was handed over.
    pub early: Vec<u8>,
}

/// A choice of standard streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// The process that `Create`, `Start` or `Exec` concerned.
    Process(ProcessRef),
    /// The answer to `State`.
    State(State),
    /// It was not done.
    Failed {
        /// What it is about.
        kind: ErrorKind,
        /// One sentence a layer, joined by colons.
        message: String,
    },
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The container's first process, once created.
    pub process: Option<ProcessRef>,
    /// Whether the gate has been opened.
    pub started: bool,
    /// How it ended, if it has.
    pub exited: Option<ExitRecord>,
    /// Exec sessions known: the exit code of those that have ended.
    pub execs: Vec<(ExecId, Option<i32>)>,
}

/// What happened, unasked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// The container's first process ended; its output is in the log to the last byte, the exit
    /// record is on disk and its cgroup is being removed.
    Exited(ExitRecord),
    /// An exec session ended.
    ExecExited {
        /// Which.
        id: ExecId,
        /// The exit code; 128 + n for death by signal n.
        code: i32,
    },
    /// The container's health was looked at.
    Looked {
        /// What came of it.
        probed: Probed,
        /// How well it is, with all that was seen before.
        status: HealthStatus,
        /// Failures in a row.
        failing: u32,
    },
}

/// How the container ended, as it stands on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The exit code; 128 + n for death by signal n.
    pub code: i32,
    /// The signal that killed it; none if it ended by itself, or its shim is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the out-of-memory killer struck.
    pub oom_killed: bool,
    /// When, in nanoseconds since the Unix epoch.
    pub finished: i64,
}
