//! `network explain`: who has a port, and which rule lets a packet through or stops it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use network::keeper::Reservation;
use network::ruleset::{Outcome, Packet, Ruleset};
use network::{Cidr, holder, proxy};
use sys::nft::{BaseChain, Place};
use types::Protocol;

use super::error::NetworkError;
use super::place::rule_protocol;
use crate::table::lock;
use crate::{Engine, Error};

/// Somebody outside, if nobody is named: an address for examples (RFC 5737).
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// What there is to say about a port of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Who has it, a sentence each.
    pub owners: Vec<String>,
    /// What becomes of packets.
    pub packets: Vec<Told>,
}

/// What becomes of one packet, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who sends it.
    pub from: IpAddr,
    /// The interface it comes by; none where no route leads back.
    pub interface: Option<String>,
    /// Where to.
    pub to: Option<IpAddr>,
    /// What becomes of it.
    pub fate: Fate,
    /// Our rules that are the reason.
    pub reasons: Vec<String>,
    /// Chains of others that see it too.
    pub others: Vec<String>,
    /// The end, in a sentence.
    pub verdict: String,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It reaches a container, if others do not stop it.
    Container,
    /// It reaches a program of this host, if others do not stop it.
    Host,
    /// It is stopped, or nobody is there.
    Nobody,
}

/// All that is known about a port.
struct Facts {
    protocol: network::Protocol,
    port: u16,
    /// Container's name and what it has reserved.
    reserved: Vec<(String, Reservation)>,
    rules: Ruleset,
    own: Vec<IpAddr>,
    chains: Vec<BaseChain>,
    /// The process that has it, if it is no container's.
    process: Option<String>,
}

/// `8080` or `8080/udp`.
pub(super) fn read(text: &str) -> Result<(u16, Protocol), NetworkError> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let wrong = || {
        NetworkError::setting(
            format!("port {text:?}"),
            "a number from 1 to 65535 is expected, with /udp or /sctp behind it if it is not tcp",
        )
    };
    let number: u16 = number.parse().map_err(|_| wrong())?;
    let protocol = Protocol::from_str(protocol).map_err(|_| wrong())?;
    match number {
        0 => Err(wrong()),
        number => Ok((number, protocol)),
    }
}

/// Explains a port such as `8080` or `8080/udp`, for packets of an address or, without one, for those of
/// somebody outside and of the host itself. Blocking.
pub fn explain(engine: &Engine, port: &str, from: Option<&str>) -> Result<Explained, Error> {
    let (port, protocol) = read(port)?;
    let from = from.map(|text| {
        let wrong = |_| NetworkError::setting("from", format!("{text:?} is no address"));
        text.parse::<IpAddr>().map_err(wrong)
    });
    let from = from.transpose()?;
    let facts = gather(engine, port, rule_protocol(protocol))?;
    let senders = from.map_or_else(
        || vec![OUTSIDE, Ipv4Addr::LOCALHOST.into()],
        |from| vec![from],
    );
    let mut packets = Vec::new();
    for from in senders {
        let way = match facts.is_own(from) {
            true => Some(network::Way {
                interface: "lo".to_owned(),
                own: Some(from),
            }),
            false => network::way_to(from).map_err(NetworkError::network("explain a port"))?,
        };
        packets.push(facts.tell(from, way));
    }
    Ok(Explained {
        owners: facts.owners(),
        packets,
    })
}

fn gather(engine: &Engine, port: u16, protocol: network::Protocol) -> Result<Facts, Error> {
    let doing = || NetworkError::network("explain a port");
    let networks = engine.networks();
    let rules = match lock(&networks.rules).told {
        // The table as it is kept, not as it was wanted.
        true => {
            networks
                .keeper
                .model()
                .map_err(NetworkError::keeper("explain a port"))?
                .rules
        }
        false => None,
    };
    let containers = engine.table().all();
    let reserved = containers.iter().flat_map(|container| {
        let name = container.name().to_string();
        let all = container.status().ports.reserved;
        let fits = all
            .into_iter()
            .filter(|r| (r.port, r.protocol) == (port, protocol));
        fits.map(move |reservation| (name.clone(), reservation))
            .collect::<Vec<_>>()
    });
    let reserved: Vec<_> = reserved.collect();
    let all = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    Ok(Facts {
        process: match reserved.is_empty() {
            true => holder::find(protocol, all),
            false => None,
        },
        protocol,
        port,
        reserved,
        rules: rules.unwrap_or_else(|| Ruleset::new(networks.settings.table.clone())),
        own: network::own_addresses().map_err(doing())?,
        chains: network::base_chains().map_err(doing())?,
    })
}

