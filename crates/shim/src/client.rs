//! The daemon's side of the protocol: blocking calls, each on a connection of its own.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sys::Errno;
use sys::socket::{self, Kind};
use sys::spawn::{Child, Spawn};
use types::ErrorKind;

use crate::filter::Filters;
use crate::protocol::{self, Call, Launch, Malformed, Notice, Reply, State};

/// How long a shim may take to make a process: hooks run meanwhile, the runtime's work may wait for
/// the disk, and another runtime is a program of its own.
const TO_MAKE: Duration = Duration::from_secs(30);

/// How long it may take for anything else.
const TO_ANSWER: Duration = Duration::from_secs(10);

/// A shim that answers.
#[derive(Debug)]
pub struct Shim {
    dir: PathBuf,
    pid: i32,
    pidfd: OwnedFd,
    /// A connection between two calls. Callers on other threads meanwhile open their own.
    idle: Mutex<Option<Connection>>,
    /// What it made before it was launched.
    network: Mutex<Option<OwnedFd>>,
}

/// Calls on one connection, each of which may be asked before those before it are answered: they are
/// answered in their order. Each answer that is waited for costs a change of tasks, there and back.
#[derive(Debug)]
pub struct Calls<'a> {
    shim: &'a Shim,
    /// There until the end.
    connection: Option<Connection>,
    /// The longest that any of them may take.
    limit: Duration,
    unanswered: usize,
}

/// A connection that carries calls.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    /// How long it waits; none if that was never said.
    patience: Option<Duration>,
}

impl Connection {
    fn wait_at_most(&mut self, limit: Duration) -> sys::Result<()> {
        if self.patience != Some(limit) {
            socket::set_patience(&self.socket, limit)?;
            self.patience = Some(limit);
        }
        Ok(())
    }
}

/// A connection that carries notices.
#[derive(Debug)]
pub struct Watch {
    dir: PathBuf,
    connection: OwnedFd,
}

/// Why a shim could not be reached, or what it answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot start the shim {binary:?}")]
    Spawn {
        /// The program.
        binary: PathBuf,
        /// Why.
        source: sys::Error,
    },
    /// None listens there.
    #[error("no shim listens in {dir:?}")]
    Absent {
        /// The shim's directory.
        dir: PathBuf,
        /// Why.
        source: sys::Error,
    },
    /// It ended, or stopped listening, in the middle of a call.
    #[error("the shim in {dir:?} died{}", words(.last_words))]
    Died {
        /// The shim's directory.
        dir: PathBuf,
        /// What it left behind about why.
        last_words: String,
    },
    /// The connection failed.
    #[error("cannot speak to the shim in {dir:?}")]
    Connection {
        /// The shim's directory.
        dir: PathBuf,
        /// Why.
        source: sys::Error,
    },
    /// It is there and does nothing, or something that takes too long.
    #[error("the shim (pid {pid}) has not answered within {limit:?}")]
    Silent {
        /// Its process.
        pid: i32,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It says something this version does not understand.
    #[error("the shim in {dir:?} sent what is not a message")]
    Malformed {
        /// The shim's directory.
        dir: PathBuf,
        /// Where.
        source: Malformed,
    },
    /// It answered that it did not do it.
    #[error("{message}")]
    Refused {
        /// What it is about.
        kind: ErrorKind,
        /// One sentence a layer, joined by colons.
        message: String,
    },
}

fn words(last: &str) -> String {
    if last.is_empty() {
        String::new()
    } else {
        format!(": {last}")
    }
}

impl Error {
    /// Whether there surely is no shim. Without descriptors, or before one that is stopped, nobody can tell.
    pub fn is_gone(&self) -> bool {
        const NOBODY: [Errno; 5] = [
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::SRCH,
        ];
        match self {
            Self::Absent { source, .. } => NOBODY.contains(&source.errno),
            Self::Died { .. } => true,
            Self::Spawn { .. }
            | Self::Connection { .. }
            | Self::Silent { .. }
            | Self::Malformed { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// What it is about; [`ErrorKind::Unavailable`] when no shim listens.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } | Self::Died { .. } => ErrorKind::Unavailable,
            Self::Refused { kind, .. } => *kind,
            Self::Spawn { .. }
            | Self::Connection { .. }
            | Self::Silent { .. }
            | Self::Malformed { .. } => ErrorKind::Internal,
        }
    }
}

/// The program `brig-shim`, ready to be executed many times.
///
/// A container's process is this program until it executes its command, so its file is opened
/// through a mount that nobody can write through: whoever is inside a container cannot overwrite it
/// by way of /proc/PID/exe.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    /// Or why not: then nothing is launched.
    sealed: sys::Result<OwnedFd>,
    spare: Mutex<Waiting>,
    /// What containers' filters are compiled to.
    pub filters: Filters,
}

