//! Finding the daemon, and starting it when there is none.
//!
//! [`contexts`] says which one is meant. A daemon is started only where the client knows that it would listen
//! on the very socket that was asked for.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use api::client::{Client, Endpoint, InvalidEndpoint, Place};
use sys::spawn::{Child, Spawn};

use crate::args::Globals;
use crate::contexts::{self, Chosen, Material};
use crate::error::{CliError, plain};
use crate::{dial, print, tls};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///run/brig/brig.sock";
/// Where a daemon is looked for when it is to speak TLS and nobody says where it is, as Docker's client does.
pub(crate) const DEFAULT_TLS_HOST: &str = "tcp://localhost:2376";
/// The port of daemons on TCP, unless told otherwise.
const PLAIN_PORT: &str = "2375";
const SOCKET: &str = "brig.sock";
/// How long a daemon may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long somebody else's daemon may take after ours gave way to it.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(2);

/// A daemon to talk to, and what may be done if it is not there.
#[derive(Debug)]
pub struct Daemon {
    /// Speaks with it.
    pub client: Client,
    /// The socket, if it is one.
    socket: Option<PathBuf>,
    /// The host as people write it.
    host: String,
    /// Whether to say that a daemon was started.
    notices: bool,
}

impl Daemon {
    /// The daemon that flags and environment name. Nothing is sent yet.
    pub fn find(globals: &Globals) -> Result<Self, CliError> {
        let Chosen { host, tls, .. } = contexts::chosen(globals, &variable)?;
        let endpoint = endpoint(&host, tls.as_ref())?;
        let socket = match &endpoint {
            Place::Endpoint(Endpoint::Unix(path)) => Some(path.clone()),
            Place::Endpoint(Endpoint::Tcp(_)) | Place::Dialed(_) => None,
        };
        let mut client = Client::new(endpoint);
        if let Some(version) = variable("DOCKER_API_VERSION") {
            let parsed = version.trim_start_matches('v').parse();
            client = client.pin(parsed.map_err(|_| {
                CliError::Invalid(format!(
                    "DOCKER_API_VERSION={version} is no version: one as 1.51 is expected"
                ))
            })?);
        }
        if globals.tells_requests() {
            client = client.observed(|line| print::complain(&format!("brig: {line}")));
        }
        Ok(Self {
            client,
            socket,
            host,
            notices: globals.tells_notices(),
        })
    }

    /// Connects, starting the daemon if it may be started; the connection is kept for the first
    /// request.
    pub async fn connect(&self) -> Result<(), CliError> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let stream = match dial(socket) {
            Ok(stream) => stream,
            Err(error) if nobody_listens(&error) => self.start(socket)?,
            Err(error) => return Err(self.unreachable(&error)),
        };
        self.adopt(stream).await
    }

    /// A connection on which nothing has been said, starting the daemon if it may be started.
    pub async fn raw(&self) -> Result<api::client::Stream, CliError> {
        self.connect().await?;
        Ok(self.client.raw().await?)
    }

    /// Starts the daemon again after it went away, if it may be started.
    pub async fn revive(&self) -> Result<(), CliError> {
        match &self.socket {
            Some(_) => self.connect().await,
            None => Err(CliError::Unreachable(self.sentence())),
        }
    }

    async fn adopt(&self, stream: UnixStream) -> Result<(), CliError> {
        let broken = |source| CliError::Io {
            what: "talk to the daemon",
            source,
        };
        stream.set_nonblocking(true).map_err(broken)?;
        let stream = tokio::net::UnixStream::from_std(stream).map_err(broken)?;
        self.client.adopt(stream).await.map_err(CliError::from)
    }

    fn sentence(&self) -> String {
        sentence(&self.host)
    }

    fn unreachable(&self, error: &io::Error) -> CliError {
        CliError::Unreachable(unreachable(&self.host, error))
    }

    /// Starts `brigd` if it is ours to start.
    fn start(&self, socket: &Path) -> Result<UnixStream, CliError> {
        let advice = |why: &str| {
            CliError::Unreachable(format!(
                "{}\n{why}\nTo start it:  sudo brigd &   (or: systemctl start brig)",
                self.sentence()
            ))
        };
        if variable("BRIG_AUTOSTART").is_some_and(|v| matches!(v.as_str(), "0" | "false" | "no")) {
            return Err(advice("BRIG_AUTOSTART forbids the client to start it."));
        }
        let Some(run_root) = run_root_of(socket) else {
            return Err(advice(&format!(
                "The client starts a daemon only for a socket named {SOCKET}, because it then knows the \
                 daemon's directory."
            )));
        };
        if !sys::term::is_root() {
            return Err(advice("Only root can start it."));
        }
        let program = find_program()
            .ok_or_else(|| advice("There is no brigd beside this program nor on the PATH."))?;
        launch(&program, run_root, socket, self.notices)
    }
}

