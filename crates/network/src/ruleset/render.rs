//! The model as a table: pure.
//!
//! A packet that is new passes these chains; what belongs to a known connection is let through at once.
//!
//! - `guard` (before anything): what a container sends to 127.0.0.0/8 is dropped. Its bridge routes such
//!   packets, for the sake of ports published on 127.0.0.1. What comes from a network that is kept inside to this
//!   host is dropped if it pretends to come from elsewhere: the keeper passes on by addresses.
//! - `prerouting`, `output`: what is for an address of this host goes through `published`.
//! - `published`: the destination becomes the container's, by maps.
//! - `forward`: what comes from a bridge goes through its chain `from-BRIDGE` if it has one; what was translated
//!   through `open`; what goes to a bridge through its chain `to-BRIDGE`, which ends in a drop. If forwarding was
//!   off before, what concerns no network of this engine or another ends here too.
//! - `open`, `open-routed`: lets through what was published; `allow-PORT` if there is a list of who may.
//! - `postrouting`: what was translated and goes back to the bridge it came from, in `back-BRIDGE`; what
//!   comes from a bridge and leaves, in `source-BRIDGE`.
//!
//! Whoever changes a verdict map has the kernel walk all ways through the table, each chain again on each way to
//! it. So what leads to as many chains as there are networks or ports stands in a chain that packets pass by
//! themselves, or that one such chain leads to: otherwise a change would take the square of their number.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use sys::nft::{
    Batch, Chain, Data, Elements, Hook, MetaKey, Place, Rule, Set, Table, Type, Values, Verdict,
    interface_key,
};

use super::rule::{Build, address_bytes};
use super::{Change, Published, Ruleset, bridge_of};
use crate::address::Cidr;
use crate::link::GROUP;
use crate::plan::{BridgePlan, GatewayMode, NetworkPlan};

/// Names of sets that the two versions have each.
struct Names {
    ipv4: bool,
    /// Destination of ports published on one address.
    ports_at: &'static str,
    /// On all addresses.
    ports: &'static str,
    /// Verdicts about them.
    open_at: &'static str,
    open: &'static str,
    /// Verdicts about ports of routed networks.
    routed: &'static str,
}

const VERSIONS: [Names; 2] = [
    Names {
        ipv4: true,
        ports_at: "ports4-at",
        ports: "ports4",
        open_at: "open4-at",
        open: "open4",
        routed: "routed4",
    },
    Names {
        ipv4: false,
        ports_at: "ports6-at",
        ports: "ports6",
        open_at: "open6-at",
        open: "open6",
        routed: "routed6",
    },
];

const BRIDGES: &str = "bridges";
/// Those of them that nothing leaves.
const INSIDE: &str = "inside";

/// How the interfaces of other engines' networks are called: Docker, libvirt, LXC, LXD, Incus, Podman, CNI.
pub(super) const OTHER_ENGINES: [&str; 8] = [
    "docker", "br-", "virbr", "lxcbr", "lxdbr", "incusbr", "podman", "cni",
];

impl Ruleset {
    /// The whole table.
    pub fn render(&self) -> Table {
        let mut table = self.render_networks();
        table.chains.extend(base_chains(self.closed));
        table
    }

    /// The part of the table that is made of networks and published ports.
    fn render_networks(&self) -> Table {
        let mut table = self.render_ports(self.published.iter());
        table.sets.extend(self.interface_sets());
        for network in &self.networks {
            if let Some(bridge) = bridge_of(network) {
                table.chains.extend(bridge_chains(network, bridge));
            }
        }
        table
    }

    /// What has to be done to a table that is as this model says when this change is made. It takes as long as
    /// what changes is long, however much else there is.
    pub fn batch(&self, change: &Change) -> Batch {
        let before = self.concerned_by(change);
        let mut after = before.clone();
        after.change(change);
        match change {
            Change::Close(_) => difference(&before.render(), &after.render()),
            _ => difference(&before.render_networks(), &after.render_networks()),
        }
    }