/// Who waits for the next launch.
#[derive(Debug, Default)]
enum Waiting {
    #[default]
    Nobody,
    Spare(Spare),
    /// Nobody, and nobody shall any more.
    Closed,
}

impl Waiting {
    /// Takes the one that waits.
    fn take(&mut self) -> Option<Spare> {
        match std::mem::take(self) {
            Self::Spare(spare) => Some(spare),
            Self::Nobody => None,
            Self::Closed => {
                *self = Self::Closed;
                None
            }
        }
    }
}

impl Program {
    /// The program in this file, as it is now: one installed there later is not executed.
    pub fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            sealed: sys::exe::open_sealed(path),
            spare: Mutex::default(),
            filters: Filters::default(),
        }
    }

    /// Has a shim keep `launch`: the one that waits, or else one that is spawned now by a vfork-style
    /// clone, in a session of its own, to outlive the caller. What goes wrong in it is told by the
    /// first call.
    pub fn launch(&self, launch: &Launch) -> Result<Shim, Error> {
        let message = protocol::encode(launch);
        let spare = self.spare().take();
        let spare = spare.and_then(|spare| spare.told(&message));
        let new = || {
            let spawned = self.spawn(launch.dir.as_os_str(), Some(&message));
            spawned.map(|new| (new, None))
        };
        let (spare, network) = spare.map_or_else(new, Ok).map_err(self.failed())?;
        Ok(Shim {
            dir: launch.dir.clone(),
            pid: spare.child.pid,
            pidfd: spare.child.pidfd,
            idle: Mutex::new(Some(Connection {
                socket: spare.connection,
                patience: None,
            })),
            // Another runtime makes its own.
            network: Mutex::new(network.filter(|_| launch.foreign_runtime.is_none())),
        })
    }

    /// Has a shim wait for the next launch, unless one does already or [`Program::dismiss`] was
    /// called: what it needs in any case is made while nobody waits for it. `length` is that of the
    /// directories to come.
    pub fn prepare(&self, length: usize) -> Result<(), Error> {
        if !matches!(*self.spare(), Waiting::Nobody) {
            return Ok(());
        }
        let title = format!("{:.<length$}", protocol::SPARE);
        let new = self
            .spawn(OsStr::new(&title), None)
            .map_err(self.failed())?;
        let surplus = {
            let mut waiting = self.spare();
            match *waiting {
                Waiting::Nobody => {
                    *waiting = Waiting::Spare(new);
                    None
                }
                // Meanwhile there is one, or there shall be none.
                Waiting::Spare(_) | Waiting::Closed => Some(new),
            }
        };
        surplus.map_or(Ok(()), |spare| spare.dismiss().map_err(self.failed()))
    }

    /// Ends the shim that waits, and waits for its end. None will wait any more.
    pub fn dismiss(&self) -> Result<(), Error> {
        let before = std::mem::replace(&mut *self.spare(), Waiting::Closed);
        match before {
            Waiting::Spare(spare) => spare.dismiss().map_err(self.failed()),
            Waiting::Nobody | Waiting::Closed => Ok(()),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Waiting> {
        // It is taken or put back whole: a panic elsewhere cannot leave it half done.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl Fn(sys::Error) -> Error {
        |source| Error::Spawn {
            binary: self.path.clone(),
            source,
        }
    }

    fn spawn(&self, argument: &OsStr, message: Option<&[u8]>) -> sys::Result<Spare> {
        let (connection, its) = socket::pair(Kind::Messages)?;
        // Sent before it exists: the message waits in the socket.
        message.map_or(Ok(()), |message| socket::send(&connection, message, &[]))?;
        let null = sys::fd::open_read_write(Path::new("/dev/null"))?;
        let fds = [null.as_fd(), null.as_fd(), null.as_fd(), its.as_fd()];
        let spawn = Spawn::new(&self.path, ["brig-shim".as_ref(), argument])?;
        let spawn = spawn.fds(&fds).session();
        let sealed = self.sealed.as_ref().map_err(|error| *error)?;
        let child = spawn.opened(sealed.as_fd()).spawn()?;
        Ok(Spare { connection, child })
    }
}

/// Has a shim that was just woken do its work beside the caller's, and not when the caller has no more.
fn work_elsewhere(pid: i32) {
    // Otherwise it works a little later.
    let _ = sys::sched::begin_elsewhere(pid);
}

/// A shim that has no container yet.
#[derive(Debug)]
struct Spare {
    connection: OwnedFd,
    child: Child,
}

impl Spare {
    /// With what to launch, and the network that it has made; none if it has died meanwhile.
    fn told(self, message: &[u8]) -> Option<(Self, Option<OwnedFd>)> {
        // The socket alone does not tell: what is being started somewhere else in this process at that
        // moment holds a copy of its other end, until its execve(2).
        let dead = sys::pidfd::ended_within(&self.child.pidfd, Duration::ZERO).unwrap_or(false);
        if !dead && let Ok(network) = self.told_living(message) {
            return Some((self, network));
        }
        // Reaped, as far as it goes: what counts is that another is spawned.
        let _ = self.dismiss();
        None
    }

    /// The first that it says, before anybody asks, is what it has made.
    fn told_living(&self, message: &[u8]) -> sys::Result<Option<OwnedFd>> {
        const GONE: sys::Error = sys::Error {
            call: "recvmsg",
            errno: Errno::PIPE,
        };
        socket::set_patience(&self.connection, TO_ANSWER)?;
        let mut made = socket::receive(&self.connection)?.ok_or(GONE)?;
        socket::send(&self.connection, message, &[])?;
        work_elsewhere(self.child.pid);
        Ok(made.fds.pop())
    }

    /// It ends when it hears that nobody will ever call.
    fn dismiss(self) -> sys::Result<()> {
        drop(self.connection);
        if !sys::pidfd::ended_within(&self.child.pidfd, TO_ANSWER)? {
            sys::pidfd::send_signal(&self.child.pidfd, types::Signal::KILL)?;
        }
        sys::pidfd::wait(&self.child.pidfd).map(drop)
    }
}

impl Drop for Program {
    /// Nobody else would reap it.
    fn drop(&mut self) {
        // An end that cannot be waited for is the end of this process' interest.
        let _ = self.dismiss();
    }
}

/// [`Program::launch`] for who launches once.
pub fn launch(binary: &Path, launch: &Launch) -> Result<Shim, Error> {
    Program::open(binary).launch(launch)
}

impl Shim {
    /// The shim that listens in `dir`, after a restart of the daemon.
    pub fn connect(dir: PathBuf) -> Result<Self, Error> {
        let asked = Asked::begin(dir)?;
        asked.answer().map(|found| found.shim)
    }

    /// One call and its reply; `Reply::Failed` comes back as an error. A shim that does not answer
    /// within 30 seconds to `Create`, `Start` or `Exec`, during which hooks run, or within 10 to
    /// anything else, is [`Error::Silent`]; what was asked of it may come about all the same.
    pub fn call(&self, call: &Call, fds: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
        self.call_within(patience(call), call, fds)
    }

    /// [`Shim::call`] for who has something to do, or more to ask, before the reply is there.
    pub fn calls(&self) -> Result<Calls<'_>, Error> {
        self.calls_within(TO_ANSWER)
    }

    /// The network namespace that the container's is going to be, if the shim has made one before it was
    /// launched: once, and for a configuration that asks for a new one and for no user namespace.
    pub fn take_network(&self) -> Option<OwnedFd> {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        network.take()
    }

    /// [`Shim::call`] with a patience of the caller's own.
    pub fn call_within(
        &self,
        limit: Duration,
        call: &Call,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Reply, Error> {
        let mut calls = self.calls_within(limit)?;
        calls.send(call, fds)?;
        calls.answer()
    }

    fn calls_within(&self, limit: Duration) -> Result<Calls<'_>, Error> {
        let idle = self.idle().take();
        let connection = idle.map_or_else(|| self.connect_again(limit), Ok)?;
        Ok(Calls {
            shim: self,
            connection: Some(connection),
            limit,
            unanswered: 0,
        })
    }

    /// The shim's own process, to learn of its death.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its pid, for messages.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it has ended. One that this process launched is reaped by that, so that it does not
    /// stay as a zombie.
    pub fn has_ended(&self) -> bool {
        match sys::pidfd::try_wait(&self.pidfd) {
            Ok(exit) => exit.is_some(),
            // Not our child, or reaped before.
            Err(_) => sys::pidfd::ended_within(&self.pidfd, Duration::ZERO).unwrap_or(true),
        }
    }

    /// A connection on which notices arrive.
    pub fn watch(&self) -> Result<Watch, Error> {
        let mut connection = self.connect_again(TO_ANSWER)?;
        self.ask(&mut connection, TO_ANSWER, &Call::Watch, &[])?;
        done(self.hear(&connection, TO_ANSWER)?)?;
        Ok(Watch {
            dir: self.dir.clone(),
            connection: connection.socket,
        })
    }

    fn connect_again(&self, limit: Duration) -> Result<Connection, Error> {
        connect(&self.dir, limit).map_err(|error| match error {
            Error::Absent { source, .. } if source.errno == Errno::AGAIN => self.silent(limit),
            error => error,
        })
    }

    fn ask(
        &self,
        connection: &mut Connection,
        limit: Duration,
        call: &Call,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), Error> {
        let broken = |source| self.broken(source, limit);
        connection.wait_at_most(limit).map_err(broken)?;
        socket::send(&connection.socket, &protocol::encode(call), fds).map_err(broken)
    }

    fn hear(&self, connection: &Connection, limit: Duration) -> Result<Reply, Error> {
        let connection = &connection.socket;
        let received = match socket::receive(connection) {
            // It has closed the connection with calls of ours unread. What it said before is still there.
            Err(error) if error.errno == Errno::CONNRESET => socket::receive(connection),
            received => received,
        };
        let Some(message) = received.map_err(|source| self.broken(source, limit))? else {
            return Err(died(&self.dir));
        };
        protocol::decode(&message.bytes).map_err(|source| Error::Malformed {
            dir: self.dir.clone(),
            source,
        })
    }

    fn silent(&self, limit: Duration) -> Error {
        Error::Silent {
            pid: self.pid,
            limit,
        }
    }

    fn broken(&self, source: sys::Error, limit: Duration) -> Error {
        match source.errno {
            Errno::AGAIN => self.silent(limit),
            Errno::PIPE | Errno::CONNRESET => died(&self.dir),
            _ => Error::Connection {
                dir: self.dir.clone(),
                source,
            },
        }
    }

    fn idle(&self) -> MutexGuard<'_, Option<Connection>> {
        // A descriptor is taken or put back whole: a panic elsewhere cannot leave it half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls<'_> {
    /// Asks. The shim comes to it when it has done what was asked before.
    pub fn ask(&mut self, call: &Call, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        self.limit = self.limit.max(patience(call));
        let sent = self.send(call, fds);
        sent.map_err(|error| self.refusal().unwrap_or(error))?;
        if matches!(call, Call::Create { .. }) {
            work_elsewhere(self.shim.pid);
        }
        Ok(())
    }

    /// What it said before it hung up.
    fn refusal(&self) -> Option<Error> {
        for _ in 1..self.unanswered {
            let reply = self.shim.hear(self.connection.as_ref()?, TO_ANSWER);
            if let Err(refusal) = done(reply.ok()?) {
                return Some(refusal);
            }
        }
        None
    }

    /// Asks for notices, on a connection of their own; the shim need not listen yet.
    pub fn watch(&mut self) -> Result<Watch, Error> {
        let (watch, its) = Watch::pair(&self.shim.dir)?;
        self.ask(&Call::Watch, &[its.as_fd()])?;
        Ok(watch)
    }

    /// Waits for the answer to the first call that has none, as [`Shim::call`] does.
    pub fn answer(&mut self) -> Result<Reply, Error> {
        let Some(connection) = &self.connection else {
            return Err(died(&self.shim.dir));
        };
        let reply = self.shim.hear(connection, self.limit)?;
        self.unanswered -= 1;
        done(reply)
    }

    fn send(&mut self, call: &Call, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        self.unanswered += 1;
        match &mut self.connection {
            Some(connection) => self.shim.ask(connection, self.limit, call, fds),
            None => Err(died(&self.shim.dir)),
        }
    }
}

