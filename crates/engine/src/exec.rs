//! Exec sessions.

use std::os::unix::net::UnixStream;

use types::{ContainerId, ExecId, ProcessRef};

use crate::{Engine, Error};

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// None means the container's.
    pub working_dir: Option<String>,
    /// None means the container's.
    pub user: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it gets all privileges.
    pub privileged: bool,
    /// Which streams are attached: stdin, stdout, stderr.
    pub attach: [bool; 3],
    /// The bytes that detach; none means Ctrl-P Ctrl-Q.
    pub detach_keys: Option<Vec<u8>>,
}

/// A session as it is now.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: ExecId,
    /// The container.
    pub container: ContainerId,
    /// What was asked for.
    pub request: Request,
    /// What it came to.
    pub state: State,
}

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not started.
    Created,
    /// Its process runs.
    Running(ProcessRef),
    /// It ended, or could not be started: 126 or 127 then.
    Exited(i32),
}

/// Makes a session. `Conflict` when the container does not run.
pub fn create(_engine: &Engine, _who: &str, _request: Request) -> Result<ExecId, Error> {
    todo!()
}

/// Starts it; with a client's connection and what it already sent, the shim serves it. Blocking.
pub fn start(
    _engine: &Engine,
    _id: &str,
    _console_size: [u16; 2],
    _client: Option<(UnixStream, Vec<u8>)>,
) -> Result<(), Error> {
    todo!()
}

/// Changes the terminal's size, rows and columns. Blocking.
pub fn resize(_engine: &Engine, _id: &str, _size: [u16; 2]) -> Result<(), Error> {
    todo!()
}

/// How it stands; asks the shim when memory says it runs. Blocking.
pub fn inspect(_engine: &Engine, _id: &str) -> Result<View, Error> {
    todo!()
}