fn sentence(host: &dyn std::fmt::Display) -> String {
    format!("Cannot connect to the Brig daemon at {host}. Is the brig daemon running?")
}

/// Why there is no connection to a daemon, and what to do about it.
pub(crate) fn unreachable(host: &dyn std::fmt::Display, error: &io::Error) -> String {
    let sentence = sentence(host);
    let known = error.raw_os_error().is_some();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!(
                "{sentence}\nYou may not use its socket: be root, or in the group it belongs to."
            )
        }
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused if known => sentence,
        _ => format!("error during connect: {host}: {}", plain(error)),
    }
}

/// Where an address leads.
fn endpoint(host: &str, tls: Option<&Material>) -> Result<Place, CliError> {
    if host.starts_with("ssh://") {
        return dial::ssh(host).map(Place::Dialed);
    }
    let parsed: Result<Endpoint, _> = whole(host).parse();
    let parsed = parsed.map_err(|error: InvalidEndpoint| CliError::Invalid(error.to_string()))?;
    match (&parsed, tls) {
        (Endpoint::Tcp(address), Some(material)) => {
            tls::dialer(&parsed.to_string(), address, material).map(Place::Dialed)
        }
        _ => Ok(parsed.into()),
    }
}

/// An address with what goes without saying.
fn whole(host: &str) -> String {
    let tcp = match host.split_once("://") {
        None if host.starts_with('/') => return format!("unix://{host}"),
        None if host.is_empty() => return DEFAULT_HOST.to_owned(),
        None => host,
        Some(("unix", "")) => return DEFAULT_HOST.to_owned(),
        Some(("tcp", rest)) => rest.strip_suffix('/').unwrap_or(rest),
        Some(_) => return host.to_owned(),
    };
    let (name, port) = match tcp.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (tcp, ""),
    };
    let name = if name.is_empty() { "localhost" } else { name };
    let port = if port.is_empty() { PLAIN_PORT } else { port };
    format!("tcp://{name}:{port}")
}

/// Whether an address makes sense.
pub(crate) fn check(host: &str) -> Result<(), CliError> {
    endpoint(host, None).map(drop)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// A connection, however long the path: a socket's address holds 107 bytes.
fn dial(socket: &Path) -> io::Result<UnixStream> {
    const LONGEST: usize = 107;
    if socket.as_os_str().len() <= LONGEST {
        return UnixStream::connect(socket);
    }
    let connected = sys::socket::connect(socket, sys::socket::Kind::Stream)?;
    Ok(connected.into())
}

/// The directory a daemon with this socket keeps its run-time files in.
fn run_root_of(socket: &Path) -> Option<&Path> {
    (socket.file_name()? == SOCKET)
        .then(|| socket.parent())
        .flatten()
}

/// `brigd` beside this program, then along the PATH.
fn find_program() -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|path| path.parent().map(|dir| dir.join("brigd")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let along = std::env::split_paths(&path).map(|dir| dir.join("brigd"));
    beside
        .into_iter()
        .chain(along.collect::<Vec<_>>())
        .find(|path| path.is_file())
}

/// Starts the program in a session of its own and waits until the socket answers.
fn launch(
    program: &Path,
    run_root: &Path,
    socket: &Path,
    notices: bool,
) -> Result<UnixStream, CliError> {
    let log_path = run_root.join("brigd.log");
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        CliError::Unreachable(format!("brigd cannot be started: {what}: {error}"))
    };
    let log = open_log(run_root, &log_path)
        .map_err(|error| failed(&log_path.display().to_string(), &error))?;
    let before = log.metadata().map(|m| m.len()).unwrap_or_default();
    let null = std::fs::File::open("/dev/null").map_err(|error| failed("/dev/null", &error))?;
    let child = Spawn::new(program, ["brigd"])
        .and_then(|spawn| spawn.env(environment(run_root)))
        .and_then(|spawn| {
            spawn
                .fds(&[null.as_fd(), log.as_fd(), log.as_fd()])
                .session()
                .spawn()
        })
        .map_err(|error| failed(&program.display().to_string(), &error))?;
    let stream = wait_for(socket, &child).map_err(|why| {
        CliError::Unreachable(format!(
            "brigd was started and {why}; the end of {}:\n{}",
            log_path.display(),
            last_lines(&log_path, before)
        ))
    })?;
    if notices && child_lives(&child) {
        print::complain(&format!(
            "brig: started brigd (pid {}), log in {}",
            child.pid,
            log_path.display()
        ));
    }
    Ok(stream)
}

