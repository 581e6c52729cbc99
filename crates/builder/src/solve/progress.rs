//! What is told while a build goes on: BuildKit's words, for every door draws from them.

use types::Digest;

use crate::check::Finding;
use crate::source::Span;

/// Nanoseconds since the Unix epoch.
pub type Time = i64;

/// A vertex, told again whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexState {
    /// Which: [`crate::graph::Vertex::digest`], or of a name for what is no operation.
    pub digest: Digest,
    /// `[stage 1/2] RUN make`
    pub name: String,
    /// What it is built on.
    pub inputs: Vec<Digest>,
    /// It came from the cache.
    pub cached: bool,
    /// When it began.
    pub started: Option<Time>,
    /// When it ended.
    pub completed: Option<Time>,
    /// Why it failed; of one that was cancelled `context canceled`.
    pub error: Option<String>,
    /// The lines of the Dockerfile it is for.
    pub spans: Vec<Span>,
    /// Vertices with the same group are shown as one.
    pub group: Option<String>,
}

/// Something countable in a vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which: `extracting sha256:...`
    pub id: String,
    /// Whose.
    pub vertex: Digest,
    /// So far.
    pub current: u64,
    /// In all, 0 when nobody knows.
    pub total: u64,
    /// When it began.
    pub started: Option<Time>,
    /// When it ended.
    pub completed: Option<Time>,
}

/// One thing to tell.
#[derive(Debug, Clone)]
pub enum Event {
    /// A vertex has changed.
    Vertex(VertexState),
    /// Something countable has.
    Status(Status),
    /// A command has written.
    Log {
        /// Which.
        vertex: Digest,
        /// 1 is standard output, 2 standard error.
        stream: u8,
        /// When.
        at: Time,
        /// What.
        bytes: Vec<u8>,
    },
    /// A check has found something.
    Warning(Finding),
}

/// Who is told. Called from several threads at once.
pub trait Progress: Send + Sync {
    /// Takes one event; may block, and then holds up the work.
    fn tell(&self, event: Event);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn tell(&self, _: Event) {}
}
