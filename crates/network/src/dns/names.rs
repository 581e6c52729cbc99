//! Who is called what, by network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::keeper::{Endpoint, Network, View};

/// The names on all networks, found without a search.
#[derive(Debug, Default)]
pub struct Names {
    zones: HashMap<String, Zone>,
}

/// One network.
#[derive(Debug, Default)]
struct Zone {
    name: String,
    internal: bool,
    /// Whose each name is, and where: in the order in which they came.
    addresses: HashMap<String, Vec<(String, IpAddr)>>,
    names: HashMap<IpAddr, String>,
    endpoints: HashMap<String, Endpoint>,
}

impl Names {
    /// A network is this, with all its names.
    pub fn set_network(&mut self, id: &str, network: &Network) {
        let mut zone = Zone {
            name: network.name.to_ascii_lowercase(),
            internal: network.internal,
            ..Zone::default()
        };
        for (container, endpoint) in &network.endpoints {
            zone.add(container, endpoint);
        }
        self.zones.insert(id.to_owned(), zone);
    }

    /// A network is no more.
    pub fn remove_network(&mut self, id: &str) {
        self.zones.remove(id);
    }

    /// A container has these names on a network.
    pub fn set_endpoint(&mut self, network: &str, id: &str, endpoint: &Endpoint) {
        if let Some(zone) = self.zones.get_mut(network) {
            zone.remove(id);
            zone.add(id, endpoint);
        }
    }

    /// A container is on a network no more.
    pub fn remove_endpoint(&mut self, network: &str, id: &str) {
        if let Some(zone) = self.zones.get_mut(network) {
            zone.remove(id);
        }
    }

    /// Where a name leads, in small letters, for who has this view: of the first network that has
    /// it. None if it is not ours.
    pub(super) fn addresses(&self, view: &View, name: &str) -> Option<Vec<IpAddr>> {
        let is_link = |link: &&Endpoint| link.names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let mut links = view.links.iter().filter(is_link).peekable();
        if links.peek().is_some() {
            return Some(links.flat_map(|link| link.addresses.clone()).collect());
        }
        self.zones(view).find_map(|zone| zone.find(name))
    }

    /// What an address is called for who has this view.
    pub(super) fn name(&self, view: &View, address: IpAddr) -> Option<String> {
        self.zones(view).find_map(|zone| {
            let name = zone.names.get(&address)?;
            Some(match zone.name.as_str() {
                "" => name.clone(),
                network => format!("{name}.{network}"),
            })
        })
    }

    /// Whether who has this view may ask outside: not one that is on internal networks only.
    pub(super) fn may_ask_outside(&self, view: &View) -> bool {
        view.networks.is_empty() || self.zones(view).any(|zone| !zone.internal)
    }

    fn zones<'a>(&'a self, view: &'a View) -> impl Iterator<Item = &'a Zone> {
        view.networks.iter().filter_map(|id| self.zones.get(id))
    }
}

impl Zone {
    fn add(&mut self, id: &str, endpoint: &Endpoint) {
        for name in &endpoint.names {
            let all = self.addresses.entry(name.to_ascii_lowercase()).or_default();
            let new = endpoint.addresses.iter();
            all.extend(new.map(|address| (id.to_owned(), *address)));
        }
        if let Some(first) = endpoint.names.first() {
            let called = endpoint.addresses.iter();
            self.names
                .extend(called.map(|address| (*address, first.clone())));
        }
        self.endpoints.insert(id.to_owned(), endpoint.clone());
    }

    fn remove(&mut self, id: &str) {
        let Some(endpoint) = self.endpoints.remove(id) else {
            return;
        };
        for name in &endpoint.names {
            let name = name.to_ascii_lowercase();
            if let Some(all) = self.addresses.get_mut(&name) {
                all.retain(|(owner, _)| owner != id);
                if all.is_empty() {
                    self.addresses.remove(&name);
                }
            }
        }
        for address in &endpoint.addresses {
            self.names.remove(address);
        }
    }

    /// The name alone, or followed by the network's.
    fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let all = self.addresses.get(name).or_else(|| {
            let alone = name.strip_suffix(self.name.as_str())?.strip_suffix('.')?;
            self.addresses.get(alone)
        })?;
        Some(all.iter().map(|(_, address)| *address).collect())
    }
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for, if it is a whole one.
pub(super) fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(four) = name.strip_suffix(".in-addr.arpa") {
        let mut parts = four.split('.').map(str::parse::<u8>);
        let mut next = || parts.next()?.ok();
        let [d, c, b, a] = [next()?, next()?, next()?, next()?];
        return parts
            .next()
            .is_none()
            .then_some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let mut address = 0_u128;
    let mut count = 0;
    for nibble in nibbles.rsplit('.') {
        let digit: char = nibble.parse().ok()?;
        // More than 32 of them are counted and refused below.
        address = address << 4 | u128::from(digit.to_digit(16)?);
        count += 1;
    }
    (count == 32).then_some(IpAddr::V6(Ipv6Addr::from_bits(address)))
}