    /// The part of the model that a change can make another one.
    fn concerned_by(&self, change: &Change) -> Self {
        let (bridges, ports) = match change {
            Change::Publish(ports) | Change::Unpublish(ports) => {
                let bridges: BTreeSet<&str> = ports.iter().map(|p| p.bridge.as_str()).collect();
                (bridges, self.in_places_of(ports))
            }
            Change::AddNetwork(network) => {
                let bridge = bridge_of(network).map(|bridge| bridge.name.as_str());
                self.on_bridge(bridge)
            }
            Change::RemoveNetwork(bridge) => self.on_bridge(Some(bridge)),
            Change::Close(_) => self.on_bridge(None),
        };
        // How a port is published depends on the network of its bridge.
        let mut bridges = bridges;
        bridges.extend(ports.iter().map(|port| port.bridge.as_str()));
        let known = |network: &&NetworkPlan| {
            bridge_of(network).is_some_and(|bridge| bridges.contains(bridge.name.as_str()))
        };
        Self {
            table: self.table.clone(),
            networks: self.networks.iter().filter(known).cloned().collect(),
            published: ports.into_iter().cloned().collect(),
            closed: self.closed,
        }
    }

    fn on_bridge<'a>(&'a self, bridge: Option<&'a str>) -> (BTreeSet<&'a str>, Vec<&'a Published>) {
        let ports = self.published.iter();
        let ports = ports.filter(|port| Some(port.bridge.as_str()) == bridge);
        (bridge.into_iter().collect(), ports.collect())
    }

    /// The ports that are published in the places of these.
    fn in_places_of(&self, ports: &[Published]) -> Vec<&Published> {
        let places: HashSet<_> = ports.iter().map(Published::place).collect();
        let concerned = |old: &&Published| places.contains(&old.place());
        self.published.iter().filter(concerned).collect()
    }

    /// The part of the table that is made of published ports.
    fn render_ports<'a>(&self, ports: impl Iterator<Item = &'a Published>) -> Table {
        let mut table = Table {
            name: self.table.clone(),
            sets: VERSIONS.iter().flat_map(port_sets).collect(),
            chains: Vec::new(),
        };
        for port in ports {
            let names = &VERSIONS[usize::from(!port.target.is_ipv4())];
            for (set, key, value) in self.port_elements(port, names) {
                if let Some(set) = table.sets.iter_mut().find(|known| known.name == set) {
                    set.elements.insert(key, Some(value));
                }
            }
            // Where the host's own rules decide, only what is routed passes ours.
            if !port.host_policy || self.is_routed(port) {
                table.chains.extend(self.allow_chain(port));
            }
        }
        table
    }

    pub(super) fn is_routed(&self, port: &Published) -> bool {
        self.network_of(port)
            .is_some_and(|(_, bridge)| mode(bridge, port.target.is_ipv4()) == GatewayMode::Routed)
    }

    /// Where one port stands: set, key, value.
    fn port_elements(&self, port: &Published, names: &Names) -> Vec<(&'static str, Vec<u8>, Data)> {
        let verdict = Data::Verdict(verdict_on(port));
        if self.is_routed(port) {
            let key = port_key(port, Some(port.target), port.target_port);
            return vec![(names.routed, key, verdict)];
        }
        // What is translated never comes to the host's input chains.
        if port.host_policy {
            return Vec::new();
        }
        let key = port_key(port, port.host, port.host_port);
        let (ports, open) = match port.host {
            Some(_) => (names.ports_at, names.open_at),
            None => (names.ports, names.open),
        };
        let target = [address_bytes(port.target), padded(port.target_port)].concat();
        let mut elements = vec![(ports, key.clone(), Data::Bytes(target))];
        // The host itself does not pass the forward chain, and nobody else gets there.
        let only_host = port.host.is_some_and(|host| host.is_loopback());
        if !only_host && !self.is_kept_inside(port) {
            elements.push((open, key, verdict));
        }
        elements
    }

    /// The network through which a port's container is reached.
    fn network_of(&self, port: &Published) -> Option<(&NetworkPlan, &BridgePlan)> {
        let mut all = self.networks.iter();
        all.find_map(|network| {
            Some((network, bridge_of(network)?)).filter(|(_, b)| b.name == port.bridge)
        })
    }

    /// Whether nobody outside reaches the port's network, whatever is published.
    fn is_kept_inside(&self, port: &Published) -> bool {
        self.network_of(port).is_some_and(|(network, bridge)| {
            network.internal || mode(bridge, port.target.is_ipv4()) == GatewayMode::Isolated
        })
    }

    /// Who may use a port, if there is a list. Who reaches the container anyway need not be in it.
    fn allow_chain(&self, port: &Published) -> Option<Chain> {
        if port.allow.is_empty() {
            return None;
        }
        let mut rules = Vec::new();
        if let Some((network, bridge)) = self.network_of(port) {
            rules.extend(friends(network, bridge));
        }
        let ipv4 = port.target.is_ipv4();
        let of_version = port.allow.iter().filter(|range| range.is_ipv4() == ipv4);
        rules.extend(of_version.map(|range| {
            let from = Build::new().from(*range).accept();
            from.because(format!("{range} may"))
        }));
        rules.push(Build::new().drop().because("nobody else may"));
        Some(Chain {
            name: allow_name(port),
            hook: None,
            rules,
        })
    }

    fn interface_sets(&self) -> Vec<Set> {
        let bridges = || {
            self.networks
                .iter()
                .filter_map(|network| Some((network, bridge_of(network)?)))
        };
        let verdicts = |prefix: &str, wanted: &dyn Fn(&NetworkPlan, &BridgePlan) -> bool| {
            let chosen = bridges().filter(|(network, bridge)| wanted(network, bridge));
            let verdict = |name: &str| {
                let chain = format!("{prefix}-{name}");
                // After those two it goes on to the next rule.
                let back = ["back", "from"].contains(&prefix);
                Data::Verdict(if back {
                    Verdict::Jump(chain)
                } else {
                    Verdict::Goto(chain)
                })
            };
            let entry = |name: &str| (interface_key(name), Some(verdict(name)));
            chosen.map(|(_, bridge)| entry(&bridge.name)).collect()
        };
        let all = |_: &NetworkPlan, _: &BridgePlan| true;
        let name = |(_, bridge): (_, &BridgePlan)| (interface_key(&bridge.name), None);
        let inside = bridges().filter(|(network, bridge)| keeps_inside(network, bridge));
        vec![
            interface_set(BRIDGES, Values::None, bridges().map(name).collect()),
            interface_set(INSIDE, Values::None, inside.map(name).collect()),
            interface_set("to", Values::Verdicts, verdicts("to", &all)),
            interface_set("from", Values::Verdicts, verdicts("from", &keeps_inside)),
            interface_set("back", Values::Verdicts, verdicts("back", &all)),
            interface_set("source", Values::Verdicts, verdicts("source", &all)),
        ]
    }
}

