//! The part of a start that makes things: the network's device, the container's interfaces, ports,
//! rules and names; and what takes them away.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use network::keeper::{
    self, Change as Told, Endpoint as Named, Network as NamedNetwork, Pending as Telling, Upstream,
    View,
};
use network::ruleset::{Change as RuleChange, RESOLVER};
use network::{Cidr, InterfaceName, Published};
use types::{ContainerId, NetworkId, ProcessRef};

use super::error::NetworkError;
use super::files;
use super::place::{Placed, Placement};
use super::record::{Endpoint, Live, Ports};
use super::table::{Network, distinct};
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error};

/// The table in a container's own namespace that leads to the resolver.
const NAMES_TABLE: &str = "brig-names";

/// Opens the network namespace of that very process.
pub(crate) fn open_namespace(process: ProcessRef) -> Result<OwnedFd, Error> {
    let failed = || format!("open the network namespace of process {}", process.pid);
    let path = format!("/proc/{}/ns/net", process.pid);
    let namespace = sys::ns::open(Path::new(&path));
    // Still there after its namespace was opened: it is that process's.
    if namespace.is_err() && sys::proc::is_ending(process) || !sys::proc::is_alive(process) {
        return Err(NetworkError::Ended.into());
    }
    namespace.map_err(Error::kernel(failed()))
}

/// A namespace with all interfaces and the sockets of its resolver. They go with it.
pub(crate) struct Filled {
    namespace: OwnedFd,
    endpoints: BTreeMap<String, Endpoint>,
    sockets: [OwnedFd; 2],
    /// Whether its container became known by its names and its ports before it had a process.
    known: bool,
}

impl Filled {
    /// What is there, by the networks' names.
    pub(crate) fn endpoints(&self) -> BTreeMap<String, Endpoint> {
        self.endpoints.clone()
    }
}

/// Fills a namespace: that of a process that waits at the gate, or one that is going to be such a
/// process'.
pub(crate) fn fill(
    engine: &Engine,
    container: &Container,
    namespace: OwnedFd,
    placement: &Placement,
) -> Result<Filled, Error> {
    let mut endpoints = BTreeMap::new();
    // What is numbered takes the names that those with a name of their own leave free.
    let mut order: Vec<&Placed> = placement.endpoints.iter().collect();
    order.sort_by_key(|placed| !matches!(placed.plan.interface, InterfaceName::Exact(_)));
    for placed in order {
        make(engine, &placed.network)?;
        let endpoint = join(engine, namespace.as_fd(), placed)?;
        endpoints.insert(placed.network.name().to_owned(), endpoint);
    }
    let sockets = listen(container, &namespace)?;
    Ok(Filled {
        namespace,
        endpoints,
        sockets,
        known: false,
    })
}

/// Has the container known before it has a process: nothing of its network is left to do at the gate then. Whose
/// process it is comes later, by [`settle`].
pub(crate) fn introduce<'a>(
    engine: &'a Engine,
    container: &'a Container,
    filled: &mut Filled,
    placement: &Placement,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    present(engine, container, None, (filled, placement), undo)?;
    filled.known = true;
    Ok(())
}

/// Whose process a container is that was introduced before it had one: with its end its names and ports are gone,
/// daemon or not. Told while its command begins, which goes on without that.
pub(crate) fn settle<'a>(
    engine: &'a Engine,
    container: &'a Container,
    process: ProcessRef,
    filled: &'a Filled,
) -> Settling<'a> {
    let told = filled.known.then(|| {
        let view = Told::View {
            id: container.id().to_string(),
            view: view(engine, container, Some(process), &filled.endpoints),
            sockets: false,
        };
        engine.networks().keeper.begin(vec![view])
    });
    Settling {
        engine,
        container,
        process,
        filled,
        told,
    }
}

/// What the keeper of names and ports is being told.
pub(crate) struct Settling<'a> {
    engine: &'a Engine,
    container: &'a Container,
    process: ProcessRef,
    filled: &'a Filled,
    /// None of who told it before.
    told: Option<Result<Telling<'a>, keeper::Error>>,
}

impl Settling<'_> {
    /// Waits for its answer.
    pub(crate) fn finish(self) {
        let Some(told) = self.told else { return };
        if told.and_then(Telling::ports).is_ok() {
            return;
        }
        // Another keeper, which was told of containers that run.
        let filled = self.filled;
        let known = (&filled.endpoints, &[][..]);
        let (engine, container, process) = (self.engine, self.container, Some(self.process));
        if let Err(error) = tell(engine, container, process, &filled.sockets, known) {
            tracing::warn!(container = %container.id(), error = %error.chain(),
                "cannot tell whose process a container is");
        }
    }
}

