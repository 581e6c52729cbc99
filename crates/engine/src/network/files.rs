//! `/etc/hosts` and `/etc/resolv.conf` of containers that are in networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

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
            let gateways = engine.networks().find("bridge").map(|n| n.gateways());
            let gateways = gateways.unwrap_or_default();
            hosts.extend(
                gateways
                    .iter()
                    .map(|gateway| format!("{gateway}\t{name}\n")),
            );
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
    crate::container::write_files(dir, &fixed.spec, &fixed.resolved, &hosts.concat())
}

/// `web.example.com web`.
fn own_name(host: &str, domain: Option<&str>) -> String {
    match (host.split_once('.'), domain.unwrap_or_default()) {
        (Some((short, _)), "") => format!("{host} {short}"),
        (None, "") => host.to_owned(),
        (_, domain) => format!("{host}.{domain} {host}"),
    }
}