fn interface_set(name: &str, values: Values, elements: Elements) -> Set {
    Set {
        name: name.to_owned(),
        key: vec![Type::Interface],
        values,
        elements,
    }
}

/// The empty sets of one version.
fn port_sets(names: &Names) -> Vec<Set> {
    let address = if names.ipv4 { Type::Ipv4 } else { Type::Ipv6 };
    let at = vec![Type::Protocol, address, Type::Port];
    let any = vec![Type::Protocol, Type::Port];
    let set = |name: &str, key: &Vec<Type>, values| Set {
        name: name.to_owned(),
        key: key.clone(),
        values,
        elements: Elements::new(),
    };
    let target = || Values::Of(vec![address, Type::Port]);
    vec![
        set(names.ports_at, &at, target()),
        set(names.ports, &any, target()),
        set(names.open_at, &at, Values::Verdicts),
        set(names.open, &any, Values::Verdicts),
        set(names.routed, &at, Values::Verdicts),
    ]
}

fn padded(port: u16) -> Vec<u8> {
    [&port.to_be_bytes()[..], &[0; 2]].concat()
}

fn port_key(port: &Published, address: Option<IpAddr>, number: u16) -> Vec<u8> {
    let protocol = vec![port.protocol.number(), 0, 0, 0];
    let address = address.map(address_bytes).unwrap_or_default();
    [protocol, address, padded(number)].concat()
}

fn verdict_on(port: &Published) -> Verdict {
    if port.allow.is_empty() {
        Verdict::Accept
    } else {
        Verdict::Goto(allow_name(port))
    }
}

fn allow_name(port: &Published) -> String {
    let (address, number) = match port.host_port {
        0 => (Some(port.target), port.target_port),
        number => (port.host, number),
    };
    let version = if port.target.is_ipv4() { 4 } else { 6 };
    let address = address.map_or_else(|| format!("any{version}"), |address| address.to_string());
    let address = address.replace(':', "-");
    format!("allow-{}-{address}-{number}", port.protocol.name())
}

fn base(name: &str, nat: bool, place: Place, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain {
        name: name.to_owned(),
        hook: Some(Hook {
            nat,
            place,
            priority,
        }),
        rules,
    }
}

fn plain(name: impl Into<String>, rules: Vec<Rule>) -> Chain {
    Chain {
        name: name.into(),
        hook: None,
        rules,
    }
}

