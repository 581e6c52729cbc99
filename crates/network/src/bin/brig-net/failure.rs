//! What goes wrong, on its way to the daemon.

use std::error::Error;

use network::keeper::Reply;
use types::ErrorKind;

/// Why something was not done.
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
            let message = format!("cannot {what}: {}", chain(&error));
            Self::new(ErrorKind::Internal, message)
        }
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
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

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            kind: failure.kind,
            message: failure.message,
        }
    }
}