impl Drop for Calls<'_> {
    /// Who has not heard all answers gives the connection up: a late one would be taken for the next call's.
    fn drop(&mut self) {
        if self.unanswered == 0 {
            *self.shim.idle() = self.connection.take();
        }
    }
}

/// A reply that is no refusal.
fn done(reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Failed { kind, message } => Err(Error::Refused { kind, message }),
        reply => Ok(reply),
    }
}

/// How long a shim may take for what is asked.
fn patience(call: &Call) -> Duration {
    match call {
        Call::Create { .. } | Call::Start | Call::Exec { .. } => TO_MAKE,
        _ => TO_ANSWER,
    }
}

fn died(dir: &Path) -> Error {
    let last_words = std::fs::read_to_string(dir.join(protocol::LAST_WORDS));
    let last_words = last_words.unwrap_or_default().trim_end().to_owned();
    Error::Died {
        dir: dir.to_owned(),
        last_words,
    }
}

fn connect(dir: &Path, limit: Duration) -> Result<Connection, Error> {
    let path = dir.join(protocol::SOCKET);
    let connected = socket::connect_within(&path, Kind::Messages, limit);
    let socket = connected.map_err(|source| Error::Absent {
        dir: dir.to_owned(),
        source,
    })?;
    Ok(Connection {
        socket,
        patience: Some(limit),
    })
}

