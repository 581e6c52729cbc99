//! `network disconnect`, while the container runs or not.

use network::keeper::Change as Told;
use network::ruleset::Change as RuleChange;
use storage::Durability;
use types::ProcessRef;

use super::error::NetworkError;
use super::record::{Live, Ports};
use super::table::Network;
use super::{attach, connect, links, republish, told};
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error};

/// Takes a container out of a network. With `force`, one that is not there is no error. Blocking.
pub fn disconnect(engine: &Engine, who: &str, container: &str, force: bool) -> Result<(), Error> {
    let network = engine.networks().find(who)?;
    let container = match engine.find(container) {
        Err(Error::NoContainer(_)) if force => return Ok(()),
        found => found?,
    };
    connect::may_change(&container, &network)?;
    let order = lock(&container.networking);
    let endpoint = container.status().networks.get(network.name()).cloned();
    let Some(endpoint) = endpoint else {
        return Err(NetworkError::NotIn {
            container: container.name().to_string(),
            network: network.name().to_owned(),
        }
        .into());
    };
    let process = container.lifecycle().process();
    let lost = match &endpoint.live {
        Some(live) => leave(engine, &container, &network, live, process)?,
        None => false,
    };
    let keep = Some((engine.records(), Durability::Power));
    container.change(keep, |mut status| {
        status.networks.remove(network.name());
        if lost {
            status.ports = Ports::default();
        }
        Ok(status)
    })?;
    // Not before: one that is still written down here must not be another's.
    if let Some(live) = &endpoint.live {
        network.give_back(&live.addresses);
    }
    engine.passed(step::LEAVE_RECORD)?;
    let refreshed = match container.lifecycle().process() {
        Some(process) => connect::refresh(engine, &container, process),
        None => Ok(()),
    };
    if lost && container.lifecycle().is_running() {
        lead_by_another(engine, &container);
    }
    drop(order);
    if endpoint.live.is_some() {
        told::of_place(engine, &network, container.id(), "disconnect");
    }
    links::follow(engine, &container);
    match refreshed {
        Err(Error::Network(NetworkError::Ended)) => Ok(()),
        refreshed => refreshed,
    }
}

/// Publishes its ports by another network that it is in, if there is one. It has left in any case.
fn lead_by_another(engine: &Engine, container: &Container) {
    let mut undo = Stack::new();
    match republish::where_there_is_a_way(engine, container, &mut undo) {
        Ok(()) => undo.keep(),
        Err(error) => {
            undo.unwind();
            tracing::warn!(container = %container.id(), error = %error.chain(),
                "the ports of a container that has left a network cannot be published by another");
        }
    }
}

/// Lets go of what a run has in the network: names, ports, interface; all of it once more after a failure.
/// Whether it has lost its ports with it.
fn leave(
    engine: &Engine,
    container: &Container,
    network: &Network,
    live: &Live,
    process: Option<ProcessRef>,
) -> Result<bool, Error> {
    let addresses: Vec<_> = live.addresses.iter().map(|a| a.address()).collect();
    let Ports {
        reserved, rules, ..
    } = container.status().ports;
    // All ports of a run lead to one endpoint of it.
    let proxied = reserved.iter().flat_map(|r| &r.listen);
    let lost = proxied
        .filter_map(|listen| listen.to)
        .map(|to| to.ip())
        .chain(rules.iter().map(|port| port.target))
        .any(|target| addresses.contains(&target));
    let its = rules
        .into_iter()
        .filter(|port| addresses.contains(&port.target));
    let id = container.id().to_string();
    let mut told = vec![Told::NoEndpoint {
        network: network.id().to_string(),
        id: id.clone(),
    }];
    if lost {
        told.push(Told::Release { id });
    }
    let its: Vec<_> = its.collect();
    let unpublished = RuleChange::Unpublish(its.clone());
    told.extend(lock(&engine.networks().rules).change(unpublished));
    engine
        .networks()
        .keeper
        .apply(&told, &[])
        .map_err(NetworkError::keeper("forget the container's names"))?;
    attach::lead_anew(&its);
    engine.passed(step::LEAVE_NAMES)?;
    if let Some(process) = process {
        detach(network, live, process)?;
    }
    engine.passed(step::LEAVE_INTERFACE)?;
    Ok(lost)
}

/// The interface of a run that has ended goes by itself.
fn detach(network: &Network, live: &Live, process: ProcessRef) -> Result<(), Error> {
    let namespace = match attach::open_namespace(process) {
        Err(Error::Network(NetworkError::Ended)) => return Ok(()),
        opened => opened?,
    };
    let what = || {
        let name = network.name();
        format!("disconnect the container from network {name}")
    };
    let detached = live.attachment.detach(&namespace);
    detached.map_err(NetworkError::network(what()))?;
    Ok(())
}
