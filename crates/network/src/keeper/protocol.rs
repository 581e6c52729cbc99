//! What daemon and keeper say to each other: JSON messages on a SOCK_SEQPACKET unix socket, with
//! descriptors beside them (SCM_RIGHTS), as between daemon and shim.
//!
//! ```text
//!   brigd                                    brig-net DIR
//!     ── spawn ──────────────────────────────►  locks DIR/net.lock, resumes from DIR/net.state,
//!                                               or takes over from the one that has the lock
//!     ── connect to DIR/net.sock ────────────►
//!     ── Hello ──────────────────────────────►
//!     ◄──────────────────────── Reply::Hello ─
//!     ── Apply [reserve, network, view] + fds►  all of it, or nothing
//!     ◄────────────────────── Reply::Applied ─
//! ```
//!
//! Every connection carries one call at a time and its reply; any number of connections may be open.
//! Calls are answered in the order in which they come.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use types::ErrorKind;

use super::model::{Change, Model};

/// The version of this protocol: who speaks another one is replaced, see [`Call::HandOver`].
pub const VERSION: u32 = 1;

/// The socket's name in the keeper's directory.
pub const SOCKET: &str = "net.sock";

/// The lock that a keeper holds while it lives.
pub const LOCK: &str = "net.lock";

/// What the keeper was told, from which a new one resumes.
pub const STATE: &str = "net.state";

/// What went wrong when nobody listened, one line each.
pub const LOG: &str = "net.log";

/// What the daemon asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// Say who you are.
    Hello,
    /// Make these changes, in this order: all, or none if one cannot be made. Each may be said
    /// again without harm. The descriptors that come along are those of the [`Change::View`]s, in
    /// their order.
    Apply {
        /// What changes.
        changes: Vec<Change>,
    },
    /// Keep exactly what is in this model, and forget everything else. Views whose sockets are
    /// held stay; of others, sockets are made anew in the namespace of their process.
    Replace {
        /// All there is.
        model: Box<Model>,
    },
    /// Say what is kept.
    Model,
    /// Say how things stand.
    Status,
    /// Give everything to a new keeper: the model first, then one reply for every few descriptors,
    /// then [`Reply::Done`]. Connections that are being proxied end with this process, which ends
    /// when the last of them has.
    HandOver,
    /// End, if nothing is kept any more; otherwise it is [`ErrorKind::Conflict`].
    End,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// The answer to `Hello`.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The build: one that differs is replaced by who prefers its own.
        build: String,
    },
    /// The answer to `Apply`.
    Applied {
        /// The port of each [`Change::Reserve`], in their order.
        ports: Vec<u16>,
    },
    /// The answer to `Model`, and the first to `HandOver`.
    Model {
        /// All there is.
        model: Box<Model>,
    },
    /// Descriptors that are handed over.
    Sockets {
        /// What each of them is.
        sockets: Vec<Socket>,
    },
    /// The answer to `Status`.
    Status(Status),
    /// It was not done.
    Failed {
        /// What it is about.
        kind: ErrorKind,
        /// One sentence a layer, joined by colons.
        message: String,
    },
}

/// What a descriptor is that is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "socket", rename_all = "kebab-case")]
pub enum Socket {
    /// A view's socket for datagrams, inside its namespace.
    Datagrams {
        /// Whose.
        view: String,
    },
    /// A view's listener for streams, inside its namespace.
    Streams {
        /// Whose.
        view: String,
    },
    /// A reserved port of a host's address.
    Port {
        /// Who has reserved it.
        owner: String,
        /// Which of its reservations.
        number: usize,
        /// Which of the reservation's addresses.
        listen: usize,
    },
}

/// How things stand, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Containers whose questions are answered.
    pub views: usize,
    /// Reserved ports.
    pub ports: usize,
    /// Connections that are being proxied.
    pub connections: usize,
    /// Questions answered from names, from the cache, and by asking.
    pub answered: [u64; 3],
    /// Questions that wait for an upstream.
    pub waiting: usize,
    /// How many times the table was put back after somebody else had changed it.
    pub restored: u64,
    /// The upstreams of containers that have none of their own.
    pub upstreams: Vec<String>,
}

/// Which file a program is, so that one that has been installed since is told from one that runs;
/// empty if there is none.
pub fn build_of(program: &Path) -> String {
    let status = std::fs::metadata(program);
    status.map_or(String::new(), |s| {
        format!("{}:{}:{}:{}", s.dev(), s.ino(), s.size(), s.mtime_nsec())
    })
}
