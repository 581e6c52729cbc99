//! What a container asks of networks, and networks themselves: wire to domain and back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use types::{
    ContainerPort, DnsRequest, EndpointRequest, MacAddress, NetworkMode, NetworkSpec, Networking,
    PoolSpec, PortRequest, port_range,
};

use super::Refusal;
use crate::Version;
use crate::wire::{
    ConfigReference, EndpointIpam, EndpointSettings, HostConfig, Ipam, IpamPool,
    NetworkCreateRequest, NetworkingConfig, PortBinding,
};

/// What the client asks of networks.
pub(super) fn networking(
    mode: &NetworkMode,
    mac: &str,
    host: &HostConfig,
    asked: NetworkingConfig,
    version: Version,
) -> Result<Networking, Refusal> {
    let asked = asked.endpoints_config.unwrap_or_default();
    if asked.len() > 1 && !version.has(44) {
        let names: Vec<&str> = asked.keys().map(String::as_str).collect();
        return Err(Refusal::Said(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    let mut endpoints = BTreeMap::new();
    for (name, settings) in asked {
        let (name, request) = (
            in_mode(name, mode),
            endpoint_request(&settings.unwrap_or_default())?,
        );
        // The mode alone says as much.
        if mode.network() != Some(&name) || request != EndpointRequest::default() {
            endpoints.insert(name, request);
        }
    }
    if !mac.is_empty() && !version.has(44) && !mode.is_connected() {
        return Err(Refusal::Said(
            "conflicting options: mac-address and the network mode".to_owned(),
        ));
    }
    // What older clients say of the container is meant for the mode's network.
    if let (false, false, Some(name)) = (mac.is_empty(), version.has(52), mode.network()) {
        let endpoint: &mut EndpointRequest = endpoints.entry(name.to_owned()).or_default();
        let asked = parse_mac(mac)?;
        if *endpoint.mac_address.get_or_insert(asked) != asked {
            return Err(Refusal::Said(
                "conflicting MAC address: the container-wide MAC address must match the \
                 endpoint-specific MAC address for the main network, or be left empty"
                    .to_owned(),
            ));
        }
    }
    Ok(Networking {
        endpoints,
        ports: ports(host.port_bindings.as_ref(), version)?,
        publish_all: host.publish_all_ports,
        dns: dns(host)?,
        extra_hosts: host.extra_hosts.clone().unwrap_or_default(),
        links: host.links.clone().unwrap_or_default(),
    })
}

/// `default` is the name that clients use for the network that the mode means.
fn in_mode(name: String, mode: &NetworkMode) -> String {
    match name.as_str() {
        "default" => mode.network().unwrap_or("bridge").to_owned(),
        _ => name,
    }
}

/// What a client asks of a container's place in one network.
///
/// # Errors
/// Names the field that makes no sense.
pub fn endpoint_request(settings: &EndpointSettings) -> Result<EndpointRequest, Refusal> {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let link_local = ipam.link_local_ips.iter().map(|text| {
        text.parse()
            .map_err(|_| Refusal::Said(format!("invalid link-local IP address: {text}")))
    });
    Ok(EndpointRequest {
        ipv4: address("IPv4", &ipam.ipv4_address)?,
        ipv6: address("IPv6", &ipam.ipv6_address)?,
        link_local: link_local.collect::<Result<_, _>>()?,
        mac_address: Some(settings.mac_address.as_str())
            .filter(|mac| !mac.is_empty())
            .map(parse_mac)
            .transpose()?,
        aliases: settings.aliases.clone().unwrap_or_default(),
        links: settings.links.clone().unwrap_or_default(),
        driver_opts: settings.driver_opts.clone().unwrap_or_default(),
        gw_priority: settings.gw_priority,
    })
}

fn address<A: FromStr>(family: &str, text: &str) -> Result<Option<A>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse().map(Some);
    parsed.map_err(|_| Refusal::Said(format!("invalid {family} address: {text}")))
}

fn parse_mac(text: &str) -> Result<MacAddress, Refusal> {
    text.parse()
        .map_err(|_| Refusal::Said(format!("invalid MAC address: {text}")))
}

fn dns(host: &HostConfig) -> Result<DnsRequest, Refusal> {
    let servers = host.dns.iter().flatten().map(|text| {
        text.parse()
            .map_err(|_| Refusal::Said(format!("invalid DNS address: {text}")))
    });
    Ok(DnsRequest {
        servers: servers.collect::<Result<_, _>>()?,
        search: host.dns_search.clone().unwrap_or_default(),
        options: host.dns_options.clone().unwrap_or_default(),
    })
}

pub(super) type PortBindings = BTreeMap<String, Option<Vec<PortBinding>>>;

pub(super) fn ports(
    asked: Option<&PortBindings>,
    version: Version,
) -> Result<Vec<PortRequest>, Refusal> {
    let mut ports = Vec::new();
    for (port, bindings) in asked.into_iter().flatten() {
        let port: ContainerPort = port
            .parse()
            .map_err(|_| Refusal::Said(format!("invalid port specification: \"{port}\"")))?;
        // To older clients a port without a place on the host is to have any.
        let any = [PortBinding::default()];
        let bindings = match bindings.as_deref() {
            None | Some([]) if version.has(53) => &[],
            None | Some([]) => any.as_slice(),
            Some(bindings) => bindings,
        };
        for binding in bindings {
            ports.push(port_request(port, binding)?);
        }
    }
    Ok(ports)
}

fn port_request(port: ContainerPort, binding: &PortBinding) -> Result<PortRequest, Refusal> {
    let host_ip = match binding.host_ip.trim_matches(['[', ']']) {
        "" => None,
        text => Some(text.parse::<IpAddr>().map_err(|_| {
            Refusal::Said(format!(
                "invalid IP address in port mapping: {}",
                binding.host_ip
            ))
        })?),
    };
    let host_ports = match binding.host_port.as_str() {
        "" | "0" => None,
        text => Some(
            port_range(text)
                .ok_or_else(|| Refusal::Said(format!("invalid port specification: \"{text}\"")))?,
        ),
    };
    Ok(PortRequest {
        port,
        host_ip,
        host_ports,
        allow: binding.allow.clone(),
    })
}

/// The port bindings that ask for these ports.
pub(super) fn port_bindings(ports: &[PortRequest]) -> PortBindings {
    let mut bindings = PortBindings::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            host_port: match port.host_ports {
                None => String::new(),
                Some((first, last)) if first == last => first.to_string(),
                Some((first, last)) => format!("{first}-{last}"),
            },
            allow: port.allow.clone(),
        };
        let list = bindings.entry(port.port.to_string()).or_default();
        list.get_or_insert_default().push(binding);
    }
    bindings
}

