//! Bundle -> process: the OCI runtime, as a library for `brig-shim` and as `brig-runtime`.
//!
//! Synchronous and single-threaded from start to execve(2). Knows the OCI runtime specification and
//! the kernel (through `sys`); knows nothing of images, Docker, the daemon or the shim.
//!
//! Boundary types: [`CreateRequest`], [`Created`], [`Container`], [`ExecRequest`], [`Error`].

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{Process, Spec};
use types::{ErrorKind, Mount, ProcessRef, Signal};

/// What [`create`] needs.
#[derive(Debug)]
pub struct CreateRequest<'a> {
    /// The container's id; names its cgroup where the specification names none.
    pub id: &'a str,
    /// The bundle: relative paths of the specification start here.
    pub bundle: &'a Path,
    /// The configuration (config.json).
    pub spec: &'a Spec,
    /// The root file system, mounted in the container's own namespace only, so that nothing is left
    /// on the host whoever dies. Empty: `spec.root.path` is a directory that is there.
    pub rootfs: &'a [Mount],
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// The signal the kernel sends to the container when the calling thread dies.
    pub parent_death_signal: Option<Signal>,
    /// A listening SOCK_SEQPACKET unix socket at which the process waits to be started, for callers
    /// that end before. None: it waits for [`Created::start`].
    pub gate: Option<OwnedFd>,
    /// How many descriptors from 3 on the process keeps besides the standard streams.
    pub preserve_fds: u32,
    /// For tests: the step of [`steps`] that is to fail. None in real life.
    pub fail_at: Option<&'a str>,
}

/// The names of all steps: what [`CreateRequest::fail_at`] takes.
pub fn steps() -> Vec<&'static str> {
    todo!()
}

/// Where a process' standard streams go.
#[derive(Debug)]
pub enum Stdio {
    /// The caller's own.
    Inherit,
    /// These descriptors become 0, 1 and 2.
    Files([OwnedFd; 3]),
    /// A new pseudo-terminal of the container's devpts, whose master the caller gets back.
    Terminal {
        /// Rows and columns; zeros leave the kernel's default.
        size: [u16; 2],
    },
}

/// A container whose namespaces, mounts and cgroup are made; its process waits at the gate.
#[derive(Debug)]
pub struct Created {
    /// Its first process.
    pub process: ProcessRef,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

/// A container whose command has been executed.
#[derive(Debug)]
pub struct Container {}

/// What [`Container::exec`] needs.
#[derive(Debug)]
pub struct ExecRequest<'a> {
    /// Arguments, environment, identity, capabilities and limits of the new process.
    pub process: &'a Process,
    /// Standard input, output and error.
    pub stdio: Stdio,
}

/// A process joined to a container.
#[derive(Debug)]
pub struct Executed {
    /// The process, a child of the caller.
    pub process: ProcessRef,
    /// The same, to wait for.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

/// Why a container or process could not be made. One sentence with the step's name in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// [`ErrorKind::CommandNotFound`] and [`ErrorKind::NotExecutable`] when execve(2) failed so.
    pub fn kind(&self) -> ErrorKind {
        todo!()
    }
}

/// Makes namespaces, root, devices and cgroup, and leaves the process waiting at the gate.
/// On failure nothing is left: no mount, no cgroup, no process.
pub fn create(_request: CreateRequest<'_>) -> Result<Created, Error> {
    todo!()
}

impl Created {
    /// A descriptor of the first process: readable when it has ended (pidfd_open(2)).
    pub fn pidfd(&self) -> &OwnedFd {
        todo!()
    }

    /// Opens the gate and returns when the command has been executed, or says why it was not.
    /// After a failure the caller destroys the container.
    pub fn start(self) -> Result<Container, Error> {
        todo!()
    }

    /// Kills the waiting process and removes what was made.
    pub fn destroy(self) -> Result<(), Error> {
        todo!()
    }
}

impl Container {
    /// Its first process.
    pub fn process(&self) -> ProcessRef {
        todo!()
    }

    /// A descriptor of the first process: readable when it has ended.
    pub fn pidfd(&self) -> &OwnedFd {
        todo!()
    }

    /// Runs another process in the container's namespaces, root and cgroup. The new process is a
    /// child of the caller.
    pub fn exec(&self, _request: ExecRequest<'_>) -> Result<Executed, Error> {
        todo!()
    }

    /// Signals the first process.
    pub fn kill(&self, _signal: Signal) -> Result<(), Error> {
        todo!()
    }

    /// Whether the out-of-memory killer has struck in its cgroup.
    pub fn oom_killed(&self) -> bool {
        todo!()
    }

    /// Kills whatever is left in the cgroup and removes it. After the first process has been reaped.
    pub fn destroy(self) -> Result<(), Error> {
        todo!()
    }
}
