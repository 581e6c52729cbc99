//! Networks: their records, who is in them, and one file a verb.
//!
//! A start decides first ([`place`]: addresses, the way out, ports; nothing but memory), reserves its
//! ports with the keeper, and fills the container's namespace while its process waits at the gate
//! ([`attach`]). An end is answered first and cleaned up after ([`attach::release`]).
//!
//! The kernel's objects of a network are made when the first container needs them.

pub(crate) mod advertise;
pub(crate) mod attach;
mod check;
mod connect;
mod create;
mod disconnect;
mod error;
mod explain;
pub(crate) mod files;
pub(crate) mod forwarding;
pub(crate) mod limit;
pub(crate) mod links;
mod list;
pub(crate) mod place;
mod plan;
mod prune;
mod reach;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod releases;
mod remove;
pub(crate) mod republish;
pub(crate) mod reserve;
mod rules;
mod settings;
pub(crate) mod table;
pub(crate) mod told;
mod unlink;

use std::net::IpAddr;

use network::Cidr;
pub use network::{Counters, ipam::Pool};
use types::{
    ContainerId, ContainerName, ContainerPort, EndpointId, EndpointRequest, NetworkId, NetworkSpec,
};

use crate::record::Fixed;

pub(crate) use check::{networks_of, request, warnings};
pub use connect::connect;
pub use create::{Created, create};
pub use disconnect::disconnect;
pub use error::NetworkError;
pub use explain::{Explained, Fate, Told, explain};
pub use files::host_gateways;
pub use list::{inspect, list};
pub use prune::prune;
pub use reach::Reach;
pub use record::PublishedPort;
pub use remove::remove;
pub use settings::Settings;
pub use unlink::unlink;

/// A network as it is now.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: NetworkId,
    /// Nanoseconds since the Unix epoch; none of those that are always there.
    pub created: Option<i64>,
    /// What was asked for, with the subnets that were chosen.
    pub spec: NetworkSpec,
    /// Whether it is always there.
    pub predefined: bool,
    /// Containers that are in it and run.
    pub containers: Vec<Member>,
    /// Whether any container, running or not, is in it.
    pub used: bool,
    /// By subnet: addresses in use or reserved, and those left.
    pub usage: Vec<(String, u64, u64)>,
}

/// A container in a network.
#[derive(Debug, Clone)]
pub struct Member {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// Its place.
    pub place: Place,
}

/// What a container has in a network while it runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// Of this run.
    pub id: EndpointId,
    /// Hardware address.
    pub mac: String,
    /// Address and the length of its prefix.
    pub ipv4: Option<(IpAddr, u8)>,
    /// Address and the length of its prefix.
    pub ipv6: Option<(IpAddr, u8)>,
    /// The network's.
    pub gateway4: Option<IpAddr>,
    /// The network's.
    pub gateway6: Option<IpAddr>,
}

/// A network of a container.
#[derive(Debug, Clone)]
pub struct EndpointView {
    /// Its name.
    pub name: String,
    /// Its id; none before the first start where nothing was known by that name.
    pub network: Option<NetworkId>,
    /// What was asked for.
    pub request: EndpointRequest,
    /// Names it is found by.
    pub names: Vec<String>,
    /// What it has while it runs.
    pub place: Option<Place>,
}

impl Place {
    pub(crate) fn of(live: &record::Live) -> Self {
        let pair = |cidr: Cidr| (cidr.address(), cidr.prefix());
        let gateway = |ipv4: bool| {
            let mut gateways = live.gateways.iter().copied();
            gateways.find(|gateway| gateway.is_ipv4() == ipv4 && !gateway.is_unspecified())
        };
        Self {
            id: live.id.clone(),
            mac: live.attachment.mac.to_string(),
            ipv4: live.ipv4().map(pair),
            ipv6: live.ipv6().map(pair),
            gateway4: gateway(true),
            gateway6: gateway(false),
        }
    }
}

/// The ports that a container says it listens on, its image's among them.
pub(crate) fn exposed(fixed: &Fixed) -> Vec<ContainerPort> {
    let texts = fixed
        .spec
        .exposed_ports
        .iter()
        .chain(&fixed.resolved.exposed_ports);
    let mut ports: Vec<ContainerPort> = texts.flat_map(|text| range(text)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// `80`, `80/udp`, `3000-3005/tcp`.
fn range(text: &str) -> Vec<ContainerPort> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (Some((first, last)), Ok(protocol)) = (types::port_range(ports), protocol.parse()) else {
        return Vec::new();
    };
    let port = |number| ContainerPort { number, protocol };
    (first..=last).map(port).collect()
}
