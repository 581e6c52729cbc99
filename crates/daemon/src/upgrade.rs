//! A newer daemon takes this one's place, and no client notices: the program is executed anew in the same process.
//!
//! ```text
//!   check    the program that is there now can read the configuration
//!   close    no new request is read; what is under way comes to its end. What takes long is waited for with the door
//!            open, so that nobody stands outside for more than a moment
//!   leave    connections, listening sockets, locks, and what the engine has in memory only are written down
//!   execute  the new program finds them, opens the store, and opens the door
//! ```
//!
//! Who connects meanwhile waits in the listening sockets' queues. If the program cannot be executed, the old one goes on
//! in the same way as a new one would.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sys::handover::{self, Handover};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::accept::{self, Entrance};
use crate::access::{Door, Peer, Who};
use crate::app::App;
use crate::http::line::{Phase, Recalled, Socket};
use crate::http::serve::Left;
use crate::socket::{self, Listener};

/// For how long work may be under way when the door is closed: what is younger is nearly done. The longer that does not
/// come about, the more is taken for such, up to the second.
const NEARLY_DONE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// So many times as long the door may be closed.
const CLOSED: u32 = 3;

/// How long it stays open then, at the least: those who stood outside come in first.
const OPEN: Duration = Duration::from_secs(1);

/// Between two looks at what is under way.
const LOOK: Duration = Duration::from_millis(2);

/// How long what is under way is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long who may not do everything is waited for: one that lets a byte pass now and then would keep the daemon from
/// ever being replaced.
const NARROW_PATIENCE: Duration = Duration::from_secs(300);

/// How long the new program may take to read its configuration.
const TO_CHECK: Duration = Duration::from_secs(30);

/// Why no newer daemon takes over; this one goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot find the program of this daemon")]
    Program(#[source] io::Error),
    #[error("cannot run {}", path.display())]
    Run { path: PathBuf, source: io::Error },
    #[error("{} does not take the configuration: {said}", path.display())]
    Refused { path: PathBuf, said: String },
    #[error("requests were under way for {} s on end", PATIENCE.as_secs())]
    Busy,
    #[error("cannot hand over what is open")]
    HandOver(#[source] io::Error),
    #[error("cannot execute {}", path.display())]
    Execute { path: PathBuf, source: sys::Error },
    #[error("what was handed over cannot be read")]
    Malformed(#[source] serde_json::Error),
    #[error("what was handed over cannot be taken")]
    Take(#[source] sys::Error),
}

/// A listening socket of the daemon before this one.
#[derive(Debug)]
pub(crate) struct Inherited {
    socket: OwnedFd,
    tcp: bool,
    placed: Option<PathBuf>,
    pub(crate) host: Option<String>,
    pub(crate) door: String,
}

impl Inherited {
    pub(crate) fn listen(self) -> Result<Listener, socket::Error> {
        socket::inherit(self.socket, self.tcp, self.placed)
    }
}

/// Everything that the daemon before this one has left.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    /// Its version; none if there was no such daemon.
    pub(crate) from: Option<String>,
    pub(crate) locks: Vec<OwnedFd>,
    pub(crate) listeners: Vec<Inherited>,
    pub(crate) metrics: Option<OwnedFd>,
    pub(crate) engine: engine::Left,
    connections: Vec<(OwnedFd, Connection)>,
}

/// The words, in which descriptors are named by their places.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Words {
    version: String,
    locks: Vec<usize>,
    listeners: Vec<Listening>,
    metrics: Option<usize>,
    connections: Vec<Connection>,
    clients: Vec<(usize, serde_json::Value)>,
    sessions: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Listening {
    fd: usize,
    tcp: bool,
    placed: Option<PathBuf>,
    host: Option<String>,
    door: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Connection {
    fd: usize,
    tcp: bool,
    door: String,
    recalled: Option<Recalled>,
}

/// The program that takes this one's place: the file that is at its path now. To be found out before it is replaced.
pub(crate) fn program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(Error::Program)
}

/// Whether the program that is there now starts, and takes the configuration.
pub(crate) async fn check(program: &Path) -> Result<(), Error> {
    let failed = |source| Error::Run {
        path: program.to_owned(),
        source,
    };
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1)).arg("--validate");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let ended = tokio::time::timeout(TO_CHECK, ended).await;
    let ended = ended.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?;
    let output = ended.map_err(io::Error::other).flatten().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Refused {
        path: program.to_owned(),
        said: said.lines().next_back().unwrap_or_default().to_owned(),
    })
}

