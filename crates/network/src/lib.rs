//! Networks: fills an existing network namespace and returns what knows how to empty it again.
//!
//! A network is made with [`bridge::make`] (macvlan needs nothing made ahead); an endpoint of it is put into a namespace
//! with [`attach`], which returns an [`Attachment`]. Addresses are handed out by [`ipam`], pure. What
//! may reach what is a [`Ruleset`], one plain model of one nftables table; a [`Firewall`] carries it
//! out. Knows no container, no image, no HTTP.
//!
//! Boundary types: [`NetworkPlan`], [`EndpointPlan`], [`Attachment`], [`Bandwidth`], [`Cidr`], [`Mac`],
//! [`Ruleset`], [`Change`], [`Firewall`], [`Error`].

mod address;
mod advertise;
mod attach;
mod bandwidth;
pub mod bridge;
pub mod dns;
mod error;
pub mod flows;
pub mod holder;
mod host;
pub mod ipam;
pub mod keeper;
mod link;
mod outlet;
mod plan;
pub mod proxy;
pub mod ruleset;

pub use address::{Cidr, InvalidAddress, Mac};
pub use advertise::advertise;
pub use attach::{Attachment, STEPS, attach, set_gateways};
pub use bandwidth::Counters;
pub use error::Error;
pub use host::{
    Way, base_chains, disable_forwarding, enable_forwarding, forwarding_filters,
    forwarding_setting, forwards, host_routes, is_own, link_exists, own_addresses, way_to,
};
pub use outlet::check_parent;
pub use plan::{
    BridgePlan, Driver, EndpointPlan, GatewayMode, InterfaceName, IpvlanFlag, IpvlanMode,
    IpvlanPlan, MacvlanMode, MacvlanPlan, NetworkPlan, Route,
};
pub use ruleset::{Change, Firewall, Protocol, Published, Ruleset};
