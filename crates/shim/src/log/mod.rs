//! The JSON-lines log: writer (for the shim) and reader (for the daemon).
//!
//! One JSON object a line, as Docker's `json-file` driver writes them:
//!
//! ```text
//! {"log":"a line with its newline\n","stream":"stdout","time":"2026-11-21T10:00:00.123456789Z"}
//! ```
//!
//! A line of more than [`PART`] bytes comes as several parts, the last of which ends with a newline.
//! A file may end in the middle of an object (power loss, a full disk): the writer begins a new line
//! after it, and the reader passes it over.

mod decode;
mod encode;
mod packed;
mod reader;
mod search;
mod writer;

pub use decode::decode;
pub use packed::pack;
pub use reader::{Filter, ReadError, Reader, Start, Verdict};
pub use writer::{Limits, Packer, Writer};

/// The longest piece of a line that one object holds, in bytes.
pub const PART: usize = 16 * 1024;

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, and everything a terminal shows.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One object of the log: a line with its newline, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from.
    pub stream: Stream,
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
    /// The text; bytes that were no UTF-8 have become U+FFFD.
    pub bytes: Vec<u8>,
}
