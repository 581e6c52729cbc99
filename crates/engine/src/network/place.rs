//! What a start decides about networks before anything is made: addresses, the way out, ports.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use network::keeper::{Listen, Reservation};
use network::{
    BridgePlan, Cidr, Driver, EndpointPlan, GatewayMode, InterfaceName, NetworkPlan, Published,
};
use types::{
    Bandwidth, ContainerPort, ContainerSpec, EndpointId, EndpointRequest, PortRequest, Protocol,
};

use super::error::NetworkError;
use super::limit;
use super::plan::{BINDING, PREFIX};
use super::record::{Endpoint, Ports, PublishedPort};
use super::releases::Held;
use super::table::Network;
use crate::container::create::random;
use crate::table::Container;
use crate::{Engine, Error};

const IFNAME: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// A container's place in one network.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) network: Arc<Network>,
    pub(crate) request: EndpointRequest,
    pub(crate) id: EndpointId,
    pub(crate) addresses: Vec<Cidr>,
    /// The network's.
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) plan: EndpointPlan,
}

/// All that a start decides; the first endpoint is the one that leads out, if any does.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    pub(crate) endpoints: Vec<Placed>,
    pub(crate) ports: Ports,
    /// Whether the ports are published already.
    pub(crate) published: bool,
}

/// One port to reserve and publish.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) port: ContainerPort,
    pub(super) allow: Vec<String>,
    pub(super) reservation: Reservation,
    /// Where it is shown, and whether rules lead there.
    pub(super) places: Vec<Shown>,
    pub(super) bridge: String,
}

/// Where one port is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// The host's address.
    host: IpAddr,
    /// The container's, if rules lead there.
    target: Option<IpAddr>,
    /// Who has a route reaches the container itself; nothing of the host's is taken for it.
    routed: bool,
}

impl Publication {
    /// Whether something of the host's is taken for it.
    pub(super) fn takes_a_port(&self) -> bool {
        !self.reservation.listen.is_empty()
    }
}

/// Takes addresses in every network of the container; gives them all back when one has none.
pub(crate) fn place(engine: &Engine, container: &Container) -> Result<Placement, Error> {
    super::links::check(engine, container)?;
    let mut placement = Placement::default();
    let status = container.status();
    let limits = status
        .limits
        .as_ref()
        .unwrap_or(&container.fixed.spec.resources);
    let limits = limits.bandwidth;
    let ipv6 = may_have_ipv6(&container.fixed.spec);
    for (name, endpoint) in &status.networks {
        let network = meant(engine, name, endpoint, &placement);
        let placed = network.and_then(|network| {
            place_once_free(engine, &network, &endpoint.request, (limits, ipv6))
        });
        match placed {
            Ok(placed) => placement.endpoints.push(placed),
            Err(error) => {
                give_back(taken(&placement));
                return Err(error);
            }
        }
    }
    // Names are in order already.
    placement
        .endpoints
        .sort_by_key(|placed| rank(&placed.network, &placed.request));
    let ways: Vec<Vec<IpAddr>> = ways_out(&placement.endpoints);
    for (placed, way) in placement.endpoints.iter_mut().zip(ways) {
        placed.plan.gateways = way;
    }
    Ok(placement)
}

/// The network of a place, which no other place is in.
fn meant(
    engine: &Engine,
    name: &str,
    endpoint: &Endpoint,
    before: &Placement,
) -> Result<Arc<Network>, Error> {
    let network = engine.networks().meant(name, endpoint)?;
    let mut others = before.endpoints.iter();
    match others.any(|other| other.network.id() == network.id()) {
        true => Err(NetworkError::Twice(network.name().to_owned()).into()),
        false => Ok(network),
    }
}

/// An address that was asked for may be that of a run that has just ended.
fn place_once_free(
    engine: &Engine,
    network: &Arc<Network>,
    request: &EndpointRequest,
    of_container: (Bandwidth, bool),
) -> Result<Placed, Error> {
    let placed = place_in(network.clone(), request, of_container);
    let taken = matches!(
        &placed,
        Err(Error::Network(NetworkError::AddressTaken { .. }))
    );
    let releases = &engine.networks().releases;
    if !taken || !engine.runtime().block_on(releases.settled(Held::Addresses)) {
        return placed;
    }
    place_in(network.clone(), request, of_container)
}

/// Whether its interfaces can have addresses of version 6: not where its own parameters turn them off.
pub(super) fn may_have_ipv6(spec: &ContainerSpec) -> bool {
    let off = |(name, value): (&String, &String)| {
        name.replace('/', ".") == "net.ipv6.conf.all.disable_ipv6" && value.trim() == "1"
    };
    !spec.sysctls.iter().any(off)
}

