//! gRPC on connections that were HTTP/1.1: answered ([`server`]), and asked ([`channel`]), for over a session
//! the daemon is the client of its client.

pub mod channel;
pub mod server;

use std::time::Duration;

pub use prost::Message;
pub use tokio_stream::Stream;
pub use tokio_stream::wrappers::ReceiverStream;
pub use tonic::metadata::MetadataMap;
pub use tonic::{Code, Request, Status, Streaming};

/// How often a client is asked whether it is there, and how long it may take to say so: one whose
/// machine is gone says nothing.
const ALIVE: Duration = Duration::from_secs(60);

/// The longest message, as BuildKit's clients have it.
pub const LONGEST: usize = 16 << 20;

/// A header's value that was escaped because it is no plain text.
pub fn unescape(text: &str) -> String {
    let bytes = percent_encoding::percent_decode_str(text);
    bytes.decode_utf8_lossy().into_owned()
}