/// Fills the namespace of a process that waits at the gate, unless it was filled before, and has the
/// container known.
pub(crate) fn attach<'a>(
    engine: &'a Engine,
    container: &'a Container,
    process: ProcessRef,
    placement: &Placement,
    (filled, undo): (Option<Filled>, &mut Stack<'a>),
) -> Result<Filled, Error> {
    let filled = match (filled, open_namespace(process)) {
        // Its command ran as soon as it was made, and is over.
        (Some(filled), Err(Error::Network(NetworkError::Ended))) if filled.known => filled,
        (_, Err(error)) => return Err(error),
        (None, Ok(namespace)) => fill(engine, container, namespace, placement)?,
        (Some(filled), Ok(namespace)) => {
            let same = sys::ns::same(&filled.namespace, &namespace)
                .map_err(Error::kernel("compare network namespaces"))?;
            if !same {
                let id = container.id().clone();
                return Err(Error::Answer { what: "create", id });
            }
            filled
        }
    };
    if !filled.known {
        present(engine, container, Some(process), (&filled, placement), undo)?;
    }
    Ok(filled)
}

/// Tells names and ports, with their undo.
fn present<'a>(
    engine: &'a Engine,
    container: &'a Container,
    process: Option<ProcessRef>,
    (filled, placement): (&Filled, &Placement),
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    let Filled {
        endpoints, sockets, ..
    } = filled;
    engine.passed(step::NETWORK)?;
    undo.push(step::NAMES, {
        let networks: Vec<_> = endpoints
            .values()
            .filter_map(|e| e.network.clone())
            .collect();
        let ports = placement.ports.rules.clone();
        move || forget(engine, container.id(), &networks, &ports)
    });
    let ports = &placement.ports;
    let unpublished: &[Published] = match placement.published {
        true => &[],
        false => &ports.rules,
    };
    tell(
        engine,
        container,
        process,
        sockets,
        (endpoints, unpublished),
    )?;
    lead_anew(&ports.rules);
    engine.passed(step::NAMES)
}

/// Puts one interface into a namespace.
pub(super) fn join(
    engine: &Engine,
    namespace: std::os::fd::BorrowedFd<'_>,
    placed: &Placed,
) -> Result<Endpoint, Error> {
    let fail_at = engine.config().fail_at.as_deref();
    let fail_at = fail_at.and_then(|step| step.strip_prefix("network."));
    let name = placed.network.name();
    let attachment = network::attach(namespace, placed.network.plan()?, &placed.plan, fail_at)
        .map_err(NetworkError::network(format!(
            "connect the container to network {name}"
        )))?;
    Ok(Endpoint {
        network: Some(placed.network.id().clone()),
        request: placed.request.clone(),
        live: Some(Live {
            id: placed.id.clone(),
            addresses: placed.addresses.clone(),
            gateways: placed.gateways.clone(),
            attachment,
        }),
    })
}

/// Makes what a network needs on the host, once: its device, its rules, its place among the names.
pub(super) fn make(engine: &Engine, network: &Network) -> Result<(), Error> {
    let mut made = lock(&network.made);
    if *made {
        return Ok(());
    }
    let name = network.name();
    let plan = network.plan()?;
    let made_by = match engine.networks().settings.firewall {
        true => network::bridge::make,
        false => network::bridge::make_unguarded,
    };
    made_by(plan).map_err(NetworkError::network(format!("set up network {name}")))?;
    let networks = engine.networks();
    let mut rules = lock(&networks.rules);
    let mut told = rules.with_network(plan)?;
    told.push(Told::Network {
        id: network.id().to_string(),
        network: named(network),
    });
    networks
        .keeper
        .apply(&told, &[])
        .map_err(NetworkError::keeper(format!("set up network {name}")))?;
    rules.told = true;
    rules.forward(plan)?;
    networks.watch_keeper();
    *made = true;
    Ok(())
}