impl Facts {
    fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }

    fn owners(&self) -> Vec<String> {
        let mut owners = Vec::new();
        for (name, reservation) in &self.reserved {
            let mut places = Vec::new();
            for listen in &reservation.listen {
                let mut place = SocketAddr::new(listen.address, self.port).to_string();
                if let Some(to) = listen.to {
                    // Writing into a string cannot fail.
                    let _ = write!(
                        place,
                        " (what the rules do not lead there is passed on to {to})"
                    );
                }
                places.push(place);
            }
            let inner = reservation.inner;
            owners.push(format!(
                "container {name} has it, for its port {inner}: on {}",
                places.join(" and ")
            ));
        }
        if let Some(process) = &self.process {
            owners.push(format!("{process} of this host has it"));
        }
        if owners.is_empty() {
            owners.push("nobody has it".to_owned());
        }
        owners
    }

    /// What becomes of a packet of this sender.
    fn tell(&self, from: IpAddr, way: Option<network::Way>) -> Told {
        let Some(way) = way else {
            return Told {
                from,
                interface: None,
                to: None,
                fate: Fate::Nobody,
                reasons: Vec::new(),
                others: Vec::new(),
                verdict: "no route leads there: it could not be answered".to_owned(),
            };
        };
        let to = self.destination(from, &way);
        let packet = Packet {
            protocol: self.protocol,
            source: from,
            interface: way.interface.clone(),
            destination: to,
            port: self.port,
        };
        let explained = self.rules.explain(&packet, |address| self.is_own(address));
        let own = way.interface == "lo";
        let (fate, mut verdict, place) = match (explained.outcome, explained.published) {
            (Outcome::Delivered, port) => {
                let owner = port.map_or("a container".to_owned(), |port| port.owner);
                let place = if own { Place::Output } else { Place::Forward };
                (Fate::Container, format!("it reaches {owner}"), place)
            }
            (Outcome::Stopped, _) => (
                Fate::Nobody,
                "Brig's rules stop it".to_owned(),
                Place::Forward,
            ),
            (Outcome::NotOurs, _) => self.at_the_host(from, to),
        };
        let others = match explained.outcome {
            Outcome::Stopped => Vec::new(),
            _ => self.others(place),
        };
        if fate != Fate::Nobody && others.iter().any(|(_, drops)| *drops) {
            verdict.push_str(
                ", if the host's own rules let it through: some drop what they do not name",
            );
        }
        Told {
            from,
            interface: Some(way.interface),
            to: Some(to),
            fate,
            reasons: explained.reasons,
            others: others.into_iter().map(|(words, _)| words).collect(),
            verdict,
        }
    }

    /// The address that the port is published on, or the one that the sender would use.
    fn destination(&self, from: IpAddr, way: &network::Way) -> IpAddr {
        let all = self
            .reserved
            .iter()
            .flat_map(|(_, reservation)| &reservation.listen);
        let mut places = all
            .map(|listen| listen.address)
            .filter(|address| address.is_ipv4() == from.is_ipv4());
        let open = places.clone().any(|address| address.is_unspecified());
        let own = way.own.unwrap_or(from);
        match places.next() {
            Some(place) if !open => place,
            _ => own,
        }
    }

    /// What our rules have no opinion about.
    fn at_the_host(&self, from: IpAddr, to: IpAddr) -> (Fate, String, Place) {
        let listens = |reservation: &Reservation| {
            let mut all = reservation.listen.iter();
            all.find_map(|listen| {
                let here = listen.address == to
                    || listen.address.is_unspecified() && listen.address.is_ipv4() == to.is_ipv4();
                listen.to.filter(|_| here)
            })
        };
        let mut reserved = self.reserved.iter();
        let passed = reserved
            .find_map(|(name, reservation)| Some((name, reservation, listens(reservation)?)));
        let (fate, words) = match (passed, &self.process) {
            (Some((name, reservation, _)), _) if !may(from, to, &reservation.allow) => (
                Fate::Nobody,
                format!(
                    "brig-net refuses it: {from} is not on the list of who may use the port of {name}"
                ),
            ),
            (Some((name, _, target)), _) => (
                Fate::Host,
                format!(
                    "brig-net, a program of this host, passes it on to {name} at {target}, which sees it \
                     come from this host"
                ),
            ),
            (None, Some(process)) => (Fate::Host, format!("{process} of this host has the port")),
            (None, None) => (Fate::Nobody, "nobody listens there".to_owned()),
        };
        (fate, words, Place::Input)
    }

    /// Chains of others that such a packet passes, and whether they drop what they do not name.
    fn others(&self, last: Place) -> Vec<(String, bool)> {
        let places = match last {
            Place::Output => vec![Place::Output],
            last => vec![Place::Prerouting, last],
        };
        let mut found = Vec::new();
        for place in places {
            let here = |chain: &&BaseChain| chain.hook == Some(place);
            let mut after = false;
            for chain in self.chains.iter().filter(here) {
                if chain.family == "inet" && chain.table == self.rules.table {
                    after = true;
                    continue;
                }
                let order = if after { "after" } else { "before" };
                let policy = match chain.drops {
                    true => "drops what none of its rules accepts",
                    false => "drops only what its rules say",
                };
                let words = format!(
                    "{chain} ({} {}, priority {}), {order} ours: {policy}",
                    chain.kind,
                    name(place),
                    chain.priority,
                );
                found.push((words, chain.drops));
            }
        }
        found
    }
}

