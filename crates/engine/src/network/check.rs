//! What is checked of a container's networks before create touches anything. Wordings are Docker's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use types::{ContainerSpec, EndpointRequest, NetworkMode};

use super::error::NetworkError;
use super::record::Endpoint;
use super::table::PREDEFINED;
use super::{limit, place};
use crate::{Engine, Error};

/// What can be said of the request alone.
pub(crate) fn request(spec: &ContainerSpec) -> Result<(), NetworkError> {
    let asked = &spec.networking;
    limit::has_own(&spec.network, spec.resources.bandwidth)?;
    let conflict = |reason| Err(NetworkError::Conflict(reason));
    if let NetworkMode::Container(who) = &spec.network {
        shared(who)?;
        let wrong = [
            (
                spec.hostname.as_ref().is_some_and(|name| !name.is_empty()),
                "hostname and the network mode",
            ),
            (
                !asked.links.is_empty(),
                "container type network can't be used with links. This would result in undefined \
                 behavior",
            ),
            (!asked.dns.servers.is_empty(), "dns and the network mode"),
            (
                !asked.extra_hosts.is_empty(),
                "custom host-to-IP mapping and the network mode",
            ),
            (
                !asked.ports.is_empty() || asked.publish_all,
                "port publishing and the container type network mode",
            ),
            (
                !spec.exposed_ports.is_empty(),
                "port exposing and the container type network mode",
            ),
        ];
        if let Some((_, reason)) = wrong.into_iter().find(|(is, _)| *is) {
            return conflict(reason);
        }
    }
    if spec.network == NetworkMode::Host && !asked.links.is_empty() {
        return conflict(
            "host type networking can't be used with links. This would result in undefined \
             behavior",
        );
    }
    asked
        .extra_hosts
        .iter()
        .try_for_each(|line| host_line(line))?;
    let allow = asked.ports.iter().flat_map(|port| &port.allow);
    for prefix in allow {
        let is = prefix.parse::<network::Cidr>().is_ok() || prefix.parse::<IpAddr>().is_ok();
        if !is {
            return Err(NetworkError::setting(
                format!("allow {prefix:?}"),
                "an address or a prefix is expected, as in 10.0.0.0/8",
            ));
        }
    }
    Ok(())
}

/// Whose network is shared is said.
fn shared(who: &str) -> Result<(), NetworkError> {
    match who.is_empty() {
        true => Err(NetworkError::setting(
            "network mode",
            "invalid container format container:<name|id>",
        )),
        false => Ok(()),
    }
}

/// What is asked for and cannot be had, though the rest can.
pub(crate) fn warnings(spec: &ContainerSpec) -> Option<String> {
    let published = !spec.networking.ports.is_empty() || spec.networking.publish_all;
    (spec.network == NetworkMode::Host && published)
        .then(|| "Published ports are discarded when using host network mode".to_owned())
}

fn host_line(line: &str) -> Result<(), NetworkError> {
    let parts = line.split_once(':').filter(|(name, _)| !name.is_empty());
    let Some((name, address)) = parts else {
        return Err(NetworkError::setting(
            "extra host",
            format!("bad format for add-host: {line:?}"),
        ));
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if address != "host-gateway" && address.parse::<IpAddr>().is_err() || !name.bytes().all(plain) {
        return Err(NetworkError::setting(
            "extra host",
            format!("invalid IP address in add-host: {address:?}"),
        ));
    }
    Ok(())
}

/// The networks that the container is to be in, by name. The container whose namespace it shares is
/// named by its id from then on.
pub(crate) fn networks_of(
    engine: &Engine,
    spec: &mut ContainerSpec,
) -> Result<BTreeMap<String, Endpoint>, Error> {
    if let NetworkMode::Container(who) = &spec.network {
        shared(who)?;
        let other = engine.find(who);
        let other = other.map_err(|error| unknown(error, who))?;
        spec.network = NetworkMode::Container(other.id().to_string());
    }
    without_default(engine, spec);
    if !spec.network.is_connected() {
        return unconnected(spec).map(|()| BTreeMap::new());
    }
    super::links::resolve(engine, spec)?;
    let mode = spec.network.network().unwrap_or_default().to_owned();
    let mut asked = spec.networking.endpoints.clone();
    // Who names networks and leaves the mode at that means those and not the default one.
    if asked.is_empty() || spec.network != NetworkMode::Default {
        asked.entry(mode).or_default();
    }
    let mut networks = BTreeMap::new();
    for (who, request) in asked {
        let network = match engine.networks().find(&who) {
            // It may be there by the time of the start.
            Err(NetworkError::NotFound(_)) => {
                endpoint(&who, &request)?;
                networks.insert(who, later(request));
                continue;
            }
            found => found?,
        };
        if matches!(network.name(), "host") {
            return Err(NetworkError::Host.into());
        }
        if matches!(network.name(), "none") {
            return Err(NetworkError::None.into());
        }
        place::link_address(network.plan()?, &request)?;
        endpoint(network.name(), &request)?;
        limit::of_endpoint(&network, &request, spec.resources.bandwidth)?;
        let place = Endpoint {
            network: Some(network.id().clone()),
            request,
            live: None,
        };
        networks.insert(network.name().to_owned(), place);
    }
    Ok(networks)
}

/// Where there is no default network, who asks for no other is in none.
fn without_default(engine: &Engine, spec: &mut ContainerSpec) {
    let usual = NetworkMode::Default.network();
    let endpoints = &mut spec.networking.endpoints;
    let alone = spec.network == NetworkMode::Default
        && endpoints.keys().all(|name| Some(name.as_str()) == usual);
    if alone && !engine.config().network.has_default() {
        endpoints.clear();
        spec.network = NetworkMode::None;
    }
}

/// A place in a network that is not there yet.
fn later(request: EndpointRequest) -> Endpoint {
    Endpoint {
        network: None,
        request,
        live: None,
    }
}

/// What may be asked of networks by a container that is in none.
fn unconnected(spec: &ContainerSpec) -> Result<(), Error> {
    for (name, request) in &spec.networking.endpoints {
        if Some(name.as_str()) != spec.network.network() {
            return match spec.network {
                NetworkMode::None => Err(NetworkError::None.into()),
                _ => Err(NetworkError::Shared.into()),
            };
        }
        endpoint(name, request)?;
    }
    Ok(())
}

/// "Not found" would mean the image to whoever asks for a container: clients pull it then.
fn unknown(error: Error, who: &str) -> Error {
    match error {
        Error::NoContainer(_) => NetworkError::NoContainer(who.to_owned()).into(),
        error => error,
    }
}

/// What can be said of a place in a network alone.
pub(super) fn endpoint(network: &str, request: &EndpointRequest) -> Result<(), NetworkError> {
    let fixed = request.ipv4.is_some() || request.ipv6.is_some();
    if fixed && PREDEFINED.contains(&network) {
        return Err(NetworkError::StaticOnDefault);
    }
    place::sysctls(request)?;
    if let Some(mac) = request.mac_address
        && !network::Mac(mac.0).is_of_one()
    {
        return Err(NetworkError::setting(
            format!("MAC address {mac}"),
            "it is not the address of one interface",
        ));
    }
    Ok(())
}