/// Waits until nothing is under way that could not go on elsewhere, and closes the door behind it.
pub(crate) async fn close_door(app: &App) -> Result<(), Error> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if begin.elapsed() >= NARROW_PATIENCE {
            app.lines.cut_narrow(NARROW_PATIENCE);
        }
        let [least, most] = NEARLY_DONE;
        let young = (least + begin.elapsed() / 10).min(most);
        let bound = app.bound.oldest().unwrap_or_default();
        if bound < young && app.lines.oldest() < young {
            app.lines.set(Phase::Closing);
            if all_done(app, young * CLOSED).await {
                return Ok(());
            }
            app.lines.set(Phase::Open);
            tokio::time::sleep(OPEN).await;
        }
        tokio::time::sleep(OPEN / 10).await;
    }
    Err(Error::Busy)
}

/// Whether all that is under way comes to its end while the door is closed.
async fn all_done(app: &App, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    let mut before = false;
    while Instant::now() < end {
        let done = app.lines.ready()
            && app.bound.oldest().is_none()
            && app.busy.is_idle()
            && !app.handovers.any();
        // Twice in a row: between a request and what it begins there is a moment.
        if done && before {
            return true;
        }
        before = done;
        tokio::time::sleep(LOOK).await;
    }
    false
}

/// Everything that goes to the next one.
pub(crate) struct Leaving {
    pub(crate) entrances: Vec<Entrance>,
    pub(crate) connections: Vec<Left>,
    pub(crate) metrics: Option<TcpListener>,
    pub(crate) engine: engine::Left,
}

/// Writes it down.
pub(crate) fn hand_over(leaving: Leaving, locks: &[impl AsFd]) -> Result<Handover, Error> {
    written(leaving, locks).map_err(Error::HandOver)
}

fn written(leaving: Leaving, locks: &[impl AsFd]) -> io::Result<Handover> {
    let mut fds: Vec<OwnedFd> = Vec::new();
    let mut add = |fd: OwnedFd| {
        fds.push(fd);
        fds.len() - 1
    };
    let mut words = Words {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sessions: leaving.engine.sessions,
        ..Words::default()
    };
    for lock in locks {
        words.locks.push(add(lock.as_fd().try_clone_to_owned()?));
    }
    for entrance in leaving.entrances {
        let tcp = matches!(entrance.listener, Listener::Tcp(_));
        let (fd, placed) = entrance.listener.leave()?;
        words.listeners.push(Listening {
            fd: add(fd),
            tcp,
            placed,
            host: entrance.host,
            door: entrance.door.name.clone(),
        });
    }
    if let Some(listener) = leaving.metrics {
        words.metrics = Some(add(listener.into_std()?.into()));
    }
    for left in leaving.connections {
        words.connections.push(Connection {
            fd: add(left.socket.as_fd().try_clone_to_owned()?),
            tcp: matches!(*left.socket, Socket::Tcp(_)),
            door: left.peer.door.name.clone(),
            recalled: left.recalled,
        });
    }
    for client in leaving.engine.clients {
        words
            .clients
            .push((add(client.connection.into()), client.wanted));
    }
    Ok(Handover {
        words: serde_json::to_vec(&words)?,
        fds,
    })
}

/// What the daemon before this one has left, if there was one. Before anything is opened.
pub(crate) fn found() -> Result<Legacy, Error> {
    match Handover::take().map_err(Error::Take)? {
        Some(handover) => read(handover),
        None => Ok(Legacy::default()),
    }
}

