//! What went wrong, in one place: kind to words and exit code.
//!
//! `run` and its like end with Docker's codes: 125 when the daemon or the client failed, 126 when
//! the command cannot be executed, 127 when there is none, else the command's own. All other
//! verbs end with 1.

use std::io;

use types::ErrorKind;

/// A failure of the client.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line makes no sense; printed as it is.
    #[error(transparent)]
    Refused(#[from] crate::args::Refusal),
    /// Words are wrong in a way that only their meaning shows.
    #[error("{0}")]
    Invalid(String),
    /// The daemon cannot be reached; the sentence says what to do.
    #[error("{0}")]
    Unreachable(String),
    /// The daemon said no.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// Its words.
        message: String,
        /// What it is about.
        kind: ErrorKind,
    },
    /// The connection broke.
    #[error("{0}")]
    Connection(String),
    /// A file of the caller's.
    #[error("open {path}: {}", plain(.source))]
    File {
        /// As it was typed.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing the standard streams.
    #[error("{what}: {}", plain(.source))]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A build.
    #[error("ERROR: {0}")]
    Build(String),
    /// A `--format` that cannot be honoured.
    #[error("template parsing error: {0}")]
    Template(String),
    /// Everything has been said already.
    #[error("")]
    Silent(u8),
}

/// The kernel's sentence without Rust's number, in lower case as Go prints it.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match error.raw_os_error() {
        Some(_) => text.to_lowercase(),
        None => text.to_owned(),
    }
}

impl From<api::client::Error> for CliError {
    fn from(error: api::client::Error) -> Self {
        use api::client::Error as E;
        match error {
            E::Connect {
                ref endpoint,
                ref source,
            } => Self::Unreachable(crate::connect::unreachable(endpoint, source)),
            E::Refused { ref message, .. } => Self::Daemon {
                kind: refine(error.kind(), message),
                message: message.clone(),
            },
            other => Self::Connection(chain(&other)),
        }
    }
}

/// Statuses cannot tell why a command could not be started, the sentence can.
fn refine(kind: ErrorKind, message: &str) -> ErrorKind {
    let about_command = message.contains("exec: ") || message.contains("exec failed");
    let says = |words: &str| message.contains(words);
    match () {
        () if says("executable file not found") => ErrorKind::CommandNotFound,
        () if about_command && says("no such file or directory") => ErrorKind::CommandNotFound,
        () if about_command && (says("permission denied") || says("is a directory")) => {
            ErrorKind::NotExecutable
        }
        () if about_command && says("exec format error") => ErrorKind::NotExecutable,
        () => kind,
    }
}

/// Every layer's sentence, the outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// As if SIGPIPE had ended the client, which it does with Docker's.
pub const CLOSED_PIPE: u8 = 141;

/// How a verb reports failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Errors as they are, exit code 1.
    Plain,
    /// With the program's name and a hint, exit codes 125 to 127.
    Runs,
    /// Errors as they are, exit codes 125 to 127.
    Execs,
}

impl CliError {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) | Self::Invalid(_) | Self::Template(_) | Self::Build(_) => {
                ErrorKind::Invalid
            }
            Self::Unreachable(_) => ErrorKind::Unavailable,
            Self::Daemon { kind, .. } => *kind,
            Self::File { .. } => ErrorKind::NotFound,
            Self::Connection(_) | Self::Io { .. } | Self::Silent(_) => ErrorKind::Internal,
        }
    }

    /// The same, in the words of what tells of builds.
    pub(crate) fn of_build(self) -> Self {
        match self {
            Self::Refused(_) | Self::Silent(_) | Self::Build(_) => self,
            pipe if pipe.is_broken_pipe() => pipe,
            other => Self::Build(format!("failed to build: {other}")),
        }
    }

    /// The standard output was closed by who reads it: nothing to complain about.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The text for standard error and the exit code.
    pub fn report(&self, manner: Manner, name: &str) -> (String, u8) {
        match self {
            Self::Silent(code) => return (String::new(), *code),
            Self::Refused(refusal) => return (format!("{refusal}\n"), refusal.code),
            _ => {}
        }
        if self.is_broken_pipe() {
            return (String::new(), CLOSED_PIPE);
        }
        match manner {
            Manner::Plain => (format!("{self}\n"), 1),
            Manner::Execs => (format!("{self}\n"), self.kind().exit_code_of_run(1)),
            Manner::Runs => (
                format!("brig: {self}\n\nRun 'brig {name} --help' for more information\n"),
                self.exit_code_of_run(),
            ),
        }
    }

    /// As Docker's client, which goes by the daemon's words, whatever they are about.
    fn exit_code_of_run(&self) -> u8 {
        let says =
            |words: &str| matches!(self, Self::Daemon { message, .. } if message.contains(words));
        let kind = match self.kind() {
            kind @ (ErrorKind::CommandNotFound | ErrorKind::NotExecutable) => kind,
            _ if says("no such file or directory") => ErrorKind::CommandNotFound,
            _ if says("permission denied") || says("is a directory") => ErrorKind::NotExecutable,
            kind => kind,
        };
        kind.exit_code_of_run(125)
    }
}

/// Exit codes by kind.
trait ExitCode {
    fn exit_code_of_run(self, otherwise: u8) -> u8;
}

impl ExitCode for ErrorKind {
    fn exit_code_of_run(self, otherwise: u8) -> u8 {
        match self {
            Self::NotExecutable | Self::CommandNotFound => self.exit_code(),
            _ => otherwise,
        }
    }
}
