//! Addresses out of one subnet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::address::{Cidr, bits, from_number, to_number};

/// A subnet and who has what in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    subnet: Cidr,
    /// Where addresses are taken from that nobody asks for by name.
    range: Cidr,
    gateway: Option<IpAddr>,
    /// Addresses that something else has, by name.
    auxiliary: BTreeMap<String, IpAddr>,
    taken: BTreeSet<IpAddr>,
    /// The one handed out last.
    last: Option<IpAddr>,
}

impl Addresses {
    /// Of a subnet. Without a gateway the first address of the range, or of the subnet, is the gateway; `None` in
    /// `range` takes addresses from the whole subnet.
    pub fn new(
        subnet: Cidr,
        gateway: Option<IpAddr>,
        range: Option<Cidr>,
        auxiliary: BTreeMap<String, IpAddr>,
    ) -> Result<Self, Error> {
        let refuse = |reason: String| Err(Error::Subnet { subnet, reason });
        if subnet.network() != subnet {
            let right = subnet.network();
            return refuse(format!(
                "it has bits set behind its prefix; {right} is the network"
            ));
        }
        if subnet.prefix() > bits(subnet.address()) - 1 {
            return refuse("it has no room for a gateway and a container".to_owned());
        }
        let within = |inner: Cidr| subnet.contains(inner.first()) && subnet.contains(inner.last());
        if let Some(range) = range.filter(|range| !within(*range)) {
            return refuse(format!("the range {range} does not lie within it"));
        }
        let mut addresses = Self {
            subnet,
            range: range.unwrap_or(subnet).network(),
            gateway: None,
            auxiliary: BTreeMap::new(),
            taken: BTreeSet::new(),
            last: None,
        };
        for (name, address) in auxiliary {
            addresses.check(address)?;
            addresses.auxiliary.insert(name, address);
        }
        let gateway = match gateway {
            Some(gateway) => gateway,
            None => addresses.next()?,
        };
        addresses.check(gateway)?;
        addresses.gateway = Some(gateway);
        Ok(addresses)
    }

    /// The subnet.
    pub fn subnet(&self) -> Cidr {
        self.subnet
    }

    /// Where addresses are taken from that nobody asks for by name.
    pub fn range(&self) -> Cidr {
        self.range
    }

    /// The gateway's address, with the subnet's prefix.
    pub fn gateway(&self) -> Cidr {
        let gateway = self.gateway.and_then(|gateway| self.with_prefix(gateway));
        gateway.unwrap_or(self.subnet)
    }

    /// Lets go of the gateway's address where nothing has it: of two addresses both are for endpoints then.
    pub fn without_gateway(self) -> Self {
        Self {
            gateway: None,
            ..self
        }
    }

    /// Whether an address is the gateway's.
    pub fn has_gateway(&self) -> bool {
        self.gateway.is_some()
    }

    /// Addresses that something else has, by name.
    pub fn auxiliary(&self) -> &BTreeMap<String, IpAddr> {
        &self.auxiliary
    }

    /// How many endpoints have an address.
    pub fn in_use(&self) -> usize {
        self.taken.len()
    }

    /// How many endpoints can have one, at most `u64::MAX`.
    pub fn capacity(&self) -> u64 {
        let all = self.range.end() - self.range.start();
        let unusable = if self.subnet.is_ipv4() && self.subnet.prefix() < 31 {
            2
        } else {
            0
        };
        u64::try_from(all.saturating_add(1).saturating_sub(unusable)).unwrap_or(u64::MAX)
    }

    /// The next free address, with the subnet's prefix.
    pub fn take(&mut self) -> Result<Cidr, Error> {
        let address = self.next()?;
        self.taken.insert(address);
        self.last = Some(address);
        Ok(self.with_prefix(address).unwrap_or(self.subnet))
    }

    /// This address, with the subnet's prefix.
    pub fn take_this(&mut self, address: IpAddr) -> Result<Cidr, Error> {
        self.check(address)?;
        self.taken.insert(address);
        Ok(self.with_prefix(address).unwrap_or(self.subnet))
    }

