//! Subnets out of pools.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::address::{Cidr, bits, from_number};

/// A range that is cut into subnets of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The range.
    pub base: Cidr,
    /// Bits of each subnet's prefix.
    pub size: u8,
}

impl Pool {
    /// Refused when the subnets do not fit into the range, or have no room for an endpoint.
    pub fn new(base: Cidr, size: u8) -> Result<Self, Error> {
        let refuse = |reason: &str| {
            Err(Error::Pool {
                pool: base,
                reason: reason.to_owned(),
            })
        };
        if base.network() != base {
            return refuse("it has bits set behind its prefix");
        }
        if size < base.prefix() {
            return refuse("its subnets would be larger than itself");
        }
        if size > bits(base.address()) - 2 {
            return refuse("its subnets would have no room for a gateway and a container");
        }
        Ok(Self { base, size })
    }
}

/// Those of Docker, and behind them 16,384 more subnets.
pub fn default_pools() -> Vec<Pool> {
    const POOLS: [([u8; 4], u8, u8); 6] = [
        // 172.17 to 172.31.
        ([172, 17, 0, 0], 16, 16),
        ([172, 18, 0, 0], 15, 16),
        ([172, 20, 0, 0], 14, 16),
        ([172, 24, 0, 0], 13, 16),
        ([192, 168, 0, 0], 16, 20),
        ([10, 192, 0, 0], 10, 24),
    ];
    let pool = |(base, prefix, size): ([u8; 4], u8, u8)| {
        let base = Cidr::new(base.into(), prefix)?;
        Some(Pool { base, size })
    };
    POOLS.into_iter().filter_map(pool).collect()
}

/// The unique local prefix of a machine (RFC 4193), cut into 65,536 subnets. `machine` is what tells it from
/// other machines, such as /etc/machine-id.
pub fn ula_pool(machine: &[u8]) -> Pool {
    // FNV-1a with the bits mixed at the end: forty of them are wanted that differ from machine to machine,
    // and nobody has to be kept from guessing them.
    let hash = machine
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let global = u128::from(hash >> 24) << 80;
    let base = from_number((0xfd << 120) | global, false);
    let base = Cidr::new(base, 48).unwrap_or_else(|| Cidr::host(Ipv6Addr::LOCALHOST.into()));
    Pool { base, size: 64 }
}

/// The first subnet of this version that overlaps nothing of `taken`: other networks, the host's routes and
/// addresses.
pub fn choose(pools: &[Pool], ipv4: bool, taken: &[Cidr]) -> Result<Cidr, Error> {
    let pools = || pools.iter().filter(|pool| pool.base.is_ipv4() == ipv4);
    let taken = merged(taken, ipv4);
    let free = pools().find_map(|pool| first_free(pool, &taken));
    free.ok_or_else(|| Error::NoSubnet {
        version: if ipv4 { 4 } else { 6 },
        pools: names(pools()),
    })
}

fn names<'a>(pools: impl Iterator<Item = &'a Pool>) -> String {
    let names: Vec<_> = pools
        .map(|pool| format!("{} by /{}", pool.base, pool.size))
        .collect();
    if names.is_empty() {
        return "there are none".to_owned();
    }
    names.join(", ")
}

