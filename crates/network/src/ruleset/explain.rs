//! What the table does with a packet, and why: said from the model, in the order of the table's chains.

use std::net::IpAddr;

use super::render::OTHER_ENGINES;
use super::{Protocol, Published, Ruleset, bridge_of};
use crate::plan::{BridgePlan, GatewayMode, NetworkPlan};

/// The first packet of a connection, which reaches this host or is made by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The protocol.
    pub protocol: Protocol,
    /// Who sends it.
    pub source: IpAddr,
    /// The interface it comes by; `lo` when the host itself makes it.
    pub interface: String,
    /// Where to.
    pub destination: IpAddr,
    /// The port there.
    pub port: u16,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It reaches a container.
    Delivered,
    /// Our rules stop it.
    Stopped,
    /// Our rules have no opinion: it is for the host itself, for a program that listens there, or for somebody
    /// else.
    NotOurs,
}

/// What becomes of a packet, and the rules that are the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The published port that it uses, if one.
    pub published: Option<Published>,
    /// One a rule, in order: the chain, then what it says.
    pub reasons: Vec<String>,
}

impl Ruleset {
    /// What the table does with a packet. `local` says whether an address is one of this host's.
    pub fn explain(&self, packet: &Packet, local: impl Fn(IpAddr) -> bool) -> Explanation {
        let mut reasons = Vec::new();
        let mut published = None;
        let outcome = if local(packet.destination) || packet.destination.is_loopback() {
            match self.translated(packet, &mut reasons) {
                Ok(port) => {
                    published = Some(port.clone());
                    self.forward(packet, port.target, Some(port), &mut reasons)
                }
                Err(outcome) => outcome,
            }
        } else {
            self.forward(packet, packet.destination, None, &mut reasons)
        };
        Explanation {
            outcome,
            published,
            reasons,
        }
    }

    /// The port that the chain `published` translates it to.
    fn translated(
        &self,
        packet: &Packet,
        reasons: &mut Vec<String>,
    ) -> Result<&Published, Outcome> {
        let own = packet.interface == "lo";
        if packet.destination.is_loopback() && !own {
            let bridge = self.bridge_named(&packet.interface).is_some();
            let chain = if bridge { "guard" } else { "prerouting" };
            reasons.push(format!(
                "{chain}: nobody but the host has {}",
                packet.destination
            ));
            return Err(if bridge {
                Outcome::Stopped
            } else {
                Outcome::NotOurs
            });
        }
        if packet.destination.is_loopback() && packet.destination.is_ipv6() {
            reasons
                .push("output: the kernel routes ::1 to nobody; a program may listen".to_owned());
            return Err(Outcome::NotOurs);
        }
        let fits = |port: &&Published| {
            port.protocol == packet.protocol
                && port.host_port == packet.port
                && port.target.is_ipv4() == packet.destination.is_ipv4()
                && !port.host_policy
                && !self.is_routed(port)
        };
        let mut ports = self.published.iter().filter(fits);
        let at = ports
            .clone()
            .find(|port| port.host == Some(packet.destination));
        let Some(port) = at.or_else(|| ports.find(|port| port.host.is_none())) else {
            let (number, protocol) = (packet.port, packet.protocol.name());
            reasons.push(format!(
                "published: nothing is published on {number}/{protocol} here"
            ));
            return Err(Outcome::NotOurs);
        };
        let (target, number) = (port.target, port.target_port);
        let owner = &port.owner;
        reasons.push(format!(
            "published: goes to {owner}, {target} port {number}"
        ));
        Ok(port)
    }

    fn bridge_named(&self, name: &str) -> Option<(&NetworkPlan, &BridgePlan)> {
        let mut bridges = self
            .networks
            .iter()
            .filter_map(|net| Some((net, bridge_of(net)?)));
        bridges.find(|(_, bridge)| bridge.name == name)
    }

