//! What may reach what: one plain model of one nftables table.
//!
//! [`Ruleset`] says what there is; [`render`](Ruleset::render) turns it into the table, a pure function;
//! a [`Firewall`] puts the table in place all at once, or a single [`Change`] of it.
//! [`Ruleset::explain`] says of a packet what the table does with it, and why.

use std::collections::HashSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::Cidr;
use crate::plan::{BridgePlan, Driver, GatewayMode, NetworkPlan};

mod explain;
mod firewall;
mod names;
mod render;
mod rule;

pub use explain::{Explanation, Outcome, Packet};
pub use firewall::{Firewall, Watch};
pub use names::{RESOLVER, redirect_names};
pub(crate) use rule::address_bytes;

/// Everything the table is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// The table's name, of family inet.
    pub table: String,
    /// The bridge networks. Those of other drivers have no rules.
    pub networks: Vec<NetworkPlan>,
    /// The published ports.
    pub published: Vec<Published>,
    /// Whether packets that neither come from nor go to one of the bridges are dropped: wanted where the host
    /// was no router before, and became one for the sake of its containers.
    pub closed: bool,
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number (IANA).
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// Its name, as in `8080/tcp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One port of one container, published on one port of the host. A range is as many of these; one that is
/// published for both versions is two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Whose it is, for sentences: the container's name or id.
    pub owner: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address; `None`: all it has of the target's version.
    #[serde(default)]
    pub host: Option<IpAddr>,
    /// The host's port; 0 where the gateway mode is [`GatewayMode::Routed`](crate::GatewayMode::Routed) and
    /// nothing is translated.
    pub host_port: u16,
    /// The container's address.
    pub target: IpAddr,
    /// The container's port.
    pub target_port: u16,
    /// The bridge through which the container is reached.
    pub bridge: String,
    /// Who may use it; empty: everybody. The host itself always may.
    #[serde(default)]
    pub allow: Vec<Cidr>,
    /// Whether the host's own rules for incoming packets (its input chains) decide. The kernel then translates
    /// nothing for this port: it is there for a program that listens on the host and passes on what it is sent.
    #[serde(default)]
    pub host_policy: bool,
}

/// A change of a [`Ruleset`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A network is there now; one with the same bridge is replaced.
    AddNetwork(NetworkPlan),
    /// No longer: the name of its bridge. Ports published through it are no longer published.
    RemoveNetwork(String),
    /// These ports are published now; one on the same protocol, address and port of the host is replaced.
    Publish(Vec<Published>),
    /// No longer. Those that were not are no error.
    Unpublish(Vec<Published>),
    /// Sets [`Ruleset::closed`].
    Close(bool),
}

impl Ruleset {
    /// Of a table in which nothing is published.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            ..Self::default()
        }
    }

    /// Makes a change to the model.
    pub fn change(&mut self, change: &Change) {
        match change {
            Change::AddNetwork(network) => {
                let Some(bridge) = bridge_of(network) else {
                    return;
                };
                self.networks.retain(|other| !is_on(other, &bridge.name));
                self.networks.push(network.clone());
            }
            Change::RemoveNetwork(bridge) => {
                self.networks.retain(|other| !is_on(other, bridge));
                self.published.retain(|port| port.bridge != *bridge);
            }
            Change::Publish(ports) => {
                let places: HashSet<Place> = ports.iter().map(Published::place).collect();
                self.published.retain(|old| !places.contains(&old.place()));
                self.published.extend(ports.iter().cloned());
            }
            Change::Close(closed) => self.closed = *closed,
            Change::Unpublish(ports) => self.published.retain(|old| !ports.contains(old)),
        }
    }

    /// Whether who speaks from this address is on a network that nothing leaves. An address of IPv6 that every
    /// link has is judged by the bridge it `came_by`.
    pub fn keeps_inside(&self, source: IpAddr, came_by: impl Fn(&str) -> bool) -> bool {
        let of_a_link = matches!(source, IpAddr::V6(source) if source.is_unicast_link_local());
        let bridges = self.networks.iter();
        let mut bridges = bridges.filter_map(|network| Some((network, bridge_of(network)?)));
        bridges.any(|(network, bridge)| {
            if of_a_link {
                return render::keeps_inside(network, bridge) && came_by(&bridge.name);
            }
            let isolated = render::mode(bridge, source.is_ipv4()) == GatewayMode::Isolated;
            let within = |subnet: &Cidr| subnet.contains(source);
            (network.internal || isolated) && network.subnets.iter().any(within)
        })
    }

    /// What stands in the way of publishing this port: another one on the same protocol and port whose address
    /// is the same, or is all addresses.
    pub fn in_the_way(&self, port: &Published) -> Option<&Published> {
        self.published.iter().find(|other| {
            other.protocol == port.protocol
                && other.host_port == port.host_port
                && other.host_port != 0
                && other.target.is_ipv4() == port.target.is_ipv4()
                && (other.host == port.host || other.host.is_none() || port.host.is_none())
        })
    }
}

/// Of two ports in the same place there is one only.
type Place = ((Protocol, Option<IpAddr>, u16), bool, Option<(IpAddr, u16)>);

impl Published {
    /// Its place on the host; where nothing is translated, that on the container.
    fn place(&self) -> Place {
        let of = (self.host_port == 0).then_some((self.target, self.target_port));
        let at = (self.protocol, self.host, self.host_port);
        (at, self.target.is_ipv4(), of)
    }
}

fn bridge_of(network: &NetworkPlan) -> Option<&BridgePlan> {
    match &network.driver {
        Driver::Bridge(bridge) => Some(bridge),
        Driver::Macvlan(_) | Driver::Ipvlan(_) => None,
    }
}

fn is_on(network: &NetworkPlan, bridge: &str) -> bool {
    bridge_of(network).is_some_and(|plan| plan.name == bridge)
}