    /// Gives an address back. Whether it was taken.
    pub fn give_back(&mut self, address: IpAddr) -> bool {
        self.taken.remove(&address)
    }

    fn with_prefix(&self, address: IpAddr) -> Option<Cidr> {
        Cidr::new(address, self.subnet.prefix())
    }

    /// Whether somebody can have this address now.
    fn check(&self, address: IpAddr) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Unusable { address, reason });
        if !self.subnet.contains(address) {
            return refuse(format!("it does not lie within {}", self.subnet));
        }
        if self.is_of_all(address) {
            return refuse(format!("it stands for all of {}", self.subnet));
        }
        if self.gateway == Some(address) {
            return refuse("the gateway has it".to_owned());
        }
        if let Some((name, _)) = self.auxiliary.iter().find(|(_, other)| **other == address) {
            return refuse(format!("it is reserved as {name}"));
        }
        if self.taken.contains(&address) {
            return Err(Error::Taken(address));
        }
        Ok(())
    }

    /// The network's own address and the broadcast address; the routers' anycast address of version 6.
    fn is_of_all(&self, address: IpAddr) -> bool {
        let pair = self.subnet.prefix() + 1 >= bits(address);
        let first = address == self.subnet.first();
        let last = address == self.subnet.last() && address.is_ipv4();
        !pair && (first || last)
    }

    /// The first free one behind the last one handed out, around the end.
    fn next(&self) -> Result<IpAddr, Error> {
        let (first, end) = (self.range.start(), self.range.end());
        let last = self.last.map(to_number).filter(|last| *last < end);
        let start = last.map_or(first, |last| (last + 1).max(first));
        // More are not in use than are kept here, so that there is an end even in a large range.
        let unusable = self.taken.len() + self.auxiliary.len() + 3;
        let around = (start..=end).chain(first..start).take(unusable + 1);
        around
            .map(|number| from_number(number, self.subnet.is_ipv4()))
            .find(|address| self.check(*address).is_ok())
            .ok_or(Error::Full {
                range: self.range,
                count: self.taken.len(),
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(subnet: &str) -> Addresses {
        Addresses::new(subnet.parse().unwrap(), None, None, BTreeMap::new()).unwrap()
    }

    fn refusal(subnet: &str, gateway: Option<&str>, range: Option<&str>) -> String {
        let gateway = gateway.map(|text| text.parse().unwrap());
        let range = range.map(|text| text.parse().unwrap());
        Addresses::new(subnet.parse().unwrap(), gateway, range, BTreeMap::new())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn where_nothing_is_the_gateway_its_address_is_free() {
        let pool = addresses("10.0.0.0/31");
        assert!(pool.has_gateway());
        let mut pool = pool.without_gateway();
        assert!(!pool.has_gateway());
        let mut take = || pool.take().map(|taken| taken.to_string());
        assert_eq!(take().unwrap(), "10.0.0.0/31");
        assert_eq!(take().unwrap(), "10.0.0.1/31");
        assert!(take().is_err());
    }

    #[test]
    fn addresses_come_in_turn_and_not_at_once_again() {
        let mut pool = addresses("10.0.0.0/29");
        assert_eq!(pool.gateway().to_string(), "10.0.0.1/29");
        let mut take = || pool.take().map(|taken| taken.to_string());
        assert_eq!(take().unwrap(), "10.0.0.2/29");
        assert_eq!(take().unwrap(), "10.0.0.3/29");
        assert!(pool.give_back([10, 0, 0, 2].into()));
        assert!(!pool.give_back([10, 0, 0, 2].into()));
        let rest: Vec<_> = (0..4)
            .map(|_| pool.take().unwrap().address().to_string())
            .collect();
        assert_eq!(rest, ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]);
        let error = pool.take().unwrap_err().to_string();
        assert_eq!(
            error,
            "no address is left in 10.0.0.0/29: all 5 are in use or reserved"
        );
    }

    #[test]
    fn wanted_addresses_are_checked() {
        let auxiliary = BTreeMap::from([("router".to_owned(), [10, 0, 0, 9].into())]);
        let subnet = "10.0.0.0/24".parse().unwrap();
        let mut pool = Addresses::new(subnet, None, None, auxiliary).unwrap();
        pool.take_this([10, 0, 0, 5].into()).unwrap();
        let mut refuse = |last| {
            pool.take_this([10, 0, 0, last].into())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refuse(0),
            "address 10.0.0.0 cannot be used: it stands for all of 10.0.0.0/24"
        );
        assert_eq!(
            refuse(1),
            "address 10.0.0.1 cannot be used: the gateway has it"
        );
        assert_eq!(refuse(5), "address 10.0.0.5 is in use already");
        assert_eq!(
            refuse(9),
            "address 10.0.0.9 cannot be used: it is reserved as router"
        );
        assert!(refuse(255).contains("stands for all"));
        assert!(pool.take_this("fd00::1".parse().unwrap()).is_err());
    }

    #[test]
    fn subnets_are_checked() {
        let text = refusal("10.0.0.5/24", None, None);
        assert_eq!(
            text,
            "invalid subnet 10.0.0.5/24: it has bits set behind its prefix; 10.0.0.0/24 is the network"
        );
        assert!(refusal("10.0.0.0/32", None, None).contains("no room"));
        assert!(refusal("10.0.0.0/24", None, Some("10.0.1.0/25")).contains("does not lie within"));
        assert!(refusal("10.0.0.0/24", Some("10.0.1.1"), None).contains("does not lie within"));
    }

    #[test]
    fn a_range_is_where_addresses_come_from() {
        let (subnet, range) = (
            "10.0.0.0/16".parse().unwrap(),
            "10.0.5.0/30".parse().unwrap(),
        );
        let mut pool = Addresses::new(subnet, None, Some(range), BTreeMap::new()).unwrap();
        // As with Docker, the gateway is the first address of the range.
        assert_eq!(pool.gateway().to_string(), "10.0.5.0/16");
        let taken: Vec<_> = (0..3).map(|_| pool.take().unwrap().to_string()).collect();
        assert_eq!(taken, ["10.0.5.1/16", "10.0.5.2/16", "10.0.5.3/16"]);
        assert!(pool.take().is_err());
        // Outside of the range there are addresses for who asks.
        pool.take_this([10, 0, 9, 9].into()).unwrap();
    }

    #[test]
    fn version_6_has_its_own_rules() {
        let mut pool = addresses("fd00::/64");
        assert_eq!(pool.gateway().to_string(), "fd00::1/64");
        assert_eq!(pool.take().unwrap().to_string(), "fd00::2/64");
        assert!(pool.take_this("fd00::".parse().unwrap()).is_err());
        assert!(
            pool.take_this("fd00::ffff:ffff:ffff:ffff".parse().unwrap())
                .is_ok()
        );
        assert_eq!(
            addresses("10.0.0.0/31").gateway().to_string(),
            "10.0.0.0/31"
        );
    }

    #[test]
    fn what_is_kept_on_disk_comes_back() {
        let mut pool = addresses("10.0.0.0/24");
        pool.take().unwrap();
        let text = serde_json::to_string(&pool).unwrap();
        assert_eq!(serde_json::from_str::<Addresses>(&text).unwrap(), pool);
    }

    proptest! {
        #[test]
        fn no_address_is_handed_out_twice(actions in proptest::collection::vec(any::<u8>(), 1..400)) {
            let mut pool = addresses("10.0.0.0/26");
            let mut held = BTreeSet::new();
            for action in actions {
                let wanted = IpAddr::from([10, 0, 0, action % 64]);
                match action / 64 {
                    0 | 1 => match pool.take() {
                        Ok(taken) => prop_assert!(held.insert(taken.address())),
                        Err(_) => prop_assert_eq!(held.len(), 61),
                    },
                    2 => {
                        if pool.take_this(wanted).is_ok() {
                            prop_assert!(held.insert(wanted));
                        }
                    }
                    _ => prop_assert_eq!(pool.give_back(wanted), held.remove(&wanted)),
                }
                prop_assert_eq!(pool.in_use(), held.len());
            }
        }
    }
}
