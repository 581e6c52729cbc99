//! Addresses: subnets for networks out of pools, addresses for endpoints out of subnets. Pure.
//!
//! Nothing that was just given back is handed out again while something else is free: the kernel takes a
//! while to forget an interface, and neighbours remember addresses.

mod addresses;
mod pool;

use types::ErrorKind;

pub use addresses::Addresses;
pub use pool::{Pool, choose, default_pools, ula_pool};

use crate::address::Cidr;
use std::net::IpAddr;

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No subnet is left.
    #[error(
        "no subnet of version {version} is left in the address pools ({pools}): each overlaps another network or \
         a route of this host; remove networks that are not used, choose a subnet yourself, or configure more \
         pools"
    )]
    NoSubnet {
        /// 4 or 6.
        version: u8,
        /// The pools.
        pools: String,
    },
    /// No address is left.
    #[error("no address is left in {range}: all {count} are in use or reserved")]
    Full {
        /// Where they are taken from.
        range: Cidr,
        /// How many are in use.
        count: usize,
    },
    /// Another endpoint has it.
    #[error("address {0} is in use already")]
    Taken(IpAddr),
    /// It is not one that an endpoint of the subnet can have.
    #[error("address {address} cannot be used: {reason}")]
    Unusable {
        /// The address.
        address: IpAddr,
        /// Why not.
        reason: String,
    },
    /// What is given about a subnet does not fit together.
    #[error("invalid subnet {subnet}: {reason}")]
    Subnet {
        /// The subnet.
        subnet: Cidr,
        /// What is wrong.
        reason: String,
    },
    /// A pool is no pool.
    #[error("invalid address pool {pool}: {reason}")]
    Pool {
        /// The pool.
        pool: Cidr,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// The class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSubnet { .. } | Self::Full { .. } => ErrorKind::Unavailable,
            Self::Taken(_) => ErrorKind::Conflict,
            Self::Unusable { .. } | Self::Subnet { .. } | Self::Pool { .. } => ErrorKind::Invalid,
        }
    }
}