/// A shim that may be there, asked how its container is: many are asked before the first is waited for.
#[derive(Debug)]
pub struct Asked {
    shim: Shim,
    connection: Connection,
    watch: Watch,
    since: Instant,
}

/// A shim that has answered.
#[derive(Debug)]
pub struct Found {
    /// It.
    pub shim: Shim,
    /// How its container was when it answered.
    pub state: State,
    /// Where it tells what has happened since.
    pub watch: Watch,
}

impl Asked {
    /// Asks the one that listens in `dir`.
    pub fn begin(dir: PathBuf) -> Result<Self, Error> {
        let mut connection = connect(&dir, TO_ANSWER)?;
        let absent = |source| Error::Absent {
            dir: dir.clone(),
            source,
        };
        let pid = socket::peer_pid(&connection.socket).map_err(absent)?;
        let pidfd = sys::pidfd::open(pid).map_err(absent)?;
        let (watch, its) = Watch::pair(&dir)?;
        let shim = Shim {
            dir,
            pid,
            pidfd,
            idle: Mutex::default(),
            network: Mutex::default(),
        };
        shim.ask(&mut connection, TO_ANSWER, &Call::State, &[])?;
        shim.ask(&mut connection, TO_ANSWER, &Call::Watch, &[its.as_fd()])?;
        Ok(Self {
            shim,
            connection,
            watch,
            since: Instant::now(),
        })
    }

