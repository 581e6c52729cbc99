//! Why a registry did not do as asked: one sentence with the registry or the reference in it. Wordings
//! that people know are Docker's.

use std::io;
use std::time::Duration;

use types::{Digest, ErrorKind};

use crate::config::InvalidConfig;
use crate::manifest::Malformed;

/// What somebody wanted of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To read.
    Pull,
    /// To write.
    Push,
}

impl Action {
    /// The word for sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }
}

/// Why a registry did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The configuration blocks it.
    #[error("{reference}: access to registry {registry} is blocked by the configuration")]
    Blocked {
        /// The registry.
        registry: String,
        /// What was asked for.
        reference: String,
    },
    /// The repository does not exist or is not for everybody, which registries do not tell apart.
    #[error(
        "{} access denied for {repository}, repository does not exist or may require 'docker login': {said}",
        action.as_str()
    )]
    Denied {
        /// What was wanted.
        action: Action,
        /// The repository, as people write it.
        repository: String,
        /// What the registry said.
        said: String,
    },
    /// The credentials are wrong, or there are none.
    #[error("{place}: {said}")]
    Unauthorized {
        /// Who: `registry HOST`, or a host that is none.
        place: String,
        /// What it said: `unauthorized: authentication required`.
        said: String,
    },
    /// No such tag or digest.
    #[error("manifest for {reference} not found: {said}")]
    NoManifest {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        said: String,
    },
    /// No such repository.
    #[error("repository {repository} not found: {said}")]
    NoRepository {
        /// The repository.
        repository: String,
        /// What the registry said.
        said: String,
    },
    /// The registry does not have the blob.
    #[error("{repository} has no blob {digest}: {said}")]
    NoBlob {
        /// The repository.
        repository: String,
        /// The blob.
        digest: Digest,
        /// What the registry said.
        said: String,
    },
    /// Asked too often.
    #[error("cannot {what}: {place} says {said}")]
    TooMany {
        /// What was tried.
        what: String,
        /// Who: `registry HOST`, or a host that is none.
        place: String,
        /// What it said: `toomanyrequests: ...`.
        said: String,
        /// After how long it may be asked again, if it said so.
        after: Option<Duration>,
    },
    /// An answer that means no.
    #[error("cannot {what}: {place} answered {status}: {said}")]
    Refused {
        /// What was tried.
        what: String,
        /// Who: `registry HOST`, or a host that is none.
        place: String,
        /// The status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// No connection, or a broken one.
    #[error("cannot {what}: {place}: {why}")]
    Connection {
        /// What was tried.
        what: String,
        /// Who: `registry HOST`, or a host that is none.
        place: String,
        /// What is wrong with the connection.
        why: String,
    },
    /// Nothing came for too long.
    #[error("cannot {what}: {place} sent nothing for {} seconds", after.as_secs())]
    Stalled {
        /// What was tried.
        what: String,
        /// Who: `registry HOST`, or a host that is none.
        place: String,
        /// How long.
        after: Duration,
    },
    /// An answer that breaks the protocol.
    #[error("cannot {what}: {place} {why}")]
    Protocol {
        /// What was tried.
        what: String,
        /// Who: `registry HOST`, or a host that is none.
        place: String,
        /// How.
        why: String,
    },
    /// A document that is no manifest.
    #[error("cannot use the manifest of {reference} from registry {registry}")]
    Manifest {
        /// What was asked for.
        reference: String,
        /// The registry.
        registry: String,
        /// Why not.
        source: Malformed,
    },
    /// Other bytes than named.
    #[error(
        "registry {registry} sent a manifest of {reference} whose digest is {found}, {expected} was asked for"
    )]
    Digest {
        /// What was asked for.
        reference: String,
        /// The registry.
        registry: String,
        /// Its digest.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A signature that is kept on this machine cannot be read.
    #[error("cannot read the signature {}", path.display())]
    Signature {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was to be sent could not be read.
    #[error("cannot read {digest} to push it to {repository}")]
    Source {
        /// The blob.
        digest: Digest,
        /// Where it was to go.
        repository: String,
        /// Why not.
        source: io::Error,
    },
    /// Asked for something that cannot be asked.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// What it is about, for status and exit codes.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(error) => error.kind(),
            Self::Manifest { source, .. } => source.kind(),
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Blocked { .. } => ErrorKind::Forbidden,
            Self::Denied { action, .. } if *action == Action::Pull => ErrorKind::NotFound,
            Self::Denied { .. } => ErrorKind::Forbidden,
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::NoManifest { .. } | Self::NoRepository { .. } | Self::NoBlob { .. } => {
                ErrorKind::NotFound
            }
            Self::TooMany { .. } | Self::Connection { .. } | Self::Stalled { .. } => {
                ErrorKind::Unavailable
            }
            Self::Refused { status, .. } => match status {
                501 | 405 | 415 => ErrorKind::Unsupported,
                500.. => ErrorKind::Unavailable,
                400 | 413 | 416 => ErrorKind::Invalid,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                409 => ErrorKind::Conflict,
                _ => ErrorKind::Internal,
            },
            Self::Protocol { .. }
            | Self::Digest { .. }
            | Self::Signature { .. }
            | Self::Source { .. } => ErrorKind::Internal,
        }
    }
}