/// What [`place`] took.
pub(crate) fn taken(placement: &Placement) -> Vec<(Arc<Network>, Vec<Cidr>)> {
    let of = |placed: &Placed| (placed.network.clone(), placed.addresses.clone());
    placement.endpoints.iter().map(of).collect()
}

/// Gives it back.
pub(crate) fn give_back(taken: Vec<(Arc<Network>, Vec<Cidr>)>) {
    for (network, addresses) in taken {
        network.give_back(&addresses);
    }
}

/// Takes a place in one network; its plan has no way out yet. Of the container itself are its limits, and
/// whether it can have addresses of version 6.
pub(super) fn place_in(
    network: Arc<Network>,
    request: &EndpointRequest,
    (of_container, ipv6): (Bandwidth, bool),
) -> Result<Placed, Error> {
    let id = EndpointId::from_random(random()?);
    let plan = network.plan()?;
    link_address(plan, request)?;
    let bandwidth = limit::of_endpoint(&network, request, of_container)?;
    let asked = (
        request.ipv4.map(IpAddr::V4),
        request.ipv6.map(IpAddr::V6).filter(|_| ipv6),
    );
    let addresses = network.take(asked.0, asked.1)?;
    let (addresses, useless): (Vec<Cidr>, Vec<Cidr>) =
        addresses.into_iter().partition(|a| ipv6 || a.is_ipv4());
    network.give_back(&useless);
    let mut plan = EndpointPlan {
        interface: interface(&network, request),
        mac: request.mac_address.map(|mac| network::Mac(mac.0)),
        addresses: addresses.clone(),
        gateways: Vec::new(),
        routes: Vec::new(),
        sysctls: sysctls(request)?,
        bandwidth,
    };
    let of_the_link = request.link_local.iter().filter(|a| ipv6 || a.is_ipv4());
    let of_the_link = of_the_link.filter_map(|address| {
        let prefix = if address.is_ipv4() { 16 } else { 64 };
        Cidr::new(*address, prefix)
    });
    plan.addresses.extend(of_the_link);
    let mut gateways = network.gateways();
    gateways.retain(|gateway| ipv6 || gateway.is_ipv4());
    Ok(Placed {
        gateways,
        request: request.clone(),
        id,
        addresses,
        plan,
        network,
    })
}

/// Whether an interface can have the link-layer address that is asked for.
pub(super) fn link_address(
    plan: &NetworkPlan,
    request: &EndpointRequest,
) -> Result<(), NetworkError> {
    if request.mac_address.is_none() || !matches!(plan.driver, Driver::Ipvlan(_)) {
        return Ok(());
    }
    Err(NetworkError::setting(
        "MAC address",
        format!(
            "ipvlan interfaces do not support custom mac address assignment: in network {} all have their parent's",
            plan.name
        ),
    ))
}

fn interface(network: &Network, request: &EndpointRequest) -> InterfaceName {
    if let Some(name) = request.driver_opts.get(IFNAME) {
        return InterfaceName::Exact(name.clone());
    }
    match network.record.spec.options.get(PREFIX) {
        Some(prefix) if !prefix.is_empty() => InterfaceName::Numbered(prefix.clone(), 0),
        _ => InterfaceName::default(),
    }
}

/// `net.ipv4.conf.IFNAME.forwarding=1,...`
pub(super) fn sysctls(request: &EndpointRequest) -> Result<Vec<(String, String)>, NetworkError> {
    let text = request.driver_opts.get(SYSCTLS).map_or("", String::as_str);
    let all = text.split(',').filter(|one| !one.trim().is_empty());
    all.map(|one| {
        sysctl(one).ok_or_else(|| {
            NetworkError::setting(
                SYSCTLS,
                format!(
                    "unrecognised network interface sysctl '{one}': net.ipv4.conf.IFNAME.NAME=VALUE is expected, or \
                     ipv6 or mpls and another part instead"
                ),
            )
        })
    })
    .collect()
}

/// Clients write the word for the interface's name as they like.
fn sysctl(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let parts: Vec<&str> = name.trim().split('.').collect();
    match parts[..] {
        [
            "net",
            version @ ("ipv4" | "ipv6" | "mpls"),
            part,
            interface,
            ref rest @ ..,
        ] if !rest.is_empty() && interface.eq_ignore_ascii_case("IFNAME") => {
            let name = format!("net.{version}.{part}.IFNAME.{}", rest.join("."));
            Some((name, value.trim().to_owned()))
        }
        _ => None,
    }
}

