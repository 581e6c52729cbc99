//! The daemon's side of the protocol: blocking calls, each on a connection of its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use types::ErrorKind;

use crate::protocol::{Call, Launch, Notice, Reply};

/// A shim that answers.
#[derive(Debug)]
pub struct Shim {}

/// A connection that carries notices.
#[derive(Debug)]
pub struct Watch {}

/// Why a shim could not be reached, or what it answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// What it is about; [`ErrorKind::Unavailable`] when no shim listens.
    pub fn kind(&self) -> ErrorKind {
        todo!()
    }
}

/// Spawns `binary` as the shim of `launch`, with `dir` for its socket, by a vfork-style clone; the
/// shim is in a session of its own and outlives the caller.
pub fn launch(_binary: &Path, _dir: &Path, _launch: &Launch) -> Result<Shim, Error> {
    todo!()
}

impl Shim {
    /// The shim that listens in `dir`, after a restart of the daemon.
    pub fn connect(_dir: PathBuf) -> Result<Self, Error> {
        todo!()
    }

    /// One call and its reply; `Reply::Failed` comes back as an error.
    pub fn call(&self, _call: &Call, _fds: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
        todo!()
    }

    /// The shim's own process, to learn of its death.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        todo!()
    }

    /// A connection on which notices arrive.
    pub fn watch(&self) -> Result<Watch, Error> {
        todo!()
    }
}

impl Watch {
    /// The next notice without waiting: `None` when there is none yet.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the shim has closed the connection.
    pub fn try_next(&self) -> Result<Option<Notice>, Error> {
        todo!()
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        todo!()
    }
}

impl From<Watch> for OwnedFd {
    fn from(_watch: Watch) -> Self {
        todo!()
    }
}