    /// Waits for its answer, no longer than for one who was asked alone.
    pub fn answer(self) -> Result<Found, Error> {
        let Self {
            shim,
            mut connection,
            watch,
            since,
        } = self;
        let left = TO_ANSWER.saturating_sub(since.elapsed());
        let broken = |source| shim.broken(source, TO_ANSWER);
        connection.wait_at_most(left).map_err(broken)?;
        // An answer on the connection made before the pidfd proves that the pid had not passed to another process
        // meanwhile.
        let state = match done(shim.hear(&connection, TO_ANSWER)?)? {
            Reply::State(state) => state,
            Reply::Done | Reply::Process(_) | Reply::Failed { .. } => return Err(died(&shim.dir)),
        };
        done(shim.hear(&connection, TO_ANSWER)?)?;
        *shim.idle() = Some(connection);
        Ok(Found { shim, state, watch })
    }
}

impl Watch {
    /// Its two ends, the second for the shim.
    fn pair(dir: &Path) -> Result<(Self, OwnedFd), Error> {
        let pair = socket::pair(Kind::Messages);
        let (connection, its) = pair.map_err(|source| Error::Connection {
            dir: dir.to_owned(),
            source,
        })?;
        let dir = dir.to_owned();
        Ok((Self { dir, connection }, its))
    }

    /// The next notice without waiting: `None` when there is none yet.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the shim has closed the connection.
    pub fn try_next(&self) -> Result<Option<Notice>, Error> {
        let dir = || self.dir.clone();
        match socket::try_receive(&self.connection) {
            Ok(None) => Err(died(&self.dir)),
            Ok(Some(message)) => protocol::decode(&message.bytes)
                .map(Some)
                .map_err(|source| Error::Malformed { dir: dir(), source }),
            Err(error) => match error.errno {
                Errno::AGAIN => Ok(None),
                Errno::CONNRESET => Err(died(&self.dir)),
                _ => Err(Error::Connection {
                    dir: dir(),
                    source: error,
                }),
            },
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl From<Watch> for OwnedFd {
    fn from(watch: Watch) -> Self {
        watch.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_asked_is_not_gone() {
        let absent = |errno| Error::Absent {
            dir: PathBuf::new(),
            source: sys::Error {
                call: "connect",
                errno,
            },
        };
        for errno in [Errno::NOENT, Errno::CONNREFUSED, Errno::SRCH] {
            assert!(absent(errno).is_gone(), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN] {
            assert!(!absent(errno).is_gone(), "{errno}");
        }
        assert!(died(Path::new("/nowhere")).is_gone());
    }
}