/// Of each endpoint the gateways that become default routes: of each version those of the first that
/// leads out.
pub(super) fn ways_out(endpoints: &[Placed]) -> Vec<Vec<IpAddr>> {
    let mut missing = [true, true];
    let mut ways = Vec::new();
    for placed in endpoints {
        let mut way = Vec::new();
        for gateway in &placed.gateways {
            let version = usize::from(!gateway.is_ipv4());
            if leads_out(&placed.network, gateway.is_ipv4()) && missing[version] {
                missing[version] = false;
                way.push(*gateway);
            }
        }
        ways.push(way);
    }
    ways
}

/// Which network is the way out: that with the higher priority; of equals one that is it for both versions.
pub(super) fn rank(network: &Network, request: &EndpointRequest) -> (Reverse<i64>, bool) {
    let both = [true, false].iter().all(|ipv4| {
        let has = network.gateways().iter().any(|g| g.is_ipv4() == *ipv4);
        has && leads_out(network, *ipv4)
    });
    (Reverse(request.gw_priority), !both)
}

pub(super) fn leads_out(network: &Network, ipv4: bool) -> bool {
    let Some(plan) = &network.record.plan else {
        return false;
    };
    let isolated = match &plan.driver {
        Driver::Bridge(bridge) => {
            let mode = if ipv4 { bridge.mode4 } else { bridge.mode6 };
            mode == GatewayMode::Isolated
        }
        Driver::Macvlan(macvlan) => macvlan.parent.is_none(),
        Driver::Ipvlan(ipvlan) => ipvlan.parent.is_none(),
    };
    !plan.internal && !isolated
}

/// The ports to publish: those asked for, and with `publish_all` the exposed ones.
pub(super) fn publications(
    engine: &Engine,
    container: &Container,
    placement: &Placement,
) -> Vec<Publication> {
    let Some(placed) = way_out(placement) else {
        return Vec::new();
    };
    let ports = asked_ports(container);
    of_ports(engine, &ports, (&placed.network, &placed.addresses))
}

/// The ports that are to be published wherever there is a way to them.
pub(super) fn asked_ports(container: &Container) -> Vec<PortRequest> {
    let spec = &container.spec().networking;
    let mut ports = spec.ports.clone();
    if spec.publish_all {
        let exposed = super::exposed(&container.fixed);
        let missing = exposed
            .into_iter()
            .filter(|port| !spec.ports.iter().any(|asked| asked.port == *port));
        ports.extend(missing.map(|port| PortRequest {
            port,
            host_ip: None,
            host_ports: None,
            allow: Vec::new(),
        }));
    }
    ports
}

/// These ports, as they lead to an endpoint by its network's bridge; none where it has no bridge.
pub(super) fn of_ports(
    engine: &Engine,
    ports: &[PortRequest],
    (network, addresses): (&Network, &[Cidr]),
) -> Vec<Publication> {
    let Some(bridge) = network.bridge() else {
        return Vec::new();
    };
    let default = default_address(engine, network);
    let host_policy = engine.networks().settings.host_policy;
    ports
        .iter()
        .map(|port| publication(port, default, (addresses, bridge), host_policy))
        .collect()
}

/// The endpoint by which packets from outside come.
fn way_out(placement: &Placement) -> Option<&Placed> {
    let mut endpoints = placement.endpoints.iter();
    endpoints.find(|placed| !placed.plan.gateways.is_empty())
}

fn default_address(engine: &Engine, network: &Network) -> Option<IpAddr> {
    let of_network = network.record.spec.options.get(BINDING);
    let of_network = of_network.and_then(|text| text.parse::<IpAddr>().ok());
    of_network
        .filter(|address| !address.is_unspecified())
        .or(engine.networks().settings.publish_address)
}

