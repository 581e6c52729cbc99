//! The network flags of `run` and `create`: modes, endpoints, ports and names.

use std::collections::{BTreeMap, BTreeSet};

use types::{DnsRequest, EndpointRequest, NetworkMode, Networking};

use crate::args::container::ContainerFlags;
use crate::args::networks::NetworkFlag;
use crate::error::CliError;

fn invalid(text: impl Into<String>) -> CliError {
    CliError::Invalid(text.into())
}

/// The mode and all that is asked beside it.
pub(super) fn networking(flags: &ContainerFlags) -> Result<(NetworkMode, Networking), CliError> {
    let networks = networks(flags)?;
    let mode = NetworkMode::parse(&networks[0].target);
    let mut endpoints = BTreeMap::new();
    for flag in networks {
        let name = match NetworkMode::parse(&flag.target) {
            NetworkMode::Container(_) => continue,
            mode => mode.network().unwrap_or_default().to_owned(),
        };
        // The mode alone says as much.
        if mode.network() != Some(&name) || flag.request != EndpointRequest::default() {
            endpoints.insert(name, flag.request);
        }
    }
    let networking = Networking {
        endpoints,
        ports: flags.publish.iter().flatten().cloned().collect(),
        publish_all: flags.publish_all,
        dns: DnsRequest {
            servers: flags.dns.clone(),
            search: flags.dns_search.clone(),
            options: flags.dns_option.clone(),
        },
        extra_hosts: flags.add_host.clone(),
        links: flags.link.clone(),
    };
    Ok((mode, networking))
}

/// Ports of `--expose`, and those that are published.
pub(super) fn exposed(flags: &ContainerFlags) -> BTreeSet<String> {
    let published = flags.publish.iter().flatten();
    let published = published.map(|port| port.port.to_string());
    let exposed = flags.expose.iter().flatten().cloned();
    exposed.chain(published).collect()
}

/// The networks, at least one; what is said of the container is said of the first.
fn networks(flags: &ContainerFlags) -> Result<Vec<NetworkFlag>, CliError> {
    let mut networks = flags.network.clone();
    if networks.is_empty() {
        networks.push(NetworkFlag::default());
    }
    apply(&mut networks[0], flags)?;
    let mut seen = BTreeSet::new();
    let (mut named, mut other) = (false, false);
    for network in &networks {
        if network.target.is_empty() && !flags.network.is_empty() {
            return Err(invalid("no name set for network"));
        }
        if !seen.insert(&network.target) {
            let name = &network.target;
            return Err(invalid(format!(
                "network {name:?} is specified multiple times"
            )));
        }
        match NetworkMode::parse(&network.target) {
            NetworkMode::Named(_) => named = true,
            _ => other = true,
        }
        links_of_networks_only(network)?;
    }
    match named && other {
        true => Err(invalid(
            "conflicting options: cannot attach both user-defined and non-user-defined \
             network-modes",
        )),
        false => Ok(networks),
    }
}

fn links_of_networks_only(network: &NetworkFlag) -> Result<(), CliError> {
    let mode = NetworkMode::parse(&network.target);
    if !mode.is_connected() && !network.request.aliases.is_empty() {
        return Err(invalid(
            "network-scoped aliases are only supported for user-defined networks",
        ));
    }
    Ok(())
}

/// The flags from the time of one network.
fn apply(first: &mut NetworkFlag, flags: &ContainerFlags) -> Result<(), CliError> {
    let request = &mut first.request;
    let twice = |flag: &str, what: &str| {
        Err(invalid(format!(
            "conflicting options: cannot specify both {flag} and per-network {what}"
        )))
    };
    if !flags.network_alias.is_empty() {
        if !request.aliases.is_empty() {
            return twice("--network-alias", "alias");
        }
        request.aliases.clone_from(&flags.network_alias);
    }
    if !flags.link_local_ip.is_empty() {
        if !request.link_local.is_empty() {
            return twice("--link-local-ip", "link-local IP addresses");
        }
        request.link_local.clone_from(&flags.link_local_ip);
    }
    match (flags.ip, &mut request.ipv4) {
        (Some(_), Some(_)) => return twice("--ip", "IPv4 address"),
        (Some(ip), none) => *none = Some(ip),
        (None, _) => {}
    }
    match (flags.ip6, &mut request.ipv6) {
        (Some(_), Some(_)) => return twice("--ip6", "IPv6 address"),
        (Some(ip), none) => *none = Some(ip),
        (None, _) => {}
    }
    match (flags.mac_address, &mut request.mac_address) {
        (Some(_), Some(_)) => return twice("--mac-address", "MAC address"),
        (Some(mac), none) => *none = Some(mac),
        (None, _) => {}
    }
    if matches!(NetworkMode::parse(&first.target), NetworkMode::Named(_)) {
        request.links.clone_from(&flags.link);
    }
    Ok(())
}
