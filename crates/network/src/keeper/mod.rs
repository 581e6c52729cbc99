//! The keeper of what networks need while the daemon is away: `brig-net`, one small process that
//! holds the nftables table, the sockets of published ports, and the resolver of all containers.
//!
//! [`protocol`] is what is said to it, [`model`] what it is told, [`Keeper`] who says it.

mod client;
pub mod message;
pub mod model;
pub mod protocol;

pub use client::{Error, Keeper, Pending};
pub use model::{Change, Endpoint, Listen, Model, Network, Reservation, Settings, Upstream, View};
pub use protocol::{Call, Reply, Status};