fn publication(
    asked: &PortRequest,
    default: Option<IpAddr>,
    (addresses, bridge): (&[Cidr], &BridgePlan),
    host_policy: bool,
) -> Publication {
    let inside = |ipv4: bool| {
        let of = addresses.iter().find(|a| a.is_ipv4() == ipv4);
        of.map(|cidr| cidr.address())
    };
    let (v4, v6) = (inside(true), inside(false));
    let hosts: Vec<IpAddr> = match asked.host_ip.or(default) {
        Some(address) => vec![address],
        None if host_has_ipv6() => {
            vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
        }
        None => vec![Ipv4Addr::UNSPECIFIED.into()],
    };
    let number = asked.port.number;
    let places: Vec<Shown> = hosts
        .iter()
        .filter_map(|host| shown_on(*host, (v4, v6), bridge))
        .collect();
    let listen = |place: &Shown| Listen {
        address: place.host,
        to: passed_on(asked, place.host, (v4, v6), host_policy).map(|to| (to, number).into()),
    };
    let taken = places.iter().filter(|place| !place.routed);
    let (first, last) = asked.host_ports.unwrap_or((0, 0));
    Publication {
        port: asked.port,
        allow: asked.allow.clone(),
        reservation: Reservation {
            protocol: rule_protocol(asked.port.protocol),
            first,
            last,
            inner: number,
            listen: taken.map(listen).collect(),
            allow: allowed(&asked.allow),
            port: 0,
        },
        places,
        bridge: bridge.name.clone(),
    }
}

/// How a port is reached by an address of the host's. Of a version whose packets are routed nothing of the host is in
/// between, and nothing passes them on from the other version.
fn shown_on(
    host: IpAddr,
    (v4, v6): (Option<IpAddr>, Option<IpAddr>),
    bridge: &BridgePlan,
) -> Option<Shown> {
    let routed = |target: IpAddr| {
        let mode = if target.is_ipv4() {
            bridge.mode4
        } else {
            bridge.mode6
        };
        mode == GatewayMode::Routed
    };
    let (same, other) = match host {
        IpAddr::V4(_) => (v4, v6),
        IpAddr::V6(_) => (v6, v4),
    };
    match (same, other) {
        (Some(target), _) if routed(target) => Some(Shown {
            host: match host {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            },
            target: same,
            routed: true,
        }),
        (None, Some(target)) if routed(target) => None,
        _ => Some(Shown {
            host,
            target: same,
            routed: false,
        }),
    }
}

/// Where the keeper passes on what comes to an address of the host: the kernel's rules lead neither from
/// one version to the other nor from ::1 anywhere, and with `host_policy` they lead nowhere.
fn passed_on(
    asked: &PortRequest,
    host: IpAddr,
    (v4, v6): (Option<IpAddr>, Option<IpAddr>),
    host_policy: bool,
) -> Option<IpAddr> {
    let to = match host {
        IpAddr::V4(_) if host_policy => v4.or(v6),
        IpAddr::V6(_) if host_policy => v6.or(v4),
        IpAddr::V4(_) if v4.is_none() => v6,
        IpAddr::V4(_) => None,
        IpAddr::V6(_) => v4.or(v6),
    };
    if asked.port.protocol != Protocol::Sctp {
        return to;
    }
    // Nobody passes it on. An address that was asked for is refused by the keeper; others are done without.
    to.filter(|to| asked.host_ip.is_some() && to.is_ipv4() != host.is_ipv4())
}

/// Whether the kernel speaks version 6 at all.
pub(super) fn host_has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

pub(super) fn rule_protocol(protocol: Protocol) -> network::Protocol {
    match protocol {
        Protocol::Tcp => network::Protocol::Tcp,
        Protocol::Udp => network::Protocol::Udp,
        Protocol::Sctp => network::Protocol::Sctp,
    }
}

/// Where a port is shown once it has a number on the host.
pub(super) fn shown(publication: &Publication, host_port: u16) -> Vec<PublishedPort> {
    let place = |place: &Shown| PublishedPort {
        port: publication.port,
        host_ip: place.host,
        host_port: if place.routed { 0 } else { host_port },
        allow: publication.allow.clone(),
    };
    publication.places.iter().map(place).collect()
}

/// Prefixes and addresses, as they were checked before.
fn allowed(texts: &[String]) -> Vec<Cidr> {
    let read = |text: &String| {
        let one = || text.parse().ok().map(Cidr::host);
        text.parse().ok().or_else(one)
    };
    texts.iter().filter_map(read).collect()
}

/// The rules that lead there.
pub(super) fn rules(
    publication: &Publication,
    host_port: u16,
    owner: &str,
    host_policy: bool,
) -> Vec<Published> {
    let allow = allowed(&publication.allow);
    let rule = |place: &Shown| {
        Some(Published {
            owner: owner.to_owned(),
            protocol: rule_protocol(publication.port.protocol),
            host: Some(place.host).filter(|host| !host.is_unspecified()),
            host_port: if place.routed { 0 } else { host_port },
            target: place.target?,
            target_port: publication.port.number,
            bridge: publication.bridge.clone(),
            allow: allow.clone(),
            host_policy,
        })
    };
    publication.places.iter().filter_map(rule).collect()
}
