//! `network connect`, while the container runs or not.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use network::keeper::Change as Told;
use storage::Durability;
use types::{EndpointRequest, NetworkMode, ProcessRef};

use super::error::NetworkError;
use super::place;
use super::record::Endpoint;
use super::table::Network;
use super::{advertise, attach, check, limit, links, republish, told};
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error};

/// Puts a container into a network. Blocking.
pub fn connect(
    engine: &Engine,
    who: &str,
    container: &str,
    request: EndpointRequest,
) -> Result<(), Error> {
    engine.accepts_work()?;
    // Which of two that are not there is named first is Docker's order.
    engine.networks().find(who)?;
    let container = engine.find(container)?;
    // Also until a start is over, or what a run has left has been let go of.
    let order = lock(&container.networking);
    let stays = lock(&engine.networks().changing);
    let network = engine.networks().find(who)?;
    may_change(&container, &network)?;
    network.plan()?;
    check::endpoint(network.name(), &request)?;
    let limits = container.spec().resources.bandwidth;
    limit::of_endpoint(&network, &request, limits)?;
    if container.status().networks.contains_key(network.name()) {
        return Err(NetworkError::AlreadyIn {
            container: container.name().to_string(),
            network: network.name().to_owned(),
        }
        .into());
    }
    let mut undo = Stack::new();
    match container.lifecycle().process() {
        Some(process) => live(engine, &container, &network, request, process, &mut undo)?,
        None => {
            let endpoint = Endpoint {
                network: Some(network.id().clone()),
                request,
                live: None,
            };
            record(engine, &container, &network, endpoint)?;
        }
    }
    undo.keep();
    drop((order, stays));
    if container.lifecycle().is_running() {
        told::of_place(engine, &network, container.id(), "connect");
        advertise::begin(engine, &container, Some(network.name()));
    }
    links::follow(engine, &container);
    Ok(())
}

fn record(
    engine: &Engine,
    container: &Container,
    network: &Network,
    endpoint: Endpoint,
) -> Result<(), Error> {
    let keep = Some((engine.records(), Durability::Power));
    container.change(keep, |mut status| {
        let name = network.name().to_owned();
        status.networks.insert(name, endpoint);
        Ok(status)
    })?;
    Ok(())
}

/// Whether networks of the container can come and go.
pub(super) fn may_change(container: &Container, network: &Network) -> Result<(), NetworkError> {
    match (&container.fixed.spec.network, network.name()) {
        (NetworkMode::Container(_), _) => Err(NetworkError::Shared),
        (NetworkMode::Host, _) | (_, "host") => Err(NetworkError::Host),
        (NetworkMode::None, _) | (_, "none") => Err(NetworkError::None),
        (NetworkMode::Default | NetworkMode::Named(_), _) => Ok(()),
    }
}

/// Of a container that runs: interface, names, record, and then what depends on all its networks.
fn live<'a>(
    engine: &'a Engine,
    container: &'a Container,
    network: &'a Arc<Network>,
    request: EndpointRequest,
    process: ProcessRef,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    let namespace = attach::open_namespace(process)?;
    let limits = container.spec().resources.bandwidth;
    let ipv6 = place::may_have_ipv6(&container.fixed.spec);
    let placed = place::place_in(network.clone(), &request, (limits, ipv6))?;
    let taken = placed.addresses.clone();
    undo.push(step::ADDRESSES, move || {
        network.give_back(&taken);
        Ok(())
    });
    attach::make(engine, network)?;
    let endpoint = attach::join(engine, namespace.as_fd(), &placed)?;
    if let Some(live) = &endpoint.live {
        let attachment = live.attachment.clone();
        let inside = namespace
            .try_clone()
            .map_err(Error::io("keep a namespace"))?;
        undo.push(step::NETWORK, move || {
            let gone = attachment.detach(&inside);
            gone.map_err(NetworkError::network("take the container's interface away"))?;
            Ok(())
        });
    }
    engine.passed(step::NETWORK)?;
    let name = network.name().to_owned();
    undo.push(step::NAMES, || {
        attach::forget_names(engine, container.id(), network.id())
    });
    let told = attach::named_endpoints(container, &[(name, endpoint.clone())].into());
    engine
        .networks()
        .keeper
        .apply(&told, &[])
        .map_err(NetworkError::keeper("make the container's names known"))?;
    engine.passed(step::NAMES)?;
    undo.push(step::RUNNING, move || {
        container.change(Some((engine.records(), Durability::Power)), |mut status| {
            status.networks.remove(network.name());
            Ok(status)
        })?;
        // Without what has failed: its interface and its names go next.
        match refresh(engine, container, process) {
            Err(Error::Network(NetworkError::Ended)) => Ok(()),
            refreshed => refreshed,
        }
    });
    record(engine, container, network, endpoint)?;
    refresh(engine, container, process)?;
    republish::where_there_is_a_way(engine, container, undo)?;
    engine.passed(step::RUNNING)
}

/// The way out, the names and the files of a running container, after its networks have changed.
pub(super) fn refresh(
    engine: &Engine,
    container: &Container,
    process: ProcessRef,
) -> Result<(), Error> {
    let namespace = attach::open_namespace(process)?;
    let endpoints = container.status().networks;
    let gateways = gateways(engine, &endpoints);
    network::set_gateways(namespace.as_fd(), &gateways)
        .map_err(NetworkError::network("set the container's way out"))?;
    retell(engine, container, process)
}

/// The names and the files of a running container as they are now.
pub(super) fn retell(
    engine: &Engine,
    container: &Container,
    process: ProcessRef,
) -> Result<(), Error> {
    let endpoints = container.status().networks;
    links::remember(engine, container, &endpoints);
    let told = Told::View {
        id: container.id().to_string(),
        view: attach::view(engine, container, Some(process), &endpoints),
        sockets: false,
    };
    engine
        .networks()
        .keeper
        .apply(&[told], &[])
        .map_err(NetworkError::keeper("tell of the container's networks"))?;
    let dir = engine.storage().container_dir(container.id());
    super::files::write(
        engine,
        container,
        &dir,
        &super::files::of_status(&endpoints),
    )
    .map(drop)
}

/// Interface and gateway of the endpoints that lead out.
fn gateways(
    engine: &Engine,
    endpoints: &BTreeMap<String, Endpoint>,
) -> Vec<(String, std::net::IpAddr)> {
    let mut live: Vec<_> = endpoints
        .values()
        .filter_map(|endpoint| {
            let network = engine.networks().of(endpoint)?;
            let rank = place::rank(&network, &endpoint.request);
            Some((rank, network, endpoint.live.as_ref()?))
        })
        .collect();
    live.sort_by_key(|(rank, _, _)| *rank);
    let mut gateways = Vec::new();
    for ipv4 in [true, false] {
        let out = live.iter().find_map(|(_, network, live)| {
            let gateway = live.gateways.iter().find(|g| g.is_ipv4() == ipv4)?;
            place::leads_out(network, ipv4).then(|| (live.attachment.interface.clone(), *gateway))
        });
        gateways.extend(out);
    }
    gateways
}
