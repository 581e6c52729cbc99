//! gRPC on connections that were HTTP/1.1: answered ([`server`]), and asked ([`channel`]), for over a session
//! the daemon is the client of its client.

pub(crate) mod channel;
pub(crate) mod server;

/// The longest message, as BuildKit's clients have it.
pub(crate) const LONGEST: usize = 16 << 20;
