//! Containers.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use types::{
    ContainerId, ContainerName, ContainerSpec, Digest, ExitStatus, ImageRef, Lifecycle, Signal,
};

use crate::{Engine, Error};

/// What [`create`] made.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new container.
    pub id: ContainerId,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A container as it is now; what listings and `inspect` are made from.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// Nanoseconds since the Unix epoch.
    pub created: i64,
    /// What was asked for, as it was asked.
    pub spec: ContainerSpec,
    /// What that came to with the image's configuration merged in.
    pub resolved: Resolved,
    /// The image.
    pub image: Digest,
    /// The reference that named it then, if one did.
    pub image_ref: Option<ImageRef>,
    /// What it is doing.
    pub lifecycle: Lifecycle,
    /// How often it was started again by a policy.
    pub restarts: u32,
    /// The log file, if there is one.
    pub log_path: Option<PathBuf>,
    /// Files mounted into it.
    pub files: Files,
    /// Exec sessions that are known.
    pub execs: Vec<types::ExecId>,
}

/// What a container's process comes to: the request over the image's configuration.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Resolved {
    /// The entry point.
    pub entrypoint: Vec<String>,
    /// The command, or the entry point's arguments.
    pub command: Vec<String>,
    /// The environment.
    pub env: Vec<String>,
    /// The working directory.
    pub working_dir: String,
    /// `user[:group]`; empty is root.
    pub user: String,
    /// The host name.
    pub hostname: String,
    /// Labels, the image's among them.
    pub labels: std::collections::BTreeMap<String, String>,
    /// The signal that asks it to stop.
    pub stop_signal: Signal,
    /// Seconds between that and SIGKILL; negative waits for ever.
    pub stop_timeout: i64,
}

/// Files of the host mounted into a container.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `/etc/hostname`
    pub hostname: PathBuf,
    /// `/etc/hosts`
    pub hosts: PathBuf,
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
}

/// What [`wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// That it does not run.
    NotRunning,
    /// The next time it ends.
    NextExit,
    /// That it is gone.
    Removed,
}

/// What an attaching client wants.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Streams, framing and what the client already sent.
    pub options: shim::AttachOptions,
    /// Whether what the log holds comes first.
    pub logs: bool,
    /// Whether what comes from now on follows.
    pub stream: bool,
}

/// Which lines of a log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Whether to wait for more.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Nanoseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Nanoseconds since the Unix epoch.
    pub until: Option<i64>,
    /// This many from the end; none means all.
    pub tail: Option<usize>,
}

/// A piece of a log: a line with its newline, or a part of a long one.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Whether it came on standard error.
    pub stderr: bool,
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A log being read. Dropping it ends the reading.
pub type LogLines = tokio::sync::mpsc::Receiver<Result<Vec<LogLine>, Error>>;

/// The processes of a container as ps(1) shows them.
#[derive(Debug, Clone)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// A row a process.
    pub processes: Vec<Vec<String>>,
}

/// Makes a container. Blocking.
pub fn create(
    _engine: &Engine,
    _name: Option<ContainerName>,
    _spec: ContainerSpec,
) -> Result<Created, Error> {
    todo!()
}

/// Starts a container named by id, prefix or name. `NotModified` when it runs. Blocking.
pub fn start(_engine: &Engine, _who: &str) -> Result<(), Error> {
    todo!()
}

/// All containers, the newest first. Reads memory only.
pub fn list(_engine: &Engine) -> Vec<View> {
    todo!()
}

/// One container. Reads memory only.
pub fn inspect(_engine: &Engine, _who: &str) -> Result<View, Error> {
    todo!()
}

/// Bytes in the writable layer. Blocking.
pub fn size(_engine: &Engine, _who: &str) -> Result<u64, Error> {
    todo!()
}

/// Asks it to stop, kills it after the timeout. `NotModified` when it does not run.
pub async fn stop(
    _engine: &Engine,
    _who: &str,
    _signal: Option<Signal>,
    _timeout: Option<i64>,
) -> Result<(), Error> {
    todo!()
}

/// Stops it if it runs, and starts it.
pub async fn restart(
    _engine: &Engine,
    _who: &str,
    _signal: Option<Signal>,
    _timeout: Option<i64>,
) -> Result<(), Error> {
    todo!()
}

/// Sends a signal. `Conflict` when it does not run.
pub async fn kill(_engine: &Engine, _who: &str, _signal: Option<Signal>) -> Result<(), Error> {
    todo!()
}

/// Removes it; `force` kills it first. Returns when its name is free again.
pub async fn remove(_engine: &Engine, _who: &str, _force: bool) -> Result<(), Error> {
    todo!()
}

/// Resolves who is meant at once; the future ends when it has come about.
pub fn wait(
    _engine: &Engine,
    _who: &str,
    _condition: WaitFor,
) -> Result<impl Future<Output = Result<ExitStatus, Error>> + Send + use<>, Error> {
    Ok(async { todo!() })
}

/// Hands a client's connection to the container's shim, or keeps it until the container is started.
pub async fn attach(
    _engine: &Engine,
    _who: &str,
    _attach: Attach,
    _client: UnixStream,
) -> Result<(), Error> {
    todo!()
}

/// Checks, before the connection is upgraded, that `attach` would work.
pub fn check_attach(_engine: &Engine, _who: &str) -> Result<View, Error> {
    todo!()
}

/// Changes the terminal's size, rows and columns. Blocking.
pub fn resize(_engine: &Engine, _who: &str, _size: [u16; 2]) -> Result<(), Error> {
    todo!()
}

/// Reads the log.
pub fn logs(_engine: &Engine, _who: &str, _query: LogQuery) -> Result<LogLines, Error> {
    todo!()
}

/// The processes inside, by the host's ps(1) with `args` (`-ef` if empty). Blocking.
pub fn top(_engine: &Engine, _who: &str, _args: &str) -> Result<Top, Error> {
    todo!()
}
