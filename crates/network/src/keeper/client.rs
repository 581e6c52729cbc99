//! The daemon's side of the protocol: blocking calls, and a keeper started when it is needed.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sys::Errno;
use sys::socket::{self, Kind};
use sys::spawn::{Child, Spawn};
use types::ErrorKind;

use super::message::{self, Malformed};
use super::model::{Change, Model};
use super::protocol::{self, Call, Reply, Status};

/// How long a keeper may take for a call. None of them waits for anything but the kernel.
const TO_ANSWER: Duration = Duration::from_secs(10);

/// The keeper of a directory, whether it runs or not. It is started by the first call that needs it,
/// and again by the next one after it has died: a new one resumes from what the old one had written
/// down.
#[derive(Debug)]
pub struct Keeper {
    program: PathBuf,
    dir: PathBuf,
    /// A connection between two calls. Callers on other threads meanwhile open their own.
    idle: Mutex<Option<OwnedFd>>,
    /// Held while it is found or started, by one thread: the process, if this one started it.
    process: Mutex<Process>,
}

#[derive(Debug, Default)]
struct Process {
    child: Option<Child>,
    /// It has been seen to be the program that is installed now.
    checked: bool,
}

/// Why the keeper could not be reached, or what it answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot start the keeper of networks {program:?}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: sys::Error,
    },
    /// There is no such program.
    #[error(
        "the keeper of networks {program:?} is not there: install brig-net beside brigd, or use the networks \
         none or host"
    )]
    Missing {
        /// The program.
        program: PathBuf,
    },
    /// None listens there.
    #[error("no keeper of networks listens in {dir:?}")]
    Absent {
        /// Its directory.
        dir: PathBuf,
        /// Why.
        source: sys::Error,
    },
    /// It ended in the middle of a call.
    #[error("the keeper of networks in {dir:?} died{}", words(.last_words))]
    Died {
        /// Its directory.
        dir: PathBuf,
        /// The last that it left behind.
        last_words: String,
    },
    /// The connection failed.
    #[error("cannot speak to the keeper of networks in {dir:?}")]
    Connection {
        /// Its directory.
        dir: PathBuf,
        /// Why.
        source: sys::Error,
    },
    /// It is there and does nothing.
    #[error("the keeper of networks in {dir:?} has not answered within {limit:?}")]
    Silent {
        /// Its directory.
        dir: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It says something this version does not understand.
    #[error("the keeper of networks in {dir:?} sent what is not an answer")]
    Malformed {
        /// Its directory.
        dir: PathBuf,
        /// Where; none if it is an answer to something else.
        source: Option<Malformed>,
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
    /// What it is about; [`ErrorKind::Unavailable`] when no keeper listens.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } | Self::Died { .. } => ErrorKind::Unavailable,
            Self::Refused { kind, .. } => *kind,
            Self::Spawn { .. }
            | Self::Missing { .. }
            | Self::Connection { .. }
            | Self::Silent { .. }
            | Self::Malformed { .. } => ErrorKind::Internal,
        }
    }

    /// Whether there is no process, so that a new one may do what was asked.
    fn is_gone(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Died { .. })
    }
}

impl Keeper {
    /// The keeper whose program is in this file, and whose directory is this one. Nothing is started
    /// yet.
    pub fn new(program: PathBuf, dir: PathBuf) -> Self {
        Self {
            program,
            dir,
            idle: Mutex::default(),
            process: Mutex::default(),
        }
    }

    /// Makes changes, all of them or none: the port of each reservation, in their order. The
    /// descriptors are those of the views among them. A keeper is started if none runs.
    pub fn apply(&self, changes: &[Change], fds: &[BorrowedFd<'_>]) -> Result<Vec<u16>, Error> {
        let call = Call::Apply {
            changes: changes.to_vec(),
        };
        match self.call(&call, fds)? {
            Reply::Applied { ports } => Ok(ports),
            _ => Err(self.malformed(None)),
        }
    }

    /// As [`Keeper::apply`], but for the answer, which is had later: it works meanwhile.
    pub fn begin(&self, changes: Vec<Change>) -> Result<Pending<'_>, Error> {
        let call = Call::Apply { changes };
        let idle = self.idle().take();
        let mut connection = idle.map_or_else(|| self.find_or_start(), Ok)?;
        match self.say(&connection, &call, &[]) {
            Err(error) if error.is_gone() => {
                connection = self.find_or_start()?;
                self.say(&connection, &call, &[])?;
            }
            said => said?,
        }
        Ok(Pending {
            keeper: self,
            call,
            connection: Some(connection),
        })
    }

