//! What goes wrong, on its way to the daemon.

use std::error::Error;

use shim::protocol::Reply;
use types::ErrorKind;

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What it is about.
    pub(crate) kind: ErrorKind,
    /// One sentence a layer, joined by colons.
    pub(crate) message: String,
}

impl Failure {
    /// An internal failure to `what`, for `map_err`.
    pub(crate) fn of<E: Error>(what: impl std::fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| {
            Self::new(
                ErrorKind::Internal,
                format!("cannot {what}: {}", chain(&error)),
            )
        }
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn conflict(message: &str) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }
}

/// An error and its sources, a colon between them.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl From<runtime::Error> for Failure {
    fn from(error: runtime::Error) -> Self {
        Self::new(error.kind(), chain(&error))
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            kind: failure.kind,
            message: failure.message,
        }
    }
}