/// The endpoints that ask for these places.
pub(super) fn endpoints(networking: &Networking) -> NetworkingConfig {
    let settings = |(name, request): (&String, &EndpointRequest)| {
        (name.clone(), Some(endpoint_settings(request)))
    };
    NetworkingConfig {
        endpoints_config: Some(networking.endpoints.iter().map(settings).collect()),
    }
}

/// What asks for a place in a network; what `inspect` shows of the request.
pub fn endpoint_settings(request: &EndpointRequest) -> EndpointSettings {
    let text = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let ipam = EndpointIpam {
        ipv4_address: text(request.ipv4.map(IpAddr::V4)),
        ipv6_address: text(request.ipv6.map(IpAddr::V6)),
        link_local_ips: request.link_local.iter().map(ToString::to_string).collect(),
    };
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    EndpointSettings {
        ipam_config: (ipam != EndpointIpam::default()).then_some(ipam),
        links: some(&request.links),
        aliases: some(&request.aliases),
        mac_address: request
            .mac_address
            .map(|mac| mac.to_string())
            .unwrap_or_default(),
        driver_opts: (!request.driver_opts.is_empty()).then(|| request.driver_opts.clone()),
        gw_priority: request.gw_priority,
        ..EndpointSettings::default()
    }
}

/// The network a client asks for.
pub fn network_spec(request: NetworkCreateRequest) -> NetworkSpec {
    let ipam = request.ipam.unwrap_or_default();
    NetworkSpec {
        name: request.name,
        driver: request.driver,
        scope: request.scope,
        ipv4: request.enable_ipv4,
        ipv6: request.enable_ipv6,
        internal: request.internal,
        attachable: request.attachable,
        ingress: request.ingress,
        config_only: request.config_only,
        config_from: request
            .config_from
            .map(|from| from.network)
            .filter(|name| !name.is_empty()),
        ipam_driver: ipam.driver,
        ipam_options: ipam.options,
        pools: ipam
            .config
            .unwrap_or_default()
            .into_iter()
            .map(pool)
            .collect(),
        options: request.options.unwrap_or_default(),
        labels: request.labels.unwrap_or_default(),
    }
}

fn pool(pool: IpamPool) -> PoolSpec {
    PoolSpec {
        subnet: pool.subnet,
        ip_range: pool.ip_range,
        gateway: pool.gateway,
        auxiliary: pool.auxiliary_addresses,
    }
}

/// The request that asks for this network.
pub fn network_request(spec: &NetworkSpec) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: spec.name.clone(),
        check_duplicate: true,
        driver: spec.driver.clone(),
        scope: spec.scope.clone(),
        enable_ipv4: spec.ipv4,
        enable_ipv6: spec.ipv6,
        ipam: Some(ipam(spec)),
        internal: spec.internal,
        attachable: spec.attachable,
        ingress: spec.ingress,
        config_only: spec.config_only,
        config_from: spec
            .config_from
            .clone()
            .map(|network| ConfigReference { network }),
        options: Some(spec.options.clone()),
        labels: Some(spec.labels.clone()),
    }
}

