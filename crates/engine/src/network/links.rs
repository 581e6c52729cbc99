//! Links: containers known to one other by further names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::keeper::Endpoint as Named;

use super::record::Endpoint;
use crate::Engine;
use crate::table::Container;

/// The linked containers that run, with the names that are meant and their addresses on a network that
/// both are in.
pub(crate) fn names(
    engine: &Engine,
    container: &Container,
    endpoints: &BTreeMap<String, Endpoint>,
) -> Vec<Named> {
    let mut all = Vec::new();
    for (name, endpoint) in endpoints {
        let of_endpoint = endpoint.request.links.iter();
        // Links of the container itself are those of the default network.
        let old = container.fixed.spec.networking.links.iter();
        let old = old.filter(|_| name == "bridge");
        for link in of_endpoint.chain(old) {
            let (who, alias) = link.split_once(':').unwrap_or((link, link));
            let Ok(other) = engine.find(who) else {
                continue;
            };
            let addresses = addresses(&other, name);
            if !addresses.is_empty() {
                all.push(Named {
                    names: super::table::distinct([
                        alias.trim_start_matches('/').to_owned(),
                        other.name().as_str().to_owned(),
                    ]),
                    addresses,
                });
            }
        }
    }
    all
}

fn addresses(container: &Container, network: &str) -> Vec<IpAddr> {
    let status = container.status();
    let live = status.networks.get(network).and_then(|e| e.live.as_ref());
    live.map(|live| live.addresses.iter().map(|a| a.address()).collect())
        .unwrap_or_default()
}
