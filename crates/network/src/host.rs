//! What the host has already.

use sys::Errno;
use sys::netlink::{Family, Socket};
use sys::nft::{BaseChain, Place};

use std::net::IpAddr;

use crate::address::Cidr;
use crate::error::{Doing, Error};
use crate::link;

/// Destinations of the calling thread's namespace's routes, default routes left out, and its addresses with
/// their prefixes: what new subnets must not overlap.
pub fn host_routes() -> Result<Vec<Cidr>, Error> {
    let doing = || "read the routes of this host".to_owned();
    let mut socket = Socket::open(Family::Route).doing(doing)?;
    let mut taken = link::destinations(&mut socket).doing(doing)?;
    let addresses = link::addresses(&mut socket).doing(doing)?;
    taken.extend(addresses.into_iter().map(|(_, address)| address.network()));
    // Multicast and link-local routes of version 6 are everywhere and in nobody's way.
    taken.retain(|range| {
        range.is_ipv4()
            || !(range.first().is_multicast() || range.first().to_string().starts_with("fe80"))
    });
    taken.sort_unstable();
    taken.dedup();
    Ok(taken)
}

/// How packets to an address leave this host, and so how those of its come if nobody routes oddly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The interface.
    pub interface: String,
    /// The address that they come from, and that is spoken to in turn.
    pub own: Option<IpAddr>,
}

/// None if no route leads there.
pub fn way_to(address: IpAddr) -> Result<Option<Way>, Error> {
    let doing = || format!("look for the way to {address}");
    let mut socket = Socket::open(Family::Route).doing(doing)?;
    // It says why there is none in more than one way.
    let Ok((Some(index), own)) = link::route_to(&mut socket, address) else {
        return Ok(None);
    };
    let interface = link::get(&mut socket, index).doing(doing)?.name;
    Ok(Some(Way { interface, own }))
}

/// The addresses of this host's interfaces.
pub fn own_addresses() -> Result<Vec<IpAddr>, Error> {
    let doing = || "read the addresses of this host".to_owned();
    let mut socket = Socket::open(Family::Route).doing(doing)?;
    let addresses = link::addresses(&mut socket).doing(doing)?;
    Ok(addresses
        .into_iter()
        .map(|(_, cidr)| cidr.address())
        .collect())
}

/// Whether the calling thread's namespace has an interface of this name; also where that cannot be seen.
pub fn link_exists(name: &str) -> bool {
    let found = Socket::open(Family::Route).and_then(|mut socket| link::find(&mut socket, name));
    !found.is_err_and(|error| error.errno == Errno::NODEV)
}

/// Whether this host passes packets on between its interfaces, of one version.
pub fn forwards(ipv4: bool) -> Result<bool, Error> {
    let setting = forwarding_setting(ipv4);
    let read = sys::sysctl::get(setting).doing(|| format!("read {setting}"))?;
    Ok(read != "0")
}

/// Makes it do so. Whether it did not before: then
/// [`Ruleset::closed`](crate::Ruleset::closed) keeps it from doing so for others than containers.
pub fn enable_forwarding(ipv4: bool) -> Result<bool, Error> {
    if forwards(ipv4)? {
        return Ok(false);
    }
    set_forwarding(ipv4, "1").map(|()| true)
}

/// The reverse.
pub fn disable_forwarding(ipv4: bool) -> Result<(), Error> {
    set_forwarding(ipv4, "0")
}

fn set_forwarding(ipv4: bool, value: &str) -> Result<(), Error> {
    let setting = forwarding_setting(ipv4);
    sys::sysctl::set(setting, value).doing(|| format!("set {setting} to {value}"))
}

/// What says so (sysctl(8)).
pub fn forwarding_setting(ipv4: bool) -> &'static str {
    if ipv4 {
        "net.ipv4.ip_forward"
    } else {
        "net.ipv6.conf.all.forwarding"
    }
}

/// Chains of all tables that see packets which are passed on, in words.
pub fn forwarding_filters() -> Result<Vec<String>, Error> {
    let chains = base_chains()?;
    let of_forward = chains
        .iter()
        .filter(|chain| chain.hook == Some(Place::Forward));
    let mut found: Vec<String> = of_forward.map(ToString::to_string).collect();
    // Rules of the older kind, which nftables does not show.
    for file in ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"] {
        let names = std::fs::read_to_string(file).unwrap_or_default();
        if names.lines().any(|name| name == "filter") {
            found.push(format!("the table filter of {file}"));
        }
    }
    Ok(found)
}

/// The chains of all nftables tables of the calling thread's namespace that packets pass by themselves; none
/// where the kernel has no nftables.
pub fn base_chains() -> Result<Vec<BaseChain>, Error> {
    let chains =
        Socket::open(Family::Netfilter).and_then(|mut socket| sys::nft::base_chains(&mut socket));
    match chains {
        Err(error) if has_no_nftables(error.errno) => Ok(Vec::new()),
        chains => chains.doing(|| "list the chains of nftables".to_owned()),
    }
}

/// netlink(7): there is no such family of sockets, or nobody of that family for tables, which is an invalid
/// question where nothing is to be changed.
fn has_no_nftables(errno: Errno) -> bool {
    [Errno::PROTONOSUPPORT, Errno::OPNOTSUPP, Errno::INVAL].contains(&errno)
}

/// Whether an address is one of this host's. Not if that cannot be told.
pub fn is_own(address: IpAddr) -> bool {
    // The way to itself begins and ends there.
    let way =
        Socket::open(Family::Route).and_then(|mut socket| link::route_to(&mut socket, address));
    address.is_loopback() || way.is_ok_and(|(_, own)| own == Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_known_and_others_are_not() {
        for (address, own) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_own(address.parse().unwrap()), own, "{address}");
        }
    }

    #[test]
    fn a_kernel_without_nftables_has_no_chains() {
        assert!(has_no_nftables(Errno::PROTONOSUPPORT));
        assert!(has_no_nftables(Errno::OPNOTSUPP));
        assert!(!has_no_nftables(Errno::PERM));
    }
}
