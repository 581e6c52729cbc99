//! Passing on what the kernel's rules cannot lead to a container: connections to `[::1]`, and from one
//! version of the protocol to the other. Who waits for the descriptors is the caller's affair.

mod connection;
mod sessions;

pub use connection::{Connection, Pipes, Side};
pub use sessions::{IDLE, Sessions};
