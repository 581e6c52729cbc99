//! Passing on what the kernel's rules cannot lead to a container: connections to `[::1]`, and from one
//! version of the protocol to the other. Who waits for the descriptors is the caller's affair.

use std::net::IpAddr;

use crate::address::Cidr;

mod connection;
mod sessions;

pub use connection::{Connection, Pipes, Side};
pub use sessions::{IDLE, Sessions};

/// Whether a port that only these may use, or everybody if there are none, is for a client. The host's own
/// loopback always may.
pub fn may_use(client: IpAddr, allow: &[Cidr]) -> bool {
    let client = client.to_canonical();
    allow.is_empty() || client.is_loopback() || allow.iter().any(|range| range.contains(client))
}