    /// The chain `forward`.
    fn forward(
        &self,
        packet: &Packet,
        target: IpAddr,
        port: Option<&Published>,
        reasons: &mut Vec<String>,
    ) -> Outcome {
        if packet.interface == "lo" {
            reasons.push("output: the host itself reaches every container".to_owned());
            return Outcome::Delivered;
        }
        let reaches = |net: &NetworkPlan| net.subnets.iter().any(|subnet| subnet.contains(target));
        let mut bridges = self
            .networks
            .iter()
            .filter_map(|net| Some((net, bridge_of(net)?)));
        let to = bridges.find(|(net, bridge)| match port {
            Some(port) => bridge.name == port.bridge,
            None => reaches(net),
        });
        let from = self.bridge_named(&packet.interface);
        if let Some((net, bridge)) = from {
            let leaves = to.is_none_or(|(_, to)| to.name != bridge.name);
            let kept = net.internal || mode(bridge, target) == GatewayMode::Isolated;
            if leaves && kept {
                reasons.push(format!("from-{}: nothing leaves this network", bridge.name));
                return Outcome::Stopped;
            }
        }
        let Some((net, bridge)) = to else {
            let mut others = OTHER_ENGINES.iter();
            let theirs = others.any(|prefix| packet.interface.starts_with(prefix));
            let stopped = self.closed && from.is_none() && !theirs;
            reasons.push(if stopped {
                "forward: this host routes for nobody else".to_owned()
            } else {
                format!("forward: {target} is on no network of ours")
            });
            return if stopped {
                Outcome::Stopped
            } else {
                Outcome::NotOurs
            };
        };
        let (outcome, reason) = self.enter(packet, net, bridge, target, port);
        reasons.push(format!("{reason} (network {})", net.name));
        outcome
    }

    /// The chain `to-BRIDGE`.
    fn enter(
        &self,
        packet: &Packet,
        net: &NetworkPlan,
        bridge: &BridgePlan,
        target: IpAddr,
        port: Option<&Published>,
    ) -> (Outcome, String) {
        let name = &bridge.name;
        let say = |outcome, what: &str| (outcome, format!("to-{name}: {what}"));
        let own = packet.interface == *name;
        if own && bridge.icc {
            return say(Outcome::Delivered, "its containers reach each other");
        }
        if !net.internal && bridge.trusted.contains(&packet.interface) {
            return say(Outcome::Delivered, "the interface is trusted");
        }
        let mode = mode(bridge, target);
        let nothing = || say(Outcome::Stopped, "nothing else reaches this network");
        if net.internal || mode == GatewayMode::Isolated {
            return nothing();
        }
        let routed = self.published.iter().find(|port| {
            let same = (port.target, port.target_port) == (target, packet.port);
            same && port.protocol == packet.protocol && self.is_routed(port)
        });
        match (mode, port.or(routed)) {
            (GatewayMode::Routed, _) if own => {
                say(Outcome::Stopped, "its containers do not reach each other")
            }
            (_, Some(port)) => allowed(port, packet.source),
            (GatewayMode::NatUnprotected, None)
                if self.bridge_named(&packet.interface).is_none() =>
            {
                say(
                    Outcome::Delivered,
                    "every port is reached by who has a route",
                )
            }
            _ => nothing(),
        }
    }
}

fn mode(bridge: &BridgePlan, target: IpAddr) -> GatewayMode {
    if target.is_ipv4() {
        bridge.mode4
    } else {
        bridge.mode6
    }
}

