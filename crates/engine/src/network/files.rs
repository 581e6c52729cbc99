//! `/etc/hosts` and `/etc/resolv.conf` of containers that are in networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use types::DnsRequest;

use super::links;
use super::place::Placement;
use super::record::Endpoint;
use crate::container::Files;
use crate::table::Container;
use crate::{Engine, Error};

/// The container's own addresses, the way out first.
pub(crate) fn of_placement(placement: &Placement) -> Vec<IpAddr> {
    let all = placement
        .endpoints
        .iter()
        .flat_map(|placed| &placed.addresses);
    all.map(|cidr| cidr.address()).collect()
}

/// The same of a container that runs.
pub(crate) fn of_status(endpoints: &BTreeMap<String, Endpoint>) -> Vec<IpAddr> {
    let live = endpoints
        .values()
        .filter_map(|endpoint| endpoint.live.as_ref());
    live.flat_map(|live| live.addresses.iter().map(|cidr| cidr.address()))
        .collect()
}

/// The host as containers reach it: what `host-gateway` is.
pub fn host_gateways(engine: &Engine) -> Vec<IpAddr> {
    match engine.config().network.host_gateway.as_slice() {
        [] => {
            let usual = engine.networks().find("bridge");
            usual.map(|network| network.gateways()).unwrap_or_default()
        }
        said => said.to_vec(),
    }
}

/// Where a container looks names up: as it asks, and else as the daemon is told.
pub(super) fn dns(engine: &Engine, asked: &DnsRequest) -> DnsRequest {
    fn or<T: Clone>(asked: &[T], usual: &[T]) -> Vec<T> {
        if asked.is_empty() { usual } else { asked }.to_vec()
    }
    let usual = &engine.config().network.dns;
    DnsRequest {
        servers: or(&asked.servers, &usual.servers),
        search: or(&asked.search, &usual.search),
        options: or(&asked.options, &usual.options),
    }
}

/// Writes the files of a container, whatever its mode.
pub(crate) fn write(
    engine: &Engine,
    container: &Container,
    dir: &Path,
    addresses: &[IpAddr],
) -> Result<Files, Error> {
    let fixed = &container.fixed;
    let asked = &fixed.spec.networking;
    let mut hosts = Vec::new();
    for line in &asked.extra_hosts {
        let Some((name, address)) = line.split_once(':') else {
            continue;
        };
        if address == "host-gateway" {
            let gateways = host_gateways(engine);
            let lines = gateways.iter();
            hosts.extend(lines.map(|gateway| format!("{gateway}\t{name}\n")));
        } else {
            hosts.push(format!("{address}\t{name}\n"));
        }
    }
    let endpoints = container.status().networks;
    for link in links::names(engine, container, &endpoints) {
        let names = link.names.join(" ");
        hosts.extend(link.addresses.iter().map(|a| format!("{a}\t{names}\n")));
    }
    let name = own_name(&fixed.resolved.hostname, fixed.spec.domainname.as_deref());
    hosts.extend(addresses.iter().map(|a| format!("{a}\t{name}\n")));
    let dns = dns(engine, &asked.dns);
    crate::container::write_files(dir, (&fixed.spec, &dns), &fixed.resolved, &hosts.concat())
}

/// `web.example.com web`.
fn own_name(host: &str, domain: Option<&str>) -> String {
    match (host.split_once('.'), domain.unwrap_or_default()) {
        (Some((short, _)), "") => format!("{host} {short}"),
        (None, "") => host.to_owned(),
        (_, domain) => format!("{host}.{domain} {host}"),
    }
}