/// First and last numbers of what is taken, in order, what overlaps made one.
fn merged(taken: &[Cidr], ipv4: bool) -> Vec<(u128, u128)> {
    let mut ranges: Vec<_> = taken
        .iter()
        .filter(|range| range.is_ipv4() == ipv4)
        .map(|range| (range.start(), range.end()))
        .collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn first_free(pool: &Pool, taken: &[(u128, u128)]) -> Option<Cidr> {
    let host = u32::from(bits(pool.base.address()) - pool.size);
    let length = 1_u128.checked_shl(host)?;
    let mut start = pool.base.start();
    while start <= pool.base.end() {
        let end = start + (length - 1);
        // The first one that does not end before this candidate begins.
        let next = taken.partition_point(|range| range.1 < start);
        match taken.get(next) {
            Some(range) if range.0 <= end => {
                start = range.1.checked_add(1)?.checked_next_multiple_of(length)?;
            }
            _ => return Cidr::new(from_number(start, pool.base.is_ipv4()), pool.size),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_networks_are_those_of_docker() {
        let mut taken = Vec::new();
        for _ in 0..33 {
            taken.push(choose(&default_pools(), true, &taken).unwrap());
        }
        let text: Vec<_> = taken.iter().map(ToString::to_string).collect();
        assert_eq!(text[0], "172.17.0.0/16");
        assert_eq!(text[14], "172.31.0.0/16");
        assert_eq!(text[15], "192.168.0.0/20");
        assert_eq!(text[30], "192.168.240.0/20");
        assert_eq!(text[31], "10.192.0.0/24");
        assert_eq!(text[32], "10.192.1.0/24");
    }

    #[test]
    fn thousands_of_networks_avoid_each_other_and_the_host() {
        let routes = [
            cidr("172.16.0.0/12"),
            cidr("10.200.0.0/14"),
            cidr("192.168.1.7/32"),
        ];
        let mut taken = routes.to_vec();
        let pool = &default_pools()[5..];
        for third in 0..4096_u32 {
            let network = 0x0ac0_0000 + (third << 8);
            taken.push(Cidr::new(from_number(network.into(), true), 24).unwrap());
        }
        for _ in 0..40 {
            let next = choose(pool, true, &taken).unwrap();
            assert!(!taken.iter().any(|other| other.overlaps(next)), "{next}");
            taken.push(next);
        }
        assert_eq!(taken.last(), Some(&cidr("10.208.39.0/24")));
    }

    #[test]
    fn exhaustion_says_what_to_do() {
        let pool = Pool::new(cidr("10.0.0.0/23"), 24).unwrap();
        let error = choose(&[pool], true, &[cidr("10.0.0.0/8")]).unwrap_err();
        insta::assert_snapshot!(error, @"no subnet of version 4 is left in the address pools (10.0.0.0/23 by /24): each overlaps another network or a route of this host; remove networks that are not used, choose a subnet yourself, or configure more pools");
        assert!(choose(&[pool], false, &[]).is_err());
    }

    #[test]
    fn a_pool_holds_its_subnets() {
        for (base, size) in [("10.0.0.1/8", 24), ("10.0.0.0/24", 16), ("10.0.0.0/8", 31)] {
            assert!(Pool::new(cidr(base), size).is_err(), "{base} {size}");
        }
    }

    #[test]
    fn a_machine_has_a_prefix_of_its_own() {
        let (one, other) = (ula_pool(b"one"), ula_pool(b"other"));
        assert_ne!(one, other);
        assert_eq!(one, ula_pool(b"one"));
        assert_eq!(Pool::new(one.base, 64), Ok(one));
        assert!(cidr("fd00::/8").contains(one.base.address()));
        let subnet = choose(&[one], false, &[]).unwrap();
        assert_eq!(
            (subnet.prefix(), subnet.address()),
            (64, one.base.address())
        );
    }

    proptest! {
        #[test]
        fn what_is_chosen_overlaps_nothing(
            taken in proptest::collection::vec((any::<u32>(), 8_u8..=32), 0..60),
        ) {
            let pools = [Pool::new(cidr("0.0.0.0/0"), 12).unwrap()];
            let taken: Vec<_> = taken
                .into_iter()
                .map(|(number, prefix)| Cidr::new(from_number(number.into(), true), prefix).unwrap())
                .collect();
            if let Ok(chosen) = choose(&pools, true, &taken) {
                prop_assert!(!taken.iter().any(|other| other.overlaps(chosen)));
                // And it is the first.
                let before = chosen.start().checked_sub(1 << 20);
                if let Some(before) = before {
                    let before = Cidr::new(from_number(before, true), 12).unwrap();
                    prop_assert!(taken.iter().any(|other| other.overlaps(before)));
                }
            } else {
                prop_assert!(taken.len() > 15);
            }
        }
    }
}