/// A network's addresses on the wire.
pub fn ipam(spec: &NetworkSpec) -> Ipam {
    let pools = spec.pools.iter().map(|pool| IpamPool {
        subnet: pool.subnet.clone(),
        ip_range: pool.ip_range.clone(),
        gateway: pool.gateway.clone(),
        auxiliary_addresses: pool.auxiliary.clone(),
    });
    Ipam {
        driver: match spec.ipam_driver.as_str() {
            "" => "default".to_owned(),
            driver => driver.to_owned(),
        },
        options: spec.ipam_options.clone(),
        config: Some(pools.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(bindings: serde_json::Value) -> Result<Vec<PortRequest>, String> {
        let bindings: PortBindings = serde_json::from_value(bindings).unwrap();
        ports(Some(&bindings), Version::new(1, 52)).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn port_bindings_go_both_ways() {
        let json = serde_json::json!({
            "53/udp": [{"HostIp": "::1", "HostPort": "5353"}],
            "80/tcp": [
                {"HostIp": "", "HostPort": "8080-8090"},
                {"HostIp": "127.0.0.1", "HostPort": "", "Allow": ["10.0.0.0/8"]},
            ],
        });
        let ports = asked(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(port_bindings(&ports)).unwrap(), json);
        let one = asked(serde_json::json!({"80": null})).unwrap();
        assert_eq!(
            (one[0].port.to_string(), one[0].host_ports),
            ("80/tcp".into(), None)
        );
    }

    #[test]
    fn ports_that_are_none_are_named() {
        let refused = |json| asked(json).unwrap_err();
        assert_eq!(
            refused(serde_json::json!({"http/tcp": []})),
            "invalid port specification: \"http/tcp\""
        );
        assert_eq!(
            refused(serde_json::json!({"80/tcp": [{"HostPort": "99999"}]})),
            "invalid port specification: \"99999\""
        );
        assert_eq!(
            refused(serde_json::json!({"80/tcp": [{"HostIp": "web"}]})),
            "invalid IP address in port mapping: web"
        );
    }

    #[test]
    fn endpoints_go_both_ways() {
        let request = EndpointRequest {
            ipv4: Some([10, 0, 0, 7].into()),
            ipv6: Some("fd00::7".parse().unwrap()),
            link_local: vec!["169.254.1.1".parse().unwrap()],
            mac_address: Some("02:00:00:00:00:07".parse().unwrap()),
            aliases: vec!["a".into()],
            links: vec!["db:data".into()],
            driver_opts: [("k".to_owned(), "v".to_owned())].into(),
            gw_priority: 3,
        };
        let settings = endpoint_settings(&request);
        assert_eq!(endpoint_request(&settings), Ok(request));
        let wrong = EndpointSettings {
            mac_address: "x".into(),
            ..EndpointSettings::default()
        };
        let refused = endpoint_request(&wrong).unwrap_err();
        assert_eq!(refused.to_string(), "invalid MAC address: x");
    }

    #[test]
    fn several_networks_at_once_came_with_1_44() {
        let both = || NetworkingConfig {
            endpoints_config: Some([("a".to_owned(), None), ("b".to_owned(), None)].into()),
        };
        let ask = |minor| {
            let mode = NetworkMode::parse("c");
            let host = HostConfig::default();
            networking(&mode, "", &host, both(), Version::new(1, minor))
        };
        assert_eq!(ask(44).unwrap().endpoints.len(), 2);
        assert_eq!(
            ask(43).unwrap_err().to_string(),
            "Container cannot be created with multiple network endpoints: a, b"
        );
    }

    #[test]
    fn a_container_without_an_interface_has_no_hardware_address() {
        let ask = |mode: &str, minor| {
            let host = HostConfig::default();
            let asked = NetworkingConfig::default();
            let (mode, mac) = (NetworkMode::parse(mode), "02:00:00:00:00:07");
            networking(&mode, mac, &host, asked, Version::new(1, minor))
        };
        assert!(ask("default", 43).is_ok() && ask("host", 44).is_ok());
        for mode in ["host", "none", "container:c"] {
            assert_eq!(
                ask(mode, 43).unwrap_err().to_string(),
                "conflicting options: mac-address and the network mode"
            );
        }
    }

    #[test]
    fn networks_go_both_ways() {
        let spec = NetworkSpec {
            name: "n".into(),
            driver: "macvlan".into(),
            ipv6: Some(true),
            internal: true,
            config_from: Some("c".into()),
            ipam_driver: "default".into(),
            pools: vec![PoolSpec {
                subnet: "10.0.0.0/24".into(),
                ip_range: "10.0.0.128/25".into(),
                gateway: "10.0.0.1".into(),
                auxiliary: [("router".to_owned(), "10.0.0.2".to_owned())].into(),
            }],
            options: [("parent".to_owned(), "eth0".to_owned())].into(),
            ..NetworkSpec::default()
        };
        assert_eq!(network_spec(network_request(&spec)), spec);
    }
}
