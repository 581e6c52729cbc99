//! What is wrong with a Dockerfile, and where.

use types::ErrorKind;

use crate::source::{Source, Span};

/// A Dockerfile cannot be read, or not be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    span: Span,
}

impl Error {
    /// A sentence about a place; no place where the file as a whole is meant.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span,
        }
    }

    /// The sentence about an instruction, with its line in front as BuildKit has it.
    pub(crate) fn instruction(span: Span, line: usize, message: impl AsRef<str>) -> Self {
        Self::new(
            span,
            format!(
                "dockerfile parse error on line {line}: {}",
                message.as_ref()
            ),
        )
    }

    /// The place, of line 0 where there is none.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The class: the file is at fault.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    /// The sentence and the lines it is about, with a mark below the character.
    pub fn show(&self, source: &Source) -> String {
        let place = source.pointing(self.span);
        if place.is_empty() {
            self.message.clone()
        } else {
            format!("{}\n{place}", self.message)
        }
    }
}