fn may(from: IpAddr, to: IpAddr, allow: &[Cidr]) -> bool {
    from == to || proxy::may_use(from, allow)
}

fn name(place: Place) -> &'static str {
    match place {
        Place::Prerouting => "prerouting",
        Place::Input => "input",
        Place::Forward => "forward",
        Place::Output => "output",
        Place::Postrouting => "postrouting",
    }
}

#[cfg(test)]
mod tests {
    use network::keeper::Listen;
    use network::ruleset::{Change, Published};
    use network::{BridgePlan, Driver, NetworkPlan, Way};

    use super::*;

    fn facts() -> Facts {
        let mut rules = Ruleset::new("brig");
        rules.change(&Change::AddNetwork(NetworkPlan {
            name: "shop".into(),
            driver: Driver::Bridge(BridgePlan::new("br0")),
            subnets: vec!["172.30.0.1/24".parse().unwrap()],
            mtu: None,
            internal: false,
        }));
        let allow: Vec<Cidr> = vec!["203.0.113.0/24".parse().unwrap()];
        rules.change(&Change::Publish(vec![Published {
            owner: "web".into(),
            protocol: network::Protocol::Tcp,
            host: None,
            host_port: 8080,
            target: [172, 30, 0, 2].into(),
            target_port: 80,
            bridge: "br0".into(),
            allow: allow.clone(),
            host_policy: false,
        }]));
        let listen = |address: &str, to: Option<&str>| Listen {
            address: address.parse().unwrap(),
            to: to.map(|to| to.parse().unwrap()),
        };
        let chain = |table: &str, hook, priority, drops| BaseChain {
            family: if table == "brig" { "inet" } else { "ip" },
            table: table.into(),
            name: "FORWARD".into(),
            kind: "filter".into(),
            hook: Some(hook),
            priority,
            drops,
        };
        Facts {
            protocol: network::Protocol::Tcp,
            port: 8080,
            reserved: vec![(
                "web".into(),
                Reservation {
                    protocol: network::Protocol::Tcp,
                    first: 8080,
                    last: 8080,
                    inner: 80,
                    listen: vec![listen("0.0.0.0", None), listen("::", Some("172.30.0.2:80"))],
                    allow,
                    port: 8080,
                },
            )],
            rules,
            own: vec![
                "198.51.100.1".parse().unwrap(),
                "2001:db8::1".parse().unwrap(),
            ],
            chains: vec![
                chain("brig", Place::Forward, -1, false),
                chain("filter", Place::Forward, 0, true),
            ],
            process: None,
        }
    }

    fn told(from: &str, interface: &str, own: &str) -> String {
        let way = Way {
            interface: interface.into(),
            own: Some(own.parse().unwrap()),
        };
        let told = facts().tell(from.parse().unwrap(), Some(way));
        let others = told.others.join("; ");
        format!(
            "{:?}: {} [{others}] {}",
            told.fate,
            told.reasons.join("; "),
            told.verdict
        )
    }

    #[test]
    fn a_port_is_explained_from_each_side() {
        assert_eq!(
            facts().owners(),
            [
                "container web has it, for its port 80: on 0.0.0.0:8080 and [::]:8080 (what the rules do \
              not lead there is passed on to 172.30.0.2:80)"
            ]
        );
        assert_eq!(
            told("203.0.113.2", "eth0", "198.51.100.1"),
            "Container: published: goes to web, 172.30.0.2 port 80; allow: 203.0.113.0/24 may use the port \
             (network shop) [chain FORWARD of table ip filter (filter forward, priority 0), after ours: \
             drops what none of its rules accepts] it reaches web, if the host's own rules let it through: \
             some drop what they do not name"
        );
        assert_eq!(
            told("192.0.2.7", "eth0", "198.51.100.1"),
            "Nobody: published: goes to web, 172.30.0.2 port 80; allow: 192.0.2.7 is not on the port's list \
             (network shop) [] Brig's rules stop it"
        );
        let six = told("2001:db8:9::1", "eth0", "2001:db8::1");
        assert!(
            six.ends_with("2001:db8:9::1 is not on the list of who may use the port of web"),
            "{six}"
        );
        let own = told("::1", "lo", "::1");
        assert!(own.starts_with("Host: "), "{own}");
        assert!(
            own.contains("passes it on to web at 172.30.0.2:80"),
            "{own}"
        );
    }

    #[test]
    fn ports_are_read() {
        assert_eq!(read("80").unwrap(), (80, Protocol::Tcp));
        assert_eq!(read("80/udp").unwrap(), (80, Protocol::Udp));
        for bad in ["", "0", "65536", "80/icmp", "x"] {
            assert!(
                read(bad).unwrap_err().to_string().contains("1 to 65535"),
                "{bad}"
            );
        }
    }
}
