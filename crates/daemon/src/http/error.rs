//! The one place where an error becomes a status and a sentence for the client.

use std::fmt;

use hyper::StatusCode;
use types::ErrorKind;

/// Why a request was not served.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(kind.http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message: message.into(),
        }
    }

    pub(crate) fn with_status(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self::new(error.kind(), error.chain())
    }
}

impl From<api::convert::Refusal> for Failure {
    fn from(refusal: api::convert::Refusal) -> Self {
        Self::new(refusal.kind(), refusal.to_string())
    }
}

macro_rules! invalid {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::bad_request(error.to_string())
            }
        }
    )*};
}

invalid!(
    types::InvalidName,
    types::InvalidPlatform,
    types::InvalidReference,
    types::InvalidSignal
);

/// The task that was to answer has not.
impl From<tokio::sync::oneshot::error::RecvError> for Failure {
    fn from(_: tokio::sync::oneshot::error::RecvError) -> Self {
        let message = "internal error: a task ended before its time";
        Self::new(ErrorKind::Internal, message)
    }
}

/// A task that was to do the work is gone: it panicked, or the daemon is going down.
impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_cancelled() {
            Self::new(ErrorKind::Unavailable, "the daemon is shutting down")
        } else {
            Self::new(ErrorKind::Internal, "internal error: a task panicked")
        }
    }
}