/// Takes apart what was handed over.
pub(crate) fn read(handover: Handover) -> Result<Legacy, Error> {
    let words: Words = serde_json::from_slice(&handover.words).map_err(Error::Malformed)?;
    let mut fds: Vec<Option<OwnedFd>> = handover.fds.into_iter().map(Some).collect();
    let mut take = |place: usize| fds.get_mut(place).and_then(Option::take);
    Ok(Legacy {
        from: Some(words.version),
        locks: words.locks.into_iter().filter_map(&mut take).collect(),
        listeners: words
            .listeners
            .into_iter()
            .filter_map(|one| {
                Some(Inherited {
                    socket: take(one.fd)?,
                    tcp: one.tcp,
                    placed: one.placed,
                    host: one.host,
                    door: one.door,
                })
            })
            .collect(),
        metrics: words.metrics.and_then(&mut take),
        connections: words
            .connections
            .into_iter()
            .filter_map(|one| Some((take(one.fd)?, one)))
            .collect(),
        engine: engine::Left {
            sessions: words.sessions,
            clients: words
                .clients
                .into_iter()
                .filter_map(|(fd, wanted)| {
                    Some(engine::Waiting {
                        connection: take(fd)?.into(),
                        wanted,
                    })
                })
                .collect(),
        },
    })
}

impl Legacy {
    /// The connections, each with the door by which it had come. Those of doors that are no more are closed. Must be
    /// called within a tokio runtime.
    pub(crate) fn connections(&mut self, doors: &[Arc<Door>]) -> Vec<Left> {
        let all = std::mem::take(&mut self.connections);
        let left = |(fd, connection): (OwnedFd, Connection)| {
            let door = doors.iter().find(|door| door.name == connection.door)?;
            let (socket, who) = opened(fd, connection.tcp).ok()?;
            let door = door.clone();
            Some(Left {
                socket: Arc::new(socket),
                peer: Arc::new(Peer { door, who }),
                recalled: connection.recalled,
            })
        };
        all.into_iter().filter_map(left).collect()
    }
}

fn opened(fd: OwnedFd, tcp: bool) -> io::Result<(Socket, Who)> {
    if tcp {
        let stream = TcpStream::from_std(fd.into())?;
        let who = stream.peer_addr().map_or(Who::Unknown, Who::Address);
        return Ok((Socket::Tcp(stream), who));
    }
    let stream = UnixStream::from_std(fd.into())?;
    let who = accept::process(&stream);
    Ok((Socket::Unix(stream), who))
}

/// Becomes the new program. Returns only to say why it could not; nothing is lost then.
pub(crate) fn execute(program: &Path, handover: &Handover) -> Error {
    let failed = |source| Error::Execute {
        path: program.to_owned(),
        source,
    };
    match become_it(program, handover) {
        Ok(never) => match never {},
        Err(source) => {
            // They go to no other program either.
            let _ = handover.take_back();
            failed(source)
        }
    }
}

fn become_it(program: &Path, handover: &Handover) -> sys::Result<std::convert::Infallible> {
    let told = handover.pass_on()?;
    let own = format!("{}=", handover::VARIABLE);
    let environment =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    // Numbers of sockets that a service manager has passed mean something else by now.
    let stale = [own.as_bytes(), b"LISTEN_PID=", b"LISTEN_FDS="];
    let environment = environment
        .filter(|text| !stale.iter().any(|name| text.starts_with(name)))
        .chain([told.into_bytes()]);
    let environment = sys::process::Strings::new(environment)?;
    let arguments = std::env::args_os().map(|argument| argument.as_bytes().to_vec());
    let arguments = sys::process::Strings::new(arguments)?;
    let path = std::ffi::CString::new(program.as_os_str().as_bytes());
    let path = path.map_err(|_| sys::Error {
        call: "execve",
        errno: sys::Errno::INVAL,
    })?;
    sys::process::execute(&path, &arguments, &environment)
}
