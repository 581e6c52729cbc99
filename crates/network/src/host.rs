//! What the host has already.

use sys::netlink::{Family, Socket};

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

/// Makes this host pass packets on between its interfaces, of one version. Whether it did not before: then
/// [`Ruleset::closed`](crate::Ruleset::closed) keeps it from doing so for others than containers.
pub fn enable_forwarding(ipv4: bool) -> Result<bool, Error> {
    let setting = if ipv4 {
        "net.ipv4.ip_forward"
    } else {
        "net.ipv6.conf.all.forwarding"
    };
    let doing = || format!("set {setting}");
    if sys::sysctl::get(setting).doing(doing)? == "1" {
        return Ok(false);
    }
    sys::sysctl::set(setting, "1").doing(doing)?;
    Ok(true)
}
