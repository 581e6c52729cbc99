//! What the maker of a container and the container's process-to-be say to each other: JSON messages
//! on a SOCK_SEQPACKET socket pair that execve(2) closes.
//!
//! ```text
//!   create / start                                  init
//!     ── clone3 ──────────────────────────────────►  steps of Enter
//!     ◄── Born + pidfd ────────────────────────────  (only through an usher, which says it)
//!     ── Continue ────────────────────────────────►  (only with a user namespace: ids are mapped)
//!     ── Continue ────────────────────────────────►  (only if the cgroup is made meanwhile: its doors)
//!     ◄──────────── Translate + mount, namespace ──  (only what a user namespace may not do itself)
//!     ── Continue ────────────────────────────────►
//!     ◄───────────────────────────────── AtHooks ──  steps of Root, before the old root goes
//!     ── Continue ────────────────────────────────►  (only with hooks of the maker)
//!     ◄── Mounted + mount namespace, terminal ─────  waits at the gate
//!     ── Start ───────────────────────────────────►  steps of Launch
//!     ◄── BornAt ──────────────────────────────────  (only joining unseen: the command's process is there)
//!     ── Continue ────────────────────────────────►
//!     ◄── Listener ────────────────────────────────  (only with a supervised filter, which is on)
//!     ── Continue ────────────────────────────────►
//!     ◄──────────────────────────── end of stream ─  execve(2) has closed the socket
//! ```
//!
//! Instead of any of its messages init may say `Failed`, and ends. An end of stream from the maker
//! ends init. With a gate of its own (`CreateRequest::gate`) everything from `Start` on goes over a
//! connection to that gate.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use types::ErrorKind;

use crate::error::{Doing, Error};

/// From init to its maker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "init", rename_all = "kebab-case")]
pub(crate) enum FromInit {
    /// The first process exists; its descriptor comes along. Said by who led it in.
    Born {
        /// Its pid where the maker is.
        pid: i32,
    },
    /// The same without its descriptor: it is a child of the maker.
    BornAt {
        /// Its pid where the maker is.
        pid: i32,
    },
    /// The namespaces exist; hooks of the maker may look at them.
    AtHooks,
    /// Everything is made. The terminal's master comes along, if there is one.
    Ready,
    /// The same with what was mounted. The mount namespace comes along, too.
    Mounted {
        /// The number of each mount of the plan, in its order; zero for one that is more than one.
        ids: Vec<u64>,
    },
    /// A mount that comes along, detached, is to have its ids translated by the user namespace that
    /// comes along too.
    Translate {
        /// Whether those below it are as well.
        below: bool,
    },
    /// The filter hands calls to a supervisor, who wants what comes along.
    Listener,
    /// The same without anything: it is this process' descriptor of that number.
    ListenerAt {
        /// The descriptor.
        number: i32,
    },
    /// A step failed; nothing more will come.
    Failed(Failure),
}

impl FromInit {
    /// Whether it is about a supervised filter.
    pub(crate) fn is_listener(&self) -> bool {
        matches!(self, Self::Listener | Self::ListenerAt { .. })
    }
}

/// From the maker to init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "maker", rename_all = "kebab-case")]
pub(crate) enum ToInit {
    /// What init waited for is done.
    Continue,
    /// The gate is open.
    Start,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What could not be done, as a sentence; filled in by the runner of the table.
    #[serde(default)]
    pub(crate) phase: String,
    /// The step's name; filled in by the runner of the table.
    #[serde(default)]
    pub(crate) step: String,
    /// What it is about.
    pub(crate) kind: ErrorKind,
    /// One sentence with the kernel's answer at its end.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            phase: String::new(),
            step: String::new(),
            kind,
            message: message.into(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure {
            phase,
            step,
            kind,
            message,
        } = failure;
        match kind {
            ErrorKind::CommandNotFound | ErrorKind::NotExecutable => {
                Self::Command { kind, message }
            }
            _ => Self::Step {
                phase,
                step,
                kind,
                message,
            },
        }
    }
}

/// Says what a failed call inside the container was for.
pub(crate) trait During<T> {
    fn during(self, action: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> During<T> for Result<T, E> {
    fn during(self, action: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut message = format!("cannot {}: {error}", action());
            let mut source = error.source();
            while let Some(cause) = source {
                message.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            Failure::new(ErrorKind::Internal, message)
        })
    }
}

/// The maker's end.
#[derive(Debug)]
pub(crate) struct MakerEnd(OwnedFd);

/// Init's end.
#[derive(Debug)]
pub(crate) struct InitEnd(OwnedFd);

/// Both ends.
pub(crate) fn channel() -> Result<(MakerEnd, InitEnd), Error> {
    let pair = sys::socket::pair(sys::socket::Kind::Messages);
    let (maker, init) = pair.doing(|| "make a socket pair".to_owned())?;
    Ok((MakerEnd(maker), InitEnd(init)))
}

impl MakerEnd {
    /// Takes a connection to a gate.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(crate) fn send(&self, message: ToInit) -> Result<(), Error> {
        self.send_with(message, &[])
    }

    pub(crate) fn send_with(&self, message: ToInit, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let sent = send(self.0.as_fd(), &message, fds);
        sent.doing(|| "write to the container's process".to_owned())
    }

    /// The next message and what came along; nothing at the end of stream.
    pub(crate) fn receive(&self) -> Result<Option<(FromInit, Vec<OwnedFd>)>, Error> {
        let received = receive(self.0.as_fd());
        received.doing(|| "read from the container's process".to_owned())
    }
}

impl AsFd for MakerEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl InitEnd {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(crate) fn send(&self, message: &FromInit, fds: &[BorrowedFd<'_>]) -> sys::Result<()> {
        send(self.0.as_fd(), message, fds)
    }

    /// The same by write(2), by which no descriptor can come along.
    pub(crate) fn write(&self, message: &FromInit) -> sys::Result<()> {
        let text = serde_json::to_vec(message).map_err(|_| MALFORMED)?;
        sys::fd::write_once(&self.0, &text)
    }

    /// The maker's next message and what came along; nothing when it is gone.
    pub(crate) fn receive(&self) -> sys::Result<Option<(ToInit, Vec<OwnedFd>)>> {
        receive(self.0.as_fd())
    }
}

impl AsFd for InitEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const MALFORMED: sys::Error = sys::Error {
    call: "recvmsg",
    errno: sys::Errno::INVAL,
};

fn send(to: BorrowedFd<'_>, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> sys::Result<()> {
    let text = serde_json::to_vec(message).map_err(|_| MALFORMED)?;
    sys::socket::send(to, &text, fds)
}

fn receive<T: DeserializeOwned>(from: BorrowedFd<'_>) -> sys::Result<Option<(T, Vec<OwnedFd>)>> {
    // The other end was closed with a message of ours unread. The kernel says so once, before what
    // was said last; after that comes the end of stream.
    let message = match sys::socket::receive(from) {
        Err(error) if error.errno == sys::Errno::CONNRESET => sys::socket::receive(from)?,
        answer => answer?,
    };
    let Some(message) = message else {
        return Ok(None);
    };
    let parsed = serde_json::from_slice(&message.bytes).map_err(|_| MALFORMED)?;
    Ok(Some((parsed, message.fds)))
}