fn loopback4() -> Cidr {
    Cidr::new([127, 0, 0, 0].into(), 8).unwrap_or_else(|| Cidr::host([127, 0, 0, 1].into()))
}

/// The chains that are there whatever the networks are.
fn base_chains(closed: bool) -> Vec<Chain> {
    let loopback6 = Cidr::host(std::net::Ipv6Addr::LOCALHOST.into());
    let guard = Build::new()
        .interface_in(MetaKey::InInterface, BRIDGES)
        .to(loopback4())
        .drop();
    let pretended = Build::new()
        .interface_in(MetaKey::InInterface, INSIDE)
        .for_this_host()
        .pretends()
        .drop();
    let local = || Build::new().for_this_host().jump("published");
    let to_published = || local().because("what is for this host may be for a container");
    let not4 = Build::new().to(loopback4()).back();
    let not6 = Build::new().to(loopback6).back();
    vec![
        base(
            "guard",
            false,
            Place::Prerouting,
            -300,
            vec![
                guard.because("containers do not reach 127.0.0.0/8 of the host"),
                pretended.because("nobody of a network that is kept inside says to be elsewhere"),
            ],
        ),
        base(
            "prerouting",
            true,
            Place::Prerouting,
            -100,
            vec![
                not4.because("nobody but the host has 127.0.0.0/8"),
                to_published(),
            ],
        ),
        base(
            "output",
            true,
            Place::Output,
            -100,
            vec![
                not6.because("the kernel routes ::1 to nobody"),
                to_published(),
            ],
        ),
        plain(
            "published",
            VERSIONS.iter().flat_map(published_rules).collect(),
        ),
        plain("open", VERSIONS.iter().flat_map(open_rules).collect()),
        plain(
            "open-routed",
            VERSIONS.iter().flat_map(routed_rules).collect(),
        ),
        base("forward", false, Place::Forward, 0, forward_rules(closed)),
        base(
            "postrouting",
            true,
            Place::Postrouting,
            100,
            postrouting_rules(),
        ),
    ]
}

fn published_rules(names: &Names) -> Vec<Rule> {
    let rule = |map, at| {
        let build = Build::new().destination(names.ipv4, at);
        build.translate_by(map, names.ipv4)
    };
    vec![
        rule(names.ports_at, true).because("published on this address"),
        rule(names.ports, false).because("published on all addresses"),
    ]
}

fn open_rules(names: &Names) -> Vec<Rule> {
    let rule = |map, at| {
        let build = Build::new().first_destination(names.ipv4, at);
        build.verdict_by(map)
    };
    vec![
        rule(names.open_at, true).because("published on the address it was sent to"),
        rule(names.open, false).because("published on all addresses"),
    ]
}

fn routed_rules(names: &Names) -> Vec<Rule> {
    let port = Build::new().destination(names.ipv4, true);
    vec![
        port.verdict_by(names.routed)
            .because("published by a routed network"),
        Build::new()
            .icmp(names.ipv4)
            .accept()
            .because("routed networks answer pings"),
    ]
}

fn forward_rules(closed: bool) -> Vec<Rule> {
    let mut rules = vec![
        Build::new()
            .known()
            .accept()
            .because("connections that were let through before"),
        Build::new()
            .meta(MetaKey::InInterface, 0)
            .verdict_by("from")
            .because("what comes from a network that is kept inside"),
        Build::new()
            .translated()
            .jump("open")
            .because("published ports, translated"),
        Build::new()
            .meta(MetaKey::OutInterface, 0)
            .verdict_by("to")
            .because("what goes to a network"),
    ];
    if closed {
        rules.extend(closed_rules());
    }
    rules
}

/// Forwarding was off before: it is on for containers, ours and others', and for nobody else.
fn closed_rules() -> Vec<Rule> {
    let directions = [MetaKey::InInterface, MetaKey::OutInterface];
    let engines = OTHER_ENGINES.iter().flat_map(|prefix| {
        directions.map(|key| {
            Build::new()
                .interface_begins(key, prefix)
                .accept()
                .because("another engine looks after its networks")
        })
    });
    // Those of another daemon on this host are its own to decide about.
    let rest = Build::new()
        .interface_not_in(MetaKey::InInterface, BRIDGES)
        .group_is_not(MetaKey::InGroup, GROUP)
        .group_is_not(MetaKey::OutGroup, GROUP);
    engines
        .chain([rest.drop().because("this host routes for nobody else")])
        .collect()
}