/// The chain `allow-PORT`.
fn allowed(port: &Published, source: IpAddr) -> (Outcome, String) {
    if port.allow.is_empty() {
        return (Outcome::Delivered, "open: the port is published".to_owned());
    }
    match port.allow.iter().find(|range| range.contains(source)) {
        Some(range) => (
            Outcome::Delivered,
            format!("allow: {range} may use the port"),
        ),
        None => (
            Outcome::Stopped,
            format!("allow: {source} is not on the port's list"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::Change;
    use crate::{Driver, NetworkPlan};

    fn network(name: &str, subnet: &str, internal: bool) -> Change {
        Change::AddNetwork(NetworkPlan {
            name: format!("net-{name}"),
            driver: Driver::Bridge(BridgePlan::new(name)),
            subnets: vec![subnet.parse().unwrap()],
            mtu: None,
            internal,
        })
    }

    fn port(host: Option<&str>, host_port: u16, allow: &[&str]) -> Published {
        Published {
            owner: "web".to_owned(),
            protocol: Protocol::Tcp,
            host: host.map(|text| text.parse().unwrap()),
            host_port,
            target: [172, 30, 0, 2].into(),
            target_port: 80,
            bridge: "br0".to_owned(),
            allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
            host_policy: false,
        }
    }

    #[test]
    fn each_packet_has_its_reasons() {
        let mut rules = Ruleset::new("t");
        rules.change(&network("br0", "172.30.0.1/24", false));
        rules.change(&network("br1", "172.31.0.1/24", true));
        let ports = vec![
            port(None, 8080, &[]),
            port(None, 8081, &["10.0.0.0/8"]),
            port(Some("127.0.0.1"), 8082, &[]),
        ];
        rules.change(&Change::Publish(ports));
        let host: IpAddr = [192, 0, 2, 1].into();
        let explain = |interface: &str, source: &str, to: &str, number| {
            let packet = Packet {
                protocol: Protocol::Tcp,
                source: source.parse().unwrap(),
                interface: interface.to_owned(),
                destination: to.parse().unwrap(),
                port: number,
            };
            let told = rules.explain(&packet, |address| address == host);
            format!("{:?}: {}", told.outcome, told.reasons.join("; "))
        };
        let table = [
            (
                ("eth0", "10.1.1.1", "192.0.2.1", 8080),
                "Delivered: published: goes to web, 172.30.0.2 port 80; open: the port is published (network net-br0)",
            ),
            (
                ("eth0", "10.1.1.1", "192.0.2.1", 8081),
                "Delivered: published: goes to web, 172.30.0.2 port 80; allow: 10.0.0.0/8 may use the port (network net-br0)",
            ),
            (
                ("eth0", "11.1.1.1", "192.0.2.1", 8081),
                "Stopped: published: goes to web, 172.30.0.2 port 80; allow: 11.1.1.1 is not on the port's list (network net-br0)",
            ),
            (
                ("eth0", "10.1.1.1", "192.0.2.1", 8082),
                "NotOurs: published: nothing is published on 8082/tcp here",
            ),
            (
                ("lo", "127.0.0.1", "127.0.0.1", 8082),
                "Delivered: published: goes to web, 172.30.0.2 port 80; output: the host itself reaches every container",
            ),
            (
                ("eth0", "10.1.1.1", "127.0.0.1", 8082),
                "NotOurs: prerouting: nobody but the host has 127.0.0.1",
            ),
            (
                ("br0", "172.30.0.2", "127.0.0.1", 8082),
                "Stopped: guard: nobody but the host has 127.0.0.1",
            ),
            (
                ("eth0", "10.1.1.1", "172.30.0.2", 80),
                "Stopped: to-br0: nothing else reaches this network (network net-br0)",
            ),
            (
                ("br0", "172.30.0.3", "172.30.0.2", 80),
                "Delivered: to-br0: its containers reach each other (network net-br0)",
            ),
            (
                ("br1", "172.31.0.2", "192.0.2.1", 8080),
                "Stopped: published: goes to web, 172.30.0.2 port 80; from-br1: nothing leaves this network",
            ),
            (
                ("br0", "172.30.0.2", "8.8.8.8", 53),
                "NotOurs: forward: 8.8.8.8 is on no network of ours",
            ),
        ];
        for ((interface, source, to, number), wanted) in table {
            assert_eq!(explain(interface, source, to, number), wanted);
        }
    }
    #[test]
    fn who_is_kept_inside_is_known_by_address_or_link() {
        let mut rules = Ruleset::new("t");
        rules.change(&network("br0", "172.30.0.1/24", false));
        rules.change(&network("br1", "172.31.0.1/24", true));
        let mut isolated = BridgePlan::new("br2");
        isolated.mode6 = GatewayMode::Isolated;
        rules.change(&Change::AddNetwork(NetworkPlan {
            name: "net-br2".to_owned(),
            driver: Driver::Bridge(isolated),
            subnets: vec![
                "172.29.0.1/24".parse().unwrap(),
                "fd00::1/64".parse().unwrap(),
            ],
            mtu: None,
            internal: false,
        }));
        for (source, bridge, kept) in [
            ("172.30.0.2", "br0", false),
            ("172.31.0.2", "br1", true),
            ("172.29.0.2", "br2", false),
            ("fd00::2", "br2", true),
            ("203.0.113.2", "eth0", false),
            ("fe80::1", "br0", false),
            ("fe80::1", "br1", true),
            ("fe80::1", "br2", true),
            ("fe80::1", "eth0", false),
        ] {
            let source = source.parse().unwrap();
            let said = rules.keeps_inside(source, |name| name == bridge);
            assert_eq!(said, kept, "{source} by {bridge}");
        }
    }
}