/// Takes away what [`make`] made.
pub(super) fn unmake(engine: &Engine, network: &Network) -> Result<(), Error> {
    let mut made = lock(&network.made);
    let Some(plan) = &network.record.plan else {
        return Ok(());
    };
    let name = network.name();
    let networks = engine.networks();
    if *made {
        let mut told = vec![Told::NoNetwork {
            id: network.id().to_string(),
        }];
        if let Some(bridge) = network.bridge() {
            let change = RuleChange::RemoveNetwork(bridge.name.clone());
            told.extend(lock(&networks.rules).change(change));
        }
        networks
            .keeper
            .apply(&told, &[])
            .map_err(NetworkError::keeper(format!("remove network {name}")))?;
        *made = false;
    }
    network::bridge::remove(plan)
        .map_err(NetworkError::network(format!("remove network {name}")))?;
    Ok(())
}

pub(super) fn named(network: &Network) -> NamedNetwork {
    NamedNetwork {
        name: network.name().to_owned(),
        internal: network.record.spec.internal,
        endpoints: BTreeMap::new(),
    }
}

/// Sockets for the container's questions, and what leads these there.
pub(super) fn listen(container: &Container, namespace: &OwnedFd) -> Result<[OwnedFd; 2], Error> {
    let what = || format!("set up names for container {}", container.name());
    let sockets = sys::ns::within(namespace, sys::inet::resolver_sockets)
        .and_then(|sockets| sockets)
        .map_err(Error::kernel(what()))?;
    let port = |socket: &OwnedFd| {
        let address = sys::inet::local_address(socket);
        address.map(|a| a.port()).map_err(Error::kernel(what()))
    };
    let (udp, tcp) = (port(&sockets[0])?, port(&sockets[1])?);
    network::ruleset::redirect_names(namespace, NAMES_TABLE, udp, tcp)
        .map_err(NetworkError::network(what()))?;
    Ok(sockets)
}

/// Has the container's names known, its questions answered, and these ports published.
pub(super) fn tell(
    engine: &Engine,
    container: &Container,
    process: Option<ProcessRef>,
    sockets: &[OwnedFd; 2],
    (endpoints, ports): (&BTreeMap<String, Endpoint>, &[Published]),
) -> Result<(), Error> {
    let what = || format!("set up names for container {}", container.name());
    super::links::remember(engine, container, endpoints);
    let mut told = named_endpoints(container, endpoints);
    told.push(Told::View {
        id: container.id().to_string(),
        view: view(engine, container, process, endpoints),
        sockets: true,
    });
    let published = RuleChange::Publish(ports.to_vec());
    told.extend(lock(&engine.networks().rules).change(published));
    let fds = [sockets[0].as_fd(), sockets[1].as_fd()];
    engine
        .networks()
        .keeper
        .apply(&told, &fds)
        .map_err(NetworkError::keeper(what()))?;
    Ok(())
}

/// The container's names on each of its networks.
pub(super) fn named_endpoints(
    container: &Container,
    endpoints: &BTreeMap<String, Endpoint>,
) -> Vec<Told> {
    let told = endpoints.values().filter_map(|endpoint| {
        Some(Told::Endpoint {
            network: endpoint.network.as_ref()?.to_string(),
            id: container.id().to_string(),
            endpoint: Named {
                names: names(container, endpoint),
                addresses: addresses(&endpoint.live.as_ref()?.addresses),
            },
        })
    });
    told.collect()
}

fn addresses(all: &[Cidr]) -> Vec<IpAddr> {
    all.iter().map(|cidr| cidr.address()).collect()
}

/// Name, aliases, short id, host name.
pub(crate) fn names(container: &Container, endpoint: &Endpoint) -> Vec<String> {
    let own = [container.name().as_str().to_owned()];
    let others = [
        container.id().short().to_owned(),
        container.fixed.resolved.hostname.clone(),
    ];
    distinct(
        own.into_iter()
            .chain(endpoint.request.aliases.iter().cloned())
            .chain(others),
    )
}

/// What the container sees.
pub(super) fn view(
    engine: &Engine,
    container: &Container,
    process: Option<ProcessRef>,
    endpoints: &BTreeMap<String, Endpoint>,
) -> View {
    let spec = &container.fixed.spec.networking;
    let inside = endpoints.values().all(|endpoint| {
        let network = engine.networks().of(endpoint);
        network.is_some_and(|network| network.bridge().is_none())
    });
    let upstream = |address: &IpAddr| Upstream {
        address: (*address, 53).into(),
        inside,
    };
    // Asked from inside it would ask itself, and wait for its own answer.
    let servers = files::dns(engine, &spec.dns).servers;
    let is_own = |address: &&IpAddr| inside && **address == IpAddr::from(RESOLVER);
    let useful = servers.iter().filter(|address| !is_own(address));
    let asked: Vec<Upstream> = match servers.iter().all(|address| is_own(&address)) {
        true => servers.iter().map(upstream).collect(),
        false => useful.map(upstream).collect(),
    };
    let mut order: Vec<&Endpoint> = endpoints.values().collect();
    order.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.request.gw_priority));
    View {
        networks: order
            .iter()
            .filter_map(|e| Some(e.network.as_ref()?.to_string()))
            .collect(),
        links: super::links::names(engine, container, endpoints),
        upstreams: asked,
        process,
        ..View::default()
    }
}