fn postrouting_rules() -> Vec<Rule> {
    let local = Build::new()
        .interface_in(MetaKey::OutInterface, BRIDGES)
        .from(loopback4());
    vec![
        local
            .masquerade()
            .because("ports published on 127.0.0.1, used by the host"),
        Build::new()
            .meta(MetaKey::OutInterface, 0)
            .verdict_by("back")
            .because("what goes to a network"),
        Build::new()
            .meta(MetaKey::InInterface, 0)
            .verdict_by("source")
            .because("what comes from a network"),
    ]
}

pub(super) fn mode(bridge: &BridgePlan, ipv4: bool) -> GatewayMode {
    if ipv4 { bridge.mode4 } else { bridge.mode6 }
}

/// Whether what comes from the network stays in it.
pub(super) fn keeps_inside(network: &NetworkPlan, bridge: &BridgePlan) -> bool {
    let isolated = [bridge.mode4, bridge.mode6].contains(&GatewayMode::Isolated);
    network.internal || isolated
}

fn bridge_chains(network: &NetworkPlan, bridge: &BridgePlan) -> Vec<Chain> {
    let name = &bridge.name;
    let mut chains = vec![
        plain(format!("to-{name}"), to_rules(network, bridge)),
        plain(format!("back-{name}"), back_rules(network)),
        plain(format!("source-{name}"), source_rules(network, bridge)),
    ];
    if keeps_inside(network, bridge) {
        chains.push(plain(format!("from-{name}"), from_rules(network, bridge)));
    }
    chains
}

fn from_rules(network: &NetworkPlan, bridge: &BridgePlan) -> Vec<Rule> {
    let versions = [true, false]
        .into_iter()
        .filter(|ipv4| network.internal || mode(bridge, *ipv4) == GatewayMode::Isolated);
    let mut rules = vec![];
    for ipv4 in versions {
        let out = Build::new()
            .version(ipv4)
            .leaves_by_other_than(&bridge.name);
        rules.push(out.drop().because("nothing leaves this network"));
    }
    rules
}

fn to_rules(network: &NetworkPlan, bridge: &BridgePlan) -> Vec<Rule> {
    let mut rules = friends(network, bridge);
    if !network.internal {
        for ipv4 in [true, false] {
            rules.extend(mode_rules(bridge, ipv4));
        }
    }
    rules.push(
        Build::new()
            .drop()
            .because("nothing else reaches this network"),
    );
    rules
}

/// Who reaches every port of the network's containers.
fn friends(network: &NetworkPlan, bridge: &BridgePlan) -> Vec<Rule> {
    let mut rules = Vec::new();
    if bridge.icc {
        let own = Build::new().came_by(&bridge.name).accept();
        rules.push(own.because("its containers reach each other"));
    }
    let trusted = bridge.trusted.iter().filter(|_| !network.internal);
    rules.extend(trusted.map(|interface| {
        let build = Build::new().came_by(interface).accept();
        build.because(format!("{interface} is trusted"))
    }));
    rules
}

fn mode_rules(bridge: &BridgePlan, ipv4: bool) -> Vec<Rule> {
    let version = || Build::new().version(ipv4);
    match mode(bridge, ipv4) {
        GatewayMode::NatUnprotected => {
            let outside = version().interface_not_in(MetaKey::InInterface, BRIDGES);
            let build = outside.accept();
            vec![build.because("every port is reached by who has a route")]
        }
        GatewayMode::Routed => {
            let mut rules = vec![];
            if !bridge.icc {
                let own = version().came_by(&bridge.name);
                rules.push(own.drop().because("its containers do not reach each other"));
            }
            let build = version().jump("open-routed");
            rules.push(build.because("published ports, routed"));
            rules
        }
        // What is published is let through before.
        GatewayMode::Nat | GatewayMode::Isolated => Vec::new(),
    }
}

/// Where the client and the server are in one network, answers would not come by the host, so the host has to be
/// the client. Told by addresses, because the interface it came by is not known where bridges are filtered.
fn back_rules(network: &NetworkPlan) -> Vec<Rule> {
    let rule = |subnet: &Cidr| {
        let build = Build::new().from(subnet.network()).translated();
        build
            .masquerade()
            .because("a container uses a published port of its own network")
    };
    network.subnets.iter().map(rule).collect()
}

