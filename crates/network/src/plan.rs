//! What networks and their endpoints are to be: plain data.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::{Cidr, Mac};
use types::Bandwidth;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// For sentences.
    pub name: String,
    /// How packets travel.
    pub driver: Driver,
    /// Each range with the address of its gateway as its address: `172.17.0.1/16`. What has no gateway
    /// has the first address of the range there, host bits all zero.
    pub subnets: Vec<Cidr>,
    /// Bytes of the largest packet; `None` leaves the kernel's 1500.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// Nobody outside is reached, and nobody outside reaches in; the host itself does both.
    #[serde(default)]
    pub internal: bool,
}

/// How packets travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// Through a bridge on the host.
    Bridge(BridgePlan),
    /// Out of an interface of the host, each container with a link-layer address of its own.
    Macvlan(MacvlanPlan),
    /// Out of an interface of the host, all containers with its link-layer address.
    Ipvlan(IpvlanPlan),
}

/// A bridge and what its containers may. What an older record does not say is as of [`BridgePlan::new`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgePlan {
    /// The device's name, at most 15 bytes.
    pub name: String,
    /// Somebody else's bridge: it is used as it is, and never removed.
    pub borrowed: bool,
    /// Whether containers of this network reach each other.
    pub icc: bool,
    /// How the outside is reached and reaches in, version 4.
    pub mode4: GatewayMode,
    /// The same for version 6.
    pub mode6: GatewayMode,
    /// Whether packets that leave get the host's source address, version 4. Only [`GatewayMode::Nat`] and
    /// [`GatewayMode::NatUnprotected`] do.
    pub masquerade4: bool,
    /// The same for version 6.
    pub masquerade6: bool,
    /// Source addresses that packets get when they leave, instead of that of the interface they leave by.
    pub snat: Vec<IpAddr>,
    /// Interfaces of the host by which packets may come to containers directly, in any mode.
    pub trusted: Vec<String>,
    /// The bridge has no address of version 4: something else is the gateway.
    pub no_address4: bool,
}

impl Default for BridgePlan {
    fn default() -> Self {
        Self::new("")
    }
}

impl BridgePlan {
    /// With everything as `docker network create` without flags has it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            borrowed: false,
            icc: true,
            mode4: GatewayMode::Nat,
            mode6: GatewayMode::Nat,
            masquerade4: true,
            masquerade6: true,
            snat: Vec::new(),
            trusted: Vec::new(),
            no_address4: false,
        }
    }
}

/// How a bridge network and the outside reach each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// Published ports are translated; nothing else comes in.
    #[default]
    Nat,
    /// The same, and who has a route reaches every port of the containers directly.
    NatUnprotected,
    /// Nothing is translated; who has a route reaches the published ports directly.
    Routed,
    /// The bridge has no address: nothing comes in or goes out, not even from or to the host.
    Isolated,
}

/// Macvlan on an interface of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MacvlanPlan {
    /// The interface; `NAME.TAG` is made, a VLAN of NAME, when it is not there. `None`: a dummy interface of
    /// this network's own, which reaches nothing (an internal network).
    pub parent: Option<String>,
    /// The parent is a VLAN that was made for this network, and goes with it.
    pub parent_is_ours: bool,
    /// The dummy's name, when there is no parent.
    pub dummy: String,
    /// Who reaches whom.
    pub mode: MacvlanMode,
}

/// Who reaches whom on one parent interface (ip-link(8)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacvlanMode {
    /// Each other, directly.
    #[default]
    Bridge,
    /// Not each other.
    Private,
    /// Each other by the switch outside.
    Vepa,
    /// There is one, and it has the parent for itself.
    Passthru,
}

/// Ipvlan on an interface of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IpvlanPlan {
    /// As [`MacvlanPlan::parent`].
    pub parent: Option<String>,
    /// As [`MacvlanPlan::parent_is_ours`].
    pub parent_is_ours: bool,
    /// As [`MacvlanPlan::dummy`].
    pub dummy: String,
    /// Where packets are looked at.
    pub mode: IpvlanMode,
    /// Who reaches whom.
    pub flag: IpvlanFlag,
}

/// By which layer packets find their way on one parent interface (ip-link(8)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpvlanMode {
    /// Containers are on the parent's link, with broadcasts and a gateway there.
    #[default]
    L2,
    /// The parent routes: no broadcasts, no gateway, and who is outside needs a route.
    L3,
    /// The same, through the host's rules for what comes and goes.
    L3s,
}

impl IpvlanMode {
    /// Whether everybody is reached by the link itself, without a gateway.
    pub fn routes(self) -> bool {
        self != Self::L2
    }
}

/// Who reaches whom on one parent interface (ip-link(8)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpvlanFlag {
    /// Each other, directly.
    #[default]
    Bridge,
    /// Not each other.
    Private,
    /// Each other by the switch outside.
    Vepa,
}

/// An interface to be put into a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPlan {
    /// Its name inside.
    pub interface: InterfaceName,
    /// Its link-layer address; `None` is the one of its first address, or a random one if it has none.
    pub mac: Option<Mac>,
    /// Its addresses, each with its subnet's prefix.
    pub addresses: Vec<Cidr>,
    /// Default routes to set, of each version at most one. By an address of all zeros everybody is on the link.
    pub gateways: Vec<IpAddr>,
    /// Other routes.
    pub routes: Vec<Route>,
    /// `net.*` settings of the interface: `net.ipv4.conf.IFNAME.forwarding`. The word IFNAME stands for the
    /// interface's name.
    pub sysctls: Vec<(String, String)>,
    /// Limits.
    pub bandwidth: Bandwidth,
}

/// A name of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterfaceName {
    /// This one.
    Exact(String),
    /// This prefix and the first number at or above this one that is free.
    Numbered(String, u32),
}

impl Default for InterfaceName {
    fn default() -> Self {
        Self::Numbered("eth".to_owned(), 0)
    }
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub to: Cidr,
    /// By whom; `None`: they are on the link.
    pub via: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of networks outlive the program that wrote them.
    #[test]
    fn what_is_not_said_is_as_without_flags() {
        let read: BridgePlan = serde_json::from_str(r#"{"name":"br0"}"#).unwrap();
        assert_eq!(read, BridgePlan::new("br0"));
        let read: NetworkPlan = serde_json::from_str(
            r#"{"name":"n","driver":{"Macvlan":{"parent":"eth0"}},"subnets":["10.0.0.1/24"]}"#,
        )
        .unwrap();
        let Driver::Macvlan(macvlan) = read.driver else {
            panic!("{read:?}");
        };
        assert_eq!(macvlan.parent.as_deref(), Some("eth0"));
        assert_eq!((macvlan.mode, read.mtu), (MacvlanMode::Bridge, None));
    }
}