/// A container is no longer known on one network.
pub(super) fn forget_names(
    engine: &Engine,
    id: &ContainerId,
    network: &NetworkId,
) -> Result<(), Error> {
    let told = Told::NoEndpoint {
        network: network.to_string(),
        id: id.to_string(),
    };
    let keeper = &engine.networks().keeper;
    keeper
        .apply(&[told], &[])
        .map_err(NetworkError::keeper("forget the container's names"))?;
    Ok(())
}

/// Has a container that runs known by the name that it has now.
pub(crate) fn renamed(engine: &Engine, container: &Container) -> Result<(), Error> {
    if !container.lifecycle().is_running() {
        return Ok(());
    }
    let told = named_endpoints(container, &container.status().networks);
    if told.is_empty() {
        return Ok(());
    }
    let what = || format!("have container {} known by its new name", container.id());
    let keeper = &engine.networks().keeper;
    let answered = keeper.apply(&told, &[]);
    answered.map(drop).map_err(NetworkError::keeper(what()))?;
    Ok(())
}

/// Has datagrams of flows that are older led as the rules are now.
pub(super) fn lead_anew(ports: &[Published]) {
    if let Err(error) = network::flows::forget(ports) {
        tracing::warn!(%error, "datagrams to a published port may go astray for a while");
    }
}

/// Names and rules of a run are no more.
fn forget(
    engine: &Engine,
    id: &ContainerId,
    networks: &[NetworkId],
    ports: &[Published],
) -> Result<(), Error> {
    let of_network = |network: &NetworkId| Told::NoEndpoint {
        network: network.to_string(),
        id: id.to_string(),
    };
    let mut told: Vec<Told> = networks.iter().map(of_network).collect();
    told.push(Told::NoView { id: id.to_string() });
    told.push(Told::Release { id: id.to_string() });
    let unpublished = RuleChange::Unpublish(ports.to_vec());
    told.extend(lock(&engine.networks().rules).change(unpublished));
    engine
        .networks()
        .keeper
        .apply(&told, &[])
        .map_err(NetworkError::keeper(
            "forget the container's names and ports",
        ))?;
    lead_anew(ports);
    Ok(())
}

/// Lets go of the ports of a run that has ended: its shim may serve clients for long, and its addresses are its
/// own until that is over.
pub(crate) fn unpublish(engine: &Engine, container: &Container) -> Result<(), Error> {
    let _order = lock(&container.networking);
    let ports = container.status().ports;
    if ports.is_empty() {
        return Ok(());
    }
    let id = container.id().to_string();
    let mut told = vec![Told::Release { id }];
    let unpublished = RuleChange::Unpublish(ports.rules.clone());
    told.extend(lock(&engine.networks().rules).change(unpublished));
    let done = engine.networks().keeper.apply(&told, &[]);
    done.map_err(NetworkError::keeper("give back the container's ports"))?;
    lead_anew(&ports.rules);
    container.change(None, |mut status| {
        status.ports = Ports::default();
        Ok(status)
    })?;
    Ok(())
}

/// Lets go of everything a run had, in the background of its end.
pub(crate) fn release(engine: &Engine, container: &Container) -> Result<(), Error> {
    let _order = lock(&container.networking);
    lock(&engine.networks().linking).remove(container.id());
    let status = container.status();
    let live: Vec<&Endpoint> = status
        .networks
        .values()
        .filter(|endpoint| endpoint.live.is_some())
        .collect();
    if live.is_empty() && status.ports.is_empty() {
        return Ok(());
    }
    let networks: Vec<_> = live.iter().filter_map(|e| e.network.clone()).collect();
    forget(engine, container.id(), &networks, &status.ports.rules)?;
    for endpoint in live {
        if let (Some(network), Some(live)) =
            (engine.networks().of(endpoint), endpoint.live.as_ref())
        {
            network.give_back(&live.addresses);
        }
    }
    container.change(None, |mut status| {
        status.let_go_of_networks();
        Ok(status)
    })?;
    Ok(())
}
