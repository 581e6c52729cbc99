//! gRPC on connections that were HTTP/1.1: answered ([`server`]), and asked ([`channel`]), for over a session
//! the daemon is the client of its client.

pub mod channel;
pub mod server;

use std::time::Duration;

/// How often a client is asked whether it is there, and how long it may take to say so: one whose
/// machine is gone says nothing.
const ALIVE: Duration = Duration::from_secs(60);

/// The longest message, as BuildKit's clients have it.
pub const LONGEST: usize = 16 << 20;
