//! Why a container or process could not be made.

use types::ErrorKind;

/// One sentence with the object's name in it; the kernel's answer is its source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error("invalid configuration: {field}: {reason}")]
    Invalid {
        /// Where, as a path of the JSON document.
        field: String,
        /// What is wrong, and what would be accepted.
        reason: String,
    },
    /// A container's mounts, which are where others see them, cannot be taken away.
    #[error(
        "cannot take the mounts off {}: something else is mounted on top of them, \
         another container's root or whatever it is, and has to go first",
        path.display()
    )]
    Covered {
        /// Where they are.
        path: std::path::PathBuf,
    },
    /// The configuration asks for what this runtime or this kernel does not have.
    #[error("unsupported configuration: {field}: {reason}")]
    Unsupported {
        /// Where, as a path of the JSON document.
        field: String,
        /// What is missing.
        reason: String,
    },
    /// A system call on the caller's side failed.
    #[error("cannot {action}")]
    System {
        /// What was to be done, with the object's name.
        action: String,
        /// What the kernel said.
        source: sys::Error,
    },
    /// The cgroup could not be made, entered or removed.
    #[error("cannot {action} the cgroup")]
    Cgroup {
        /// What was to be done.
        action: &'static str,
        /// Why not.
        source: sys::cgroup::Error,
    },
    /// systemd, which was to make or change the cgroup, did not.
    #[error("cannot {action}")]
    Systemd {
        /// What was to be done.
        action: String,
        /// Why not.
        source: crate::cgroup::SystemdFailure,
    },
    /// The system call filter is wrong.
    #[error("cannot compile the system call filter")]
    Seccomp {
        /// Why not.
        source: sys::seccomp::Error,
    },
    /// Nobody takes the listener of a filter that has calls decided outside.
    #[error("failed to connect with seccomp agent {path}")]
    Agent {
        /// Its socket.
        path: String,
        /// What the kernel said.
        source: sys::Error,
    },
    /// An agent has the listener, and answers none of the calls that go to it.
    #[error(
        "the process did not come to run its command within {seconds} seconds: \
         the seccomp agent {path} does not answer its system calls"
    )]
    Undecided {
        /// Its socket.
        path: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A group of resctrl could not be made, filled or removed.
    #[error("cannot {action}: {reason}")]
    Resctrl {
        /// What was to be done, with the group's path.
        action: String,
        /// What the kernel said.
        reason: String,
    },
    /// A hook could not be run, failed or took too long.
    #[error("error running {point} hook #{number}: {path}: {reason}")]
    Hook {
        /// The point in a container's life.
        point: &'static str,
        /// Its place in the list of that point, from 0.
        number: usize,
        /// The hook's program.
        path: String,
        /// What happened.
        reason: String,
    },
    /// A step inside the container failed; `message` says which object and what the kernel said.
    #[error("{phase}, step {step}: {message}")]
    Step {
        /// What could not be done.
        phase: String,
        /// Its name in the table.
        step: String,
        /// What it is about.
        kind: ErrorKind,
        /// One sentence with the kernel's answer at its end.
        message: String,
    },
    /// What was to be done in a container that runs; `message` says which object and what the kernel said.
    #[error("{message}")]
    Inside {
        /// What it is about.
        kind: ErrorKind,
        /// One sentence with the kernel's answer at its end.
        message: String,
    },
    /// The container's command could not be executed.
    #[error("{message}")]
    Command {
        /// [`ErrorKind::CommandNotFound`] or [`ErrorKind::NotExecutable`].
        kind: ErrorKind,
        /// In the words of Docker and runc, which people search for.
        message: String,
    },
    /// The container's process ended before it said that it was ready.
    #[error("the container's process ended before it was ready: {how}")]
    Ended {
        /// Code or signal.
        how: String,
    },
    /// Another process of a container did not come as far as its command in time.
    #[error(
        "the process did not come to run its command within {seconds} seconds: \
         something in the container has stopped it, or the container is frozen"
    )]
    Late {
        /// How long it was waited for.
        seconds: u64,
    },
    /// A program that may map ids could not be run, or refused.
    #[error("cannot map ids of the user namespace with {helper}: {reason}")]
    IdMap {
        /// Its name.
        helper: String,
        /// What happened.
        reason: String,
    },
    /// CRIU could not do its work.
    #[error("criu failed: {reason}")]
    Criu {
        /// Why not, and where its log is.
        reason: String,
    },
    /// The two sides of the protocol do not understand each other.
    #[error("unexpected answer of the container's process: {answer}")]
    Protocol {
        /// What came.
        answer: String,
    },
    /// For tests: the step was told to fail.
    #[error("step {0} was told to fail")]
    Injected(&'static str),
}

impl Error {
    /// [`ErrorKind::CommandNotFound`] and [`ErrorKind::NotExecutable`] when execve(2) failed so.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Cgroup { source, .. } => source.kind(),
            Self::Seccomp { source } => source.kind(),
            Self::Step { kind, .. } | Self::Inside { kind, .. } | Self::Command { kind, .. } => {
                *kind
            }
            Self::System { .. }
            | Self::Covered { .. }
            | Self::Agent { .. }
            | Self::Systemd { .. }
            | Self::Hook { .. }
            | Self::Resctrl { .. }
            | Self::Ended { .. }
            | Self::Late { .. }
            | Self::Undecided { .. }
            | Self::IdMap { .. }
            | Self::Criu { .. }
            | Self::Protocol { .. }
            | Self::Injected(_) => ErrorKind::Internal,
        }
    }

    /// Whether version 2 took no process into a cgroup because those below it have controllers.
    pub(crate) fn is_busy_cgroup(&self) -> bool {
        let busy = sys::Errno::BUSY;
        matches!(self, Self::System { source, .. } if source.call == "clone3" && source.errno == busy)
    }

    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// Says what a failed system call was for.
pub(crate) trait Doing<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for sys::Result<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::System {
            action: action(),
            source,
        })
    }
}
