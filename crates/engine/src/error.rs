//! Why a verb refused or failed: one sentence a layer, the source kept.
//!
//! Wordings that scripts and clients match are Docker's.

use std::io;

use types::{ContainerId, ErrorKind};

use crate::container::WrongState;

/// Why a verb refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is known by this id, prefix or name.
    #[error("No such container: {0}")]
    NoContainer(String),
    /// A prefix of more than one id.
    #[error("Multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// No exec session is known by this id.
    #[error("No such exec instance: {0}")]
    NoExec(String),
    /// No image is known by this name.
    #[error("No such image: {0}")]
    NoImage(String),
    /// The text cannot name an image. In Docker's words, which are compared with.
    #[error("invalid reference format")]
    InvalidImage,
    /// The image is not mounted.
    #[error("image {0} is not mounted")]
    NotMounted(String),
    /// The name is another container's.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        owner: ContainerId,
    },
    /// The request itself is wrong.
    #[error(transparent)]
    Invalid(#[from] crate::container::Invalid),
    /// The request cannot be rendered.
    #[error(transparent)]
    Render(#[from] crate::render::Error),
    /// The container's state does not allow it.
    #[error(transparent)]
    State(#[from] WrongState),
    /// Nothing had to be done.
    #[error("container {id} is already {state}")]
    NotModified {
        /// The container.
        id: ContainerId,
        /// The state that was wanted.
        state: &'static str,
    },
    /// A path of a container that cannot be had.
    #[error(transparent)]
    NoFile(#[from] crate::container::NoFile),
    /// A request about volumes that cannot be.
    #[error(transparent)]
    Volume(#[from] crate::volume::Refused),
    /// The image is in use.
    #[error(transparent)]
    ImageInUse(#[from] crate::image::InUse),
    /// An image cannot be had from where it was said to be.
    #[error(transparent)]
    NotCopied(#[from] crate::image::NotCopied),
    /// A user or group that the image does not know.
    #[error(transparent)]
    User(#[from] crate::users::UnknownUser),
    /// A container could not be made or its command not be executed.
    #[error("failed to create task for container")]
    Task(#[source] shim::Error),
    /// A process could not be run beside the container's.
    #[error("OCI runtime exec failed: exec failed")]
    Exec(#[source] shim::Error),
    /// The shim of a container did not do as asked.
    #[error("cannot {what} container {id}")]
    Shim {
        /// What was wanted.
        what: &'static str,
        /// The container.
        id: ContainerId,
        /// Why not.
        source: shim::Error,
    },
    /// A shim answered something else than what was asked.
    #[error("the shim of container {id} did not answer what it was asked: {what}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The container.
        id: ContainerId,
    },
    /// The run root is in use for containers of another data root.
    #[error(
        "the run root {} holds containers of the data root {}: name another run root for {}, or end \
         those containers by a daemon of their own", run_root.display(), owner.display(),
        data_root.display()
    )]
    RunRoot {
        /// Where sockets and bundles are.
        run_root: std::path::PathBuf,
        /// Whose they are.
        owner: std::path::PathBuf,
        /// Which was to be opened.
        data_root: std::path::PathBuf,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A registry did not do as asked.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The signature policy does not allow it.
    #[error("{what} is not allowed by the signature policy {}", policy.display())]
    Untrusted {
        /// `image debian:12`
        what: String,
        /// The file.
        policy: std::path::PathBuf,
        /// Which rule, and what is missing.
        source: registry::signatures::Refusal,
    },
    /// Nothing here has the name that is to be pushed.
    #[error("An image does not exist locally with the {of}: {reference}")]
    NothingToPush {
        /// The name.
        reference: String,
        /// `tag` or `repository`
        of: &'static str,
    },
    /// A document of an image that no image has.
    #[error("the configuration {digest} is longer than {most} bytes, the most that is taken")]
    LongDocument {
        /// Which.
        digest: types::Digest,
        /// Bytes.
        most: usize,
    },
    /// A transfer was given up.
    #[error("the transfer was interrupted")]
    Interrupted,
    /// A file, a directory or a socket could not be used.
    #[error("cannot {what}")]
    Io {
        /// What was tried, with the object's name.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A mechanism of the kernel refused.
    #[error("cannot {what}")]
    Kernel {
        /// What was tried, with the object's name.
        what: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record that this version cannot read.
    #[error("the record of container {id} cannot be read")]
    Record {
        /// The container.
        id: ContainerId,
        /// Why not.
        source: serde_json::Error,
    },
    /// Something that cannot be written as JSON.
    #[error("cannot encode {what}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// A stop or kill that came to nothing.
    #[error("container {id} did not exit within {seconds}s of being killed")]
    WillNotDie {
        /// The container.
        id: ContainerId,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Its removal failed while somebody waited for it.
    #[error("container {id} could not be removed: {reason}")]
    NotRemoved {
        /// The container.
        id: ContainerId,
        /// Why.
        reason: String,
    },
    /// ps(1) failed or does not show what is needed.
    #[error(transparent)]
    Top(#[from] crate::container::TopError),
    /// The log cannot be read.
    #[error(transparent)]
    Logs(#[from] crate::container::LogError),
    /// Networks.
    #[error(transparent)]
    Network(#[from] crate::network::NetworkError),
    /// The same of a container that was to be started.
    #[error("failed to set up container networking")]
    Networking(#[source] crate::network::NetworkError),
    /// A log's way to its server.
    #[error(transparent)]
    LogTls(#[from] crate::forward::TlsError),
    /// Ids for user namespaces.
    #[error(transparent)]
    UserIds(#[from] crate::user_ids::NoIds),
    /// Secrets.
    #[error(transparent)]
    Secret(#[from] crate::secret::SecretError),
    /// The step was told to fail by [`crate::Config::fail_at`].
    #[error("the step {0} was told to fail")]
    Injected(String),
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    Closing,
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoContainer(_)
            | Self::NoExec(_)
            | Self::NoImage(_)
            | Self::NotMounted(_)
            | Self::NothingToPush { .. } => ErrorKind::NotFound,
            Self::InvalidImage => ErrorKind::Invalid,
            Self::State(state) => state.kind(),
            Self::Registry(error) => error.kind(),
            Self::Untrusted { .. } => ErrorKind::Forbidden,
            Self::LongDocument { .. } => ErrorKind::Invalid,
            Self::Ambiguous(_) => ErrorKind::Invalid,
            Self::NotCopied(error) => error.kind(),
            Self::NameTaken { .. } | Self::ImageInUse(_) | Self::RunRoot { .. } => {
                ErrorKind::Conflict
            }
            Self::NoFile(error) => error.kind(),
            Self::Volume(error) => error.kind(),
            Self::Invalid(error) => error.kind(),
            Self::Render(error) => error.kind(),
            Self::NotModified { .. } => ErrorKind::NotModified,
            Self::Task(error) | Self::Exec(error) => error.kind(),
            Self::Shim { source, .. } => source.kind(),
            Self::Storage(error) => error.kind(),
            Self::Top(error) => error.kind(),
            Self::Logs(error) => error.kind(),
            Self::Network(error) | Self::Networking(error) => error.kind(),
            Self::LogTls(error) => error.kind(),
            Self::UserIds(error) => error.kind(),
            Self::Secret(error) => error.kind(),
            Self::Closing | Self::Interrupted => ErrorKind::Unavailable,
            Self::Io { .. }
            | Self::Kernel { .. }
            | Self::Record { .. }
            | Self::Encode { .. }
            | Self::Answer { .. }
            | Self::User(_)
            | Self::WillNotDie { .. }
            | Self::NotRemoved { .. }
            | Self::Injected(_) => ErrorKind::Internal,
        }
    }

    /// All layers in one line, joined by colons: what people are shown.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&words(error));
            source = error.source();
        }
        text
    }

    /// What networks refuse to a container that is being started, except about its links.
    pub(crate) fn at_start(self) -> Self {
        use crate::network::NetworkError::{LinkedElsewhere, LinkedRests};
        match self {
            Self::Network(error @ (LinkedRests { .. } | LinkedElsewhere(_))) => {
                Self::Network(error)
            }
            Self::Network(error) => Self::Networking(error),
            error => error,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn kernel<E>(what: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let what = what.into();
        move |source| Self::Kernel {
            what,
            source: Box::new(source),
        }
    }
}

/// A layer for people: an error number is said in words only.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let number = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error);
    number.map_or_else(
        || error.to_string(),
        |number| sys::Errno(number).to_string(),
    )
}