fn source_rules(network: &NetworkPlan, bridge: &BridgePlan) -> Vec<Rule> {
    let own = Build::new().leaves_by(&bridge.name).back();
    let mut rules = vec![own.because("addresses are kept inside the network")];
    for subnet in &network.subnets {
        let ipv4 = subnet.is_ipv4();
        let masquerade = if ipv4 {
            bridge.masquerade4
        } else {
            bridge.masquerade6
        };
        let translates = matches!(
            mode(bridge, ipv4),
            GatewayMode::Nat | GatewayMode::NatUnprotected
        );
        if network.internal || !masquerade || !translates {
            continue;
        }
        let range = subnet.network();
        let from = Build::new().from(range);
        let given = bridge.snat.iter().find(|address| address.is_ipv4() == ipv4);
        rules.push(match given {
            Some(address) => from
                .come_from(*address)
                .because(format!("{range} leaves as {address}")),
            None => from
                .masquerade()
                .because(format!("{range} leaves with the host's address")),
        });
    }
    rules
}

/// The batch that makes one table of another, where both have the same sets.
fn difference(before: &Table, after: &Table) -> Batch {
    let mut batch = Batch::new(&after.name);
    let (old_chains, new_chains) = (by_name(before), by_name(after));
    let new = |chain: &&Chain| !old_chains.contains_key(chain.name.as_str());
    for chain in after.chains.iter().filter(new) {
        batch.add_chain(chain);
    }
    for set in &after.sets {
        let old = before.sets.iter().find(|old| old.name == set.name);
        let old = old.map(|old| &old.elements);
        change_elements(&mut batch, &set.name, old, &set.elements);
    }
    for chain in &after.chains {
        let old = old_chains.get(chain.name.as_str());
        if old.is_some_and(|old| old.rules == chain.rules) {
            continue;
        }
        if old.is_some() {
            batch.flush_chain(&chain.name);
        }
        for rule in &chain.rules {
            batch.add_rule(&chain.name, rule);
        }
    }
    let gone = |chain: &&Chain| !new_chains.contains_key(chain.name.as_str());
    for chain in before.chains.iter().filter(gone) {
        batch.flush_chain(&chain.name);
        batch.delete_chain(&chain.name);
    }
    batch
}

fn by_name(table: &Table) -> BTreeMap<&str, &Chain> {
    let chains = table.chains.iter();
    chains.map(|chain| (chain.name.as_str(), chain)).collect()
}

fn change_elements(batch: &mut Batch, set: &str, before: Option<&Elements>, after: &Elements) {
    let none = Elements::new();
    let before = before.unwrap_or(&none);
    let only_in = |one: &Elements, other: &Elements| -> Elements {
        one.iter()
            .filter(|(key, value)| other.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    batch.delete_elements(set, &only_in(before, after));
    batch.add_elements(set, &only_in(after, before));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Driver, Protocol};

    #[test]
    fn the_hosts_policy_decides_about_what_is_translated_and_not_about_what_is_routed() {
        for (mode, routed, chains) in [
            (GatewayMode::Routed, 1, vec!["allow-tcp-any4-8080"]),
            (GatewayMode::Nat, 0, vec![]),
        ] {
            let mut rules = Ruleset::new("t");
            let mut bridge = BridgePlan::new("br0");
            bridge.mode4 = mode;
            rules.change(&Change::AddNetwork(NetworkPlan {
                name: "net".to_owned(),
                driver: Driver::Bridge(bridge),
                subnets: vec![Cidr::new([172, 30, 0, 1].into(), 24).unwrap()],
                mtu: None,
                internal: false,
            }));
            rules.change(&Change::Publish(vec![Published {
                owner: "web".to_owned(),
                protocol: Protocol::Tcp,
                host: None,
                host_port: 8080,
                target: [172, 30, 0, 2].into(),
                target_port: 80,
                bridge: "br0".to_owned(),
                allow: vec![Cidr::host([10, 0, 0, 1].into())],
                host_policy: true,
            }]));
            let table = rules.render();
            let elements = |name: &str| {
                let set = table.sets.iter().find(|set| set.name == name);
                set.unwrap().elements.len()
            };
            assert_eq!(elements("routed4"), routed, "{mode:?}");
            assert_eq!(elements("ports4") + elements("open4"), 0, "{mode:?}");
            let names = table.chains.iter().map(|chain| chain.name.as_str());
            let lists: Vec<&str> = names.filter(|name| name.starts_with("allow-")).collect();
            assert_eq!(lists, chains, "{mode:?}");
        }
    }
}
