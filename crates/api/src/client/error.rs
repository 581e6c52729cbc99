//! What can go wrong between a client and its daemon.

use types::ErrorKind;

use super::Place;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there: the one case in which starting a daemon helps.
    #[error("Cannot connect to the daemon at {endpoint}")]
    Connect {
        /// Where.
        endpoint: Place,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The daemon said no.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its sentence.
        message: String,
    },
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Http(#[source] hyper::Error),
    /// Somebody answers, but not in HTTP.
    #[error("what answers at the daemon's address is no daemon (--host names another)")]
    Foreign(#[source] hyper::Error),
    /// Reading or writing a stream failed.
    #[error("the stream to or from the daemon broke")]
    Stream(#[from] std::io::Error),
    /// The answer is not what the API says.
    #[error("the daemon's answer to {operation} makes no sense")]
    Answer {
        /// To what.
        operation: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The daemon cannot do this on a connection of this kind.
    #[error("the daemon did not hand over its connection: it answered with status {0}")]
    NotUpgraded(u16),
    /// The request cannot be written as HTTP.
    #[error("the request cannot be written as HTTP")]
    Request(#[from] hyper::http::Error),
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::Foreign(error)
        } else {
            Self::Http(error)
        }
    }
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } => ErrorKind::Unavailable,
            Self::Refused { status, .. } => kind_of_status(*status),
            Self::Request(_) => ErrorKind::Invalid,
            Self::Http(_)
            | Self::Foreign(_)
            | Self::Stream(_)
            | Self::Answer { .. }
            | Self::NotUpgraded(_) => ErrorKind::Internal,
        }
    }

    /// The status the daemon answered with, if it did.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether nobody listens.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }
}

/// The kind that a status stands for; the finer ones of the same status cannot be told apart.
fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        304 => ErrorKind::NotModified,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        501 => ErrorKind::Unsupported,
        503 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    }
}
