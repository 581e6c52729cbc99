//! Why a build came to nothing.

use std::sync::Arc;

use types::{Digest, ErrorKind};

use crate::source::{Source, Span};

/// Why a build, or a step of it, came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// All layers of the reason in one line.
    pub message: String,
    /// What it is about.
    pub kind: ErrorKind,
    /// The exit code of the command that failed.
    pub code: Option<i32>,
    /// That command, its words with spaces between them.
    pub command: Option<Box<str>>,
    /// The vertex that failed.
    pub vertex: Option<Digest>,
    /// The file that is to blame, and where in it.
    pub place: Option<(Arc<Source>, Vec<Span>)>,
    /// It was cancelled.
    pub cancelled: bool,
}

impl Failure {
    /// A sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
            code: None,
            command: None,
            vertex: None,
            place: None,
            cancelled: false,
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The machine's fault, or ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Somebody gave it up.
    pub fn cancelled() -> Self {
        Self {
            cancelled: true,
            ..Self::new(ErrorKind::Unavailable, "context canceled")
        }
    }

    /// The class.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same with words in front.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        if !self.cancelled {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    /// The same with the file and the places that are to blame, unless it has some.
    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, spans: &[Span]) -> Self {
        if self.place.is_none() && spans.iter().any(|span| span.start.line > 0) {
            self.place = Some((source.clone(), spans.to_vec()));
        }
        self
    }

    /// The lines of the file that are to blame.
    pub fn excerpt(&self) -> String {
        let Some((source, spans)) = &self.place else {
            return String::new();
        };
        spans
            .first()
            .map_or_else(String::new, |span| source.excerpt(*span))
    }

    /// A sentence, and below it the lines that are to blame.
    pub fn with_excerpt(&self, sentence: &str) -> String {
        match self.excerpt().as_str() {
            "" => sentence.to_owned(),
            excerpt => format!("{sentence}\n{excerpt}"),
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self::new(error.kind(), error.chain())
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        engine::Error::from(error).into()
    }
}

impl From<engine::image::Failed> for Failure {
    fn from(failed: engine::image::Failed) -> Self {
        Self::new(failed.kind(), failed.message)
    }
}
