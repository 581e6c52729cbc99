//! Why a verb failed, and how it is told. Where callers of runc look for certain words, they are in.

use std::path::{Path, PathBuf};

/// One sentence a layer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library's.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A step inside the container that is made; in the words that tests made for runc look for.
    #[error(
        "runc {verb} failed: unable to start container process: error during container init: \
         {message} ({phase}, step {step})"
    )]
    Init {
        verb: &'static str,
        phase: String,
        step: String,
        message: String,
    },
    /// The user may not make the cgroup.
    #[error(
        "runc {verb} failed: unable to start container process: unable to apply cgroup \
         configuration: rootless needs no limits + no cgrouppath when no permission is granted \
         for cgroups: permission denied"
    )]
    NoCgroup {
        verb: &'static str,
        #[source]
        source: sys::cgroup::Error,
    },
    /// The kernel did not execute the command: what its own process would say.
    #[error(transparent)]
    Command(runtime::Error),
    /// A file of ours or the bundle's.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: sys::Error,
    },
    /// Not the JSON it should be.
    #[error("{} is malformed", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// A system call on no file.
    #[error("cannot {action}")]
    System {
        action: &'static str,
        #[source]
        source: sys::Error,
    },
    #[error("container does not exist: {0:?}")]
    NoContainer(String),
    #[error("container with given ID already exists: {0:?}")]
    Exists(String),
    #[error(
        "invalid container ID format: {0:?}: letters, digits, and _ + - . are accepted, \
         at most 1024 of them"
    )]
    Id(String),
    /// Not now.
    #[error("container {id:?} is {status}: it cannot be {verb}")]
    State {
        id: String,
        status: &'static str,
        verb: &'static str,
    },
    /// Not as things are; the words are the verb's.
    #[error("{0}")]
    Refused(String),
    /// The words on the command line make no sense.
    #[error("{0}")]
    Usage(String),
    #[error("No help topic for '{0}': brig-runtime --help lists the commands")]
    NoVerb(String),
    /// `exec --cgroup` named some that cannot be entered.
    #[error("error adding pid of the process to cgroups {0}")]
    Cgroups(String, #[source] runtime::Error),
    /// The same, told by the file by which processes enter the cgroup.
    #[error("error adding pid of the process to cgroups {cgroups}: {}/cgroup.procs: {errno}", path.display())]
    CgroupDoor {
        cgroups: String,
        path: PathBuf,
        errno: sys::Errno,
    },
    /// `exec` could not run anything.
    #[error("exec failed")]
    Exec(#[source] Box<Failure>),
}

impl Failure {
    /// What went wrong on the way of a container's first process.
    pub(crate) fn of_init(verb: &'static str, error: runtime::Error) -> Self {
        match error {
            runtime::Error::Step {
                phase,
                step,
                message,
                ..
            } => Self::Init {
                verb,
                phase,
                step,
                message,
            },
            runtime::Error::Cgroup { source, .. } if is_denied(&source) => {
                Self::NoCgroup { verb, source }
            }
            runtime::Error::Command { ref message, .. } if message.starts_with("exec ") => {
                Self::Command(error)
            }
            other => other.into(),
        }
    }

    /// runc's: 255 when exec could not run anything, 3 for a verb that is none, 1 for the rest.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exec(_) => 255,
            Self::NoVerb(_) => 3,
            _ => 1,
        }
    }

    /// The whole sentence.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}

fn is_denied(error: &sys::cgroup::Error) -> bool {
    use sys::cgroup::Error::{File, Write};
    match error {
        File { source, .. } | Write { source, .. } => {
            source.kind() == std::io::ErrorKind::PermissionDenied
        }
        _ => false,
    }
}

/// Gives a system call's answer the object it was about.
pub(crate) trait OnFile<T> {
    fn on_file(self, action: &'static str, path: &Path) -> Result<T, Failure>;
}

impl<T> OnFile<T> for sys::Result<T> {
    fn on_file(self, action: &'static str, path: &Path) -> Result<T, Failure> {
        self.map_err(|source| Failure::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

impl<T> OnFile<T> for std::io::Result<T> {
    fn on_file(self, action: &'static str, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| {
            let errno = sys::Errno(error.raw_os_error().unwrap_or(sys::Errno::INVAL.0));
            Failure::File {
                action,
                path: path.to_owned(),
                source: sys::Error {
                    call: action,
                    errno,
                },
            }
        })
    }
}

/// Gives a system call's answer its purpose.
pub(crate) trait Doing<T> {
    fn doing(self, action: &'static str) -> Result<T, Failure>;
}

impl<T> Doing<T> for sys::Result<T> {
    fn doing(self, action: &'static str) -> Result<T, Failure> {
        self.map_err(|source| Failure::System { action, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_runcs() {
        let missing = || Failure::NoContainer("x".to_owned());
        assert_eq!(missing().exit_code(), 1);
        let exec = Failure::Exec(Box::new(missing()));
        assert_eq!(
            (exec.exit_code(), exec.chain().as_str()),
            (255, "exec failed: container does not exist: \"x\"")
        );
        assert_eq!(Failure::NoVerb("frob".to_owned()).exit_code(), 3);
    }
}
