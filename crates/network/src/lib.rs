//! Networks: fills an existing network namespace and returns what knows how to detach it again.
//!
//! Will hold drivers, addresses, nftables rules, published ports and names. Knows no container.
//! Today a container has the host's network or a namespace with loopback only, which `runtime`
//! makes by itself; this crate states the boundary and holds nothing yet.

pub mod dns;
pub mod keeper;