fn open_log(run_root: &Path, path: &Path) -> io::Result<std::fs::File> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(run_root)?;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
}

/// Ours, so that BRIGD_* settings reach the daemon, with the directory whose socket we want.
fn environment(run_root: &Path) -> Vec<std::ffi::OsString> {
    const RUN_ROOT: &str = "BRIGD_RUN_ROOT";
    let join = |name: &std::ffi::OsStr, value: &std::ffi::OsStr| {
        let mut entry = name.to_owned();
        entry.push("=");
        entry.push(value);
        entry
    };
    std::env::vars_os()
        .filter(|(name, _)| name != RUN_ROOT)
        .map(|(name, value)| join(&name, &value))
        .chain([join(RUN_ROOT.as_ref(), run_root.as_os_str())])
        .collect()
}

/// A connection as soon as there is one, or why there will be none.
fn wait_for(socket: &Path, child: &Child) -> Result<UnixStream, String> {
    let mut deadline = Instant::now() + PATIENCE;
    let mut ended = None;
    loop {
        if let Ok(stream) = dial(socket) {
            return Ok(stream);
        }
        if ended.is_none()
            && let Ok(Some(exit)) = sys::pidfd::try_wait(&child.pidfd)
        {
            // Perhaps it gave way to a daemon that another client started at the same time.
            deadline = Instant::now() + PATIENCE_WITH_OTHERS;
            ended = Some(exit);
        }
        if Instant::now() > deadline {
            return Err(match ended {
                Some(exit) => format!("ended with status {}", exit.code()),
                None => format!("did not answer for {} seconds", PATIENCE.as_secs()),
            });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn child_lives(child: &Child) -> bool {
    matches!(sys::pidfd::try_wait(&child.pidfd), Ok(None))
}

/// What was added to the log since, at most its last ten lines.
fn last_lines(path: &Path, from: u64) -> String {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.take(64 * 1024).read_to_string(&mut text)
    });
    if let Err(error) = read {
        return format!("(it cannot be read: {error})");
    }
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(host: &str) -> String {
        let globals = Globals {
            host: Some(host.to_owned()),
            ..Globals::default()
        };
        match Daemon::find(&globals) {
            Ok(daemon) => format!("{} {:?}", daemon.client.endpoint(), daemon.socket),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn hosts() {
        let lines = [
            "unix:///run/x/brig.sock",
            "/run/x/brig.sock",
            "unix://",
            "tcp://127.0.0.1:2375",
            "tcp://127.0.0.1",
            "tcp://[::1]",
            "tcp://",
            "there:99",
            ":99",
            "tcp://there:x",
            "https://there:1",
            "ssh://me@there",
        ]
        .map(found);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        unix:///run/x/brig.sock Some("/run/x/brig.sock")
        unix:///run/x/brig.sock Some("/run/x/brig.sock")
        unix:///run/brig/brig.sock Some("/run/brig/brig.sock")
        tcp://127.0.0.1:2375 None
        tcp://127.0.0.1:2375 None
        tcp://[::1]:2375 None
        tcp://localhost:2375 None
        tcp://there:99 None
        tcp://localhost:99 None
        unable to parse docker host `tcp://there:x`: unix:///path or tcp://host:port is expected
        unable to parse docker host `https://there:1`: unix:///path or tcp://host:port is expected
        ssh://me@there None
        "#);
    }

    #[test]
    fn a_daemon_is_started_only_for_its_own_socket() {
        let root = |path: &'static str| run_root_of(Path::new(path));
        assert_eq!(root("/run/brig/brig.sock"), Some(Path::new("/run/brig")));
        assert_eq!(root("/run/brig/other.sock"), None);
    }
}