    /// Has exactly this kept, and everything else forgotten.
    pub fn replace(&self, model: &Model) -> Result<(), Error> {
        let model = Box::new(model.clone());
        self.call(&Call::Replace { model }, &[]).map(drop)
    }

    /// What is kept. A keeper is started if none runs.
    pub fn model(&self) -> Result<Model, Error> {
        match self.call(&Call::Model, &[])? {
            Reply::Model { model } => Ok(*model),
            _ => Err(self.malformed(None)),
        }
    }

    /// How things stand. A keeper is started if none runs.
    pub fn status(&self) -> Result<Status, Error> {
        match self.call(&Call::Status, &[])? {
            Reply::Status(status) => Ok(status),
            _ => Err(self.malformed(None)),
        }
    }

    /// Ends it if it keeps nothing; whether none runs any more. None is started.
    pub fn end(&self) -> Result<bool, Error> {
        let connection = match self.connect() {
            Ok(connection) => connection,
            Err(error) if error.is_gone() => return Ok(true),
            Err(error) => return Err(error),
        };
        match self.exchange(&connection, &Call::End, &[]) {
            Ok(Reply::Failed {
                kind: ErrorKind::Conflict,
                ..
            }) => Ok(false),
            Ok(Reply::Failed { kind, message }) => Err(Error::Refused { kind, message }),
            Ok(_) => {
                *self.idle() = None;
                // Its end closes the connection. Whoever started it reaps it.
                let _ = socket::receive(&connection);
                self.process().reap();
                Ok(true)
            }
            Err(error) if error.is_gone() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sees to it that one runs, and that it is of the program installed now: one of another build
    /// hands over what it has to a new one.
    pub fn ensure(&self) -> Result<(), Error> {
        let connection = self.find_or_start()?;
        *self.idle() = Some(connection);
        Ok(())
    }

    /// Waits until the one that runs has ended, however it does; at most this long if there is a
    /// limit. Whether none runs.
    pub fn wait_for_end(&self, limit: Option<Duration>) -> Result<bool, Error> {
        let absent = |source| Error::Absent {
            dir: self.dir.clone(),
            source,
        };
        let connection = match self.connect() {
            Ok(connection) => connection,
            Err(error) if error.is_gone() => return Ok(true),
            Err(error) => return Err(error),
        };
        let pid = socket::peer_pid(&connection).map_err(absent)?;
        let Ok(pidfd) = sys::pidfd::open(pid) else {
            return Ok(true);
        };
        // Still there after its process was opened: it is that process.
        if self.exchange(&connection, &Call::Hello, &[]).is_err() {
            return Ok(true);
        }
        drop(connection);
        let limit = limit.unwrap_or(Duration::MAX);
        let ended = sys::pidfd::ended_within(&pidfd, limit).map_err(absent)?;
        if ended {
            self.process().reap();
        }
        Ok(ended)
    }

    /// One call and its reply; `Reply::Failed` comes back as an error. One that has died meanwhile
    /// is started again, once: every call may be said twice.
    fn call(&self, call: &Call, fds: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
        let idle = self.idle().take();
        let connection = idle.map_or_else(|| self.find_or_start(), Ok)?;
        let answer = self.exchange(&connection, call, fds);
        self.conclude(connection, answer, call, fds)
    }

    fn conclude(
        &self,
        connection: OwnedFd,
        answer: Result<Reply, Error>,
        call: &Call,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Reply, Error> {
        let (connection, reply) = match answer {
            Err(error) if error.is_gone() => {
                let connection = self.find_or_start()?;
                let reply = self.exchange(&connection, call, fds)?;
                (connection, reply)
            }
            reply => (connection, reply?),
        };
        // Not put back after a failure: a late reply would be taken for the next call's.
        *self.idle() = Some(connection);
        match reply {
            Reply::Failed { kind, message } => Err(Error::Refused { kind, message }),
            reply => Ok(reply),
        }
    }

    fn find_or_start(&self) -> Result<OwnedFd, Error> {
        let mut process = self.process();
        match self.connect() {
            Ok(connection) if process.checked => return Ok(connection),
            Ok(connection) => {
                if self.is_current(&connection)? {
                    process.checked = true;
                    return Ok(connection);
                }
            }
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
        process.reap();
        let connection = self.start(&mut process)?;
        process.checked = true;
        Ok(connection)
    }

    fn is_current(&self, connection: &OwnedFd) -> Result<bool, Error> {
        match self.exchange(connection, &Call::Hello, &[]) {
            Ok(Reply::Hello { version, build }) => {
                Ok(version == protocol::VERSION && build == protocol::build_of(&self.program))
            }
            Ok(_) | Err(Error::Malformed { .. }) => Ok(false),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn start(&self, process: &mut Process) -> Result<OwnedFd, Error> {
        let failed = |source: sys::Error| {
            let program = self.program.clone();
            match source.errno {
                Errno::NOENT => Error::Missing { program },
                _ => Error::Spawn { program, source },
            }
        };
        let (connection, its) = socket::pair(Kind::Messages).map_err(failed)?;
        let child = spawn(&self.program, self.dir.as_os_str(), its).map_err(failed)?;
        process.child = Some(child);
        // It answers once it has resumed, or taken over.
        self.exchange(&connection, &Call::Hello, &[])?;
        Ok(connection)
    }

    fn connect(&self) -> Result<OwnedFd, Error> {
        let path = self.dir.join(protocol::SOCKET);
        socket::connect_within(&path, Kind::Messages, TO_ANSWER).map_err(|source| {
            let dir = self.dir.clone();
            match source.errno {
                Errno::AGAIN => self.silent(),
                _ => Error::Absent { dir, source },
            }
        })
    }

    fn exchange(
        &self,
        connection: &OwnedFd,
        call: &Call,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Reply, Error> {
        self.say(connection, call, fds)?;
        self.hear(connection)
    }

    fn say(&self, connection: &OwnedFd, call: &Call, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let broken = |source| self.broken(source);
        socket::set_patience(connection, TO_ANSWER).map_err(broken)?;
        socket::send(connection, &message::encode(call), fds).map_err(broken)
    }

    fn hear(&self, connection: &OwnedFd) -> Result<Reply, Error> {
        let broken = |source| self.broken(source);
        let Some(message) = socket::receive(connection).map_err(broken)? else {
            return Err(self.died());
        };
        message::decode(&message.bytes).map_err(|source| self.malformed(Some(source)))
    }

    fn broken(&self, source: sys::Error) -> Error {
        match source.errno {
            Errno::AGAIN => self.silent(),
            Errno::PIPE | Errno::CONNRESET => self.died(),
            _ => Error::Connection {
                dir: self.dir.clone(),
                source,
            },
        }
    }

    fn silent(&self) -> Error {
        Error::Silent {
            dir: self.dir.clone(),
            limit: TO_ANSWER,
        }
    }

    fn malformed(&self, source: Option<Malformed>) -> Error {
        Error::Malformed {
            dir: self.dir.clone(),
            source,
        }
    }

    fn died(&self) -> Error {
        let log = std::fs::read_to_string(self.dir.join(protocol::LOG)).unwrap_or_default();
        Error::Died {
            dir: self.dir.clone(),
            last_words: log.lines().next_back().unwrap_or_default().to_owned(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        // A descriptor is taken or put back whole: a panic elsewhere cannot leave it half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        // What is in it is found out anew when it is wrong.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes that the keeper was asked for. One that is given up is waited for all the same, so that what comes
/// after it comes after it.
#[derive(Debug)]
pub struct Pending<'a> {
    keeper: &'a Keeper,
    call: Call,
    connection: Option<OwnedFd>,
}

impl Pending<'_> {
    /// The port of each reservation, in their order.
    pub fn ports(mut self) -> Result<Vec<u16>, Error> {
        let Some(connection) = self.connection.take() else {
            return Ok(Vec::new());
        };
        let answer = self.keeper.hear(&connection);
        match self.keeper.conclude(connection, answer, &self.call, &[])? {
            Reply::Applied { ports } => Ok(ports),
            _ => Err(self.keeper.malformed(None)),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // What it says is for nobody.
            let _ = self.keeper.hear(&connection);
        }
    }
}

impl Process {
    /// One that has ended must not stay as a zombie.
    fn reap(&mut self) {
        let ended = |child: &Child| !matches!(sys::pidfd::try_wait(&child.pidfd), Ok(None));
        if self.child.as_ref().is_some_and(ended) {
            self.child = None;
        }
    }
}

/// Starts it in a session of its own, to outlive the caller.
fn spawn(program: &Path, dir: &OsStr, connection: OwnedFd) -> sys::Result<Child> {
    let null = sys::fd::open_read_write(Path::new("/dev/null"))?;
    let fds = [null.as_fd(), null.as_fd(), null.as_fd(), connection.as_fd()];
    let spawn = Spawn::new(program, ["brig-net".as_ref(), dir])?;
    spawn.fds(&fds).session().spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Keeper::new("/nonexistent/brig-net".into(), dir.path().to_owned());
        assert_eq!(
            keeper.ensure().unwrap_err().to_string(),
            "the keeper of networks \"/nonexistent/brig-net\" is not there: install brig-net beside brigd, or \
             use the networks none or host"
        );
    }
}
