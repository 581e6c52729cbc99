//! A container's networks as the API shows them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::Version;
use api::convert::endpoint_settings;
use api::wire;
use engine::container::View;
use engine::network::{EndpointView, PublishedPort};
use types::NetworkMode;

/// All of a container's networks.
pub(super) fn settings(view: &View, version: Version) -> wire::NetworkSettings {
    let networks = networks(view, version);
    let runs = view.lifecycle.is_running();
    let own = view.spec.network.is_private() && runs;
    let shown = wire::NetworkSettings {
        sandbox_id: if own {
            view.id.to_string()
        } else {
            String::new()
        },
        sandbox_key: match view.lifecycle.process() {
            Some(process) if own => format!("/proc/{}/ns/net", process.pid),
            _ => String::new(),
        },
        ports: ports(view),
        ..wire::NetworkSettings::default()
    };
    if version.has(52) {
        return wire::NetworkSettings { networks, ..shown };
    }
    // What the default network's is stands beside the networks, since there was but one.
    let first = networks.get("bridge").cloned().unwrap_or_default();
    wire::NetworkSettings {
        bridge: Some(String::new()),
        hairpin_mode: Some(false),
        link_local_ipv6_address: Some(String::new()),
        link_local_ipv6_prefix_len: Some(0),
        secondary_ip_addresses: Some(serde_json::Value::Null),
        secondary_ipv6_addresses: Some(serde_json::Value::Null),
        endpoint_id: Some(first.endpoint_id),
        gateway: Some(first.gateway),
        global_ipv6_address: Some(first.global_ipv6_address),
        global_ipv6_prefix_len: Some(first.global_ipv6_prefix_len),
        ip_address: Some(first.ip_address),
        ip_prefix_len: Some(first.ip_prefix_len),
        ipv6_gateway: Some(first.ipv6_gateway),
        mac_address: Some(first.mac_address),
        networks,
        ..shown
    }
}

/// By name.
pub(super) fn networks(view: &View, version: Version) -> BTreeMap<String, wire::EndpointSettings> {
    match &view.spec.network {
        NetworkMode::Container(_) => BTreeMap::new(),
        mode @ (NetworkMode::None | NetworkMode::Host) => {
            let name = mode.network().unwrap_or_default().to_owned();
            [(name, wire::EndpointSettings::default())].into()
        }
        NetworkMode::Default | NetworkMode::Named(_) => view
            .networks
            .iter()
            .map(|endpoint| (endpoint.name.clone(), shown(endpoint, view, version)))
            .collect(),
    }
}

fn shown(endpoint: &EndpointView, view: &View, version: Version) -> wire::EndpointSettings {
    let mut settings = endpoint_settings(&endpoint.request);
    settings.network_id = endpoint
        .network
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    if version.has(44) && endpoint.name != "bridge" {
        settings.dns_names = Some(endpoint.names.clone());
    }
    if !version.has(45) && endpoint.name != "bridge" {
        let short = view.id.short().to_owned();
        settings.aliases.get_or_insert_default().push(short);
    }
    let Some(place) = &endpoint.place else {
        return settings;
    };
    let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    let prefix = |pair: Option<(IpAddr, u8)>| pair.map_or(0, |(_, prefix)| i64::from(prefix));
    wire::EndpointSettings {
        mac_address: place.mac.clone(),
        endpoint_id: place.id.to_string(),
        gateway: text(place.gateway4),
        ip_address: text(place.ipv4.map(|(address, _)| address)),
        ip_prefix_len: prefix(place.ipv4),
        ipv6_gateway: text(place.gateway6),
        global_ipv6_address: text(place.ipv6.map(|(address, _)| address)),
        global_ipv6_prefix_len: prefix(place.ipv6),
        ..settings
    }
}

/// Exposed ports, and where they are published.
fn ports(view: &View) -> BTreeMap<String, Option<Vec<wire::PortBinding>>> {
    if !view.lifecycle.is_running() {
        return BTreeMap::new();
    }
    let mut ports: BTreeMap<String, Option<Vec<wire::PortBinding>>> = BTreeMap::new();
    for port in &view.exposed {
        ports.insert(port.to_string(), None);
    }
    for published in &view.ports {
        let places = ports.entry(published.port.to_string()).or_default();
        places.get_or_insert_default().push(wire::PortBinding {
            host_ip: published.host_ip.to_string(),
            host_port: match published.host_port {
                0 => String::new(),
                port => port.to_string(),
            },
            allow: published.allow.clone(),
        });
    }
    ports
}

/// The same in a listing.
pub(super) fn summary(view: &View) -> Vec<wire::PortSummary> {
    if !view.lifecycle.is_running() {
        return Vec::new();
    }
    let is_published = |port| view.ports.iter().any(|published| published.port == port);
    let exposed = view.exposed.iter().filter(|port| !is_published(**port));
    let exposed = exposed.map(|port| wire::PortSummary {
        ip: String::new(),
        private_port: port.number,
        public_port: 0,
        r#type: port.protocol.to_string(),
    });
    let published = view
        .ports
        .iter()
        .map(|port: &PublishedPort| wire::PortSummary {
            ip: port.host_ip.to_string(),
            private_port: port.port.number,
            public_port: port.host_port,
            r#type: port.port.protocol.to_string(),
        });
    exposed.chain(published).collect()
}
