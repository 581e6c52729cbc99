//! `network disconnect`, while the container runs or not.

use network::keeper::Change as Told;
use network::ruleset::Change as RuleChange;
use storage::Durability;

use super::error::NetworkError;
use super::record::Ports;
use super::{attach, connect};
use crate::table::lock;
use crate::{Engine, Error};

/// Takes a container out of a network. With `force`, one that is not there is no error. Blocking.
pub fn disconnect(engine: &Engine, who: &str, container: &str, force: bool) -> Result<(), Error> {
    let network = engine.networks().find(who)?;
    let container = match engine.find(container) {
        Err(Error::NoContainer(_)) if force => return Ok(()),
        found => found?,
    };
    connect::may_change(&container, &network)?;
    let _order = lock(&container.networking);
    let endpoint = container.status().networks.get(network.name()).cloned();
    let Some(endpoint) = endpoint else {
        return Err(NetworkError::NotIn {
            container: container.name().to_string(),
            network: network.name().to_owned(),
        }
        .into());
    };
    let process = container.lifecycle().process();
    let mut lost = false;
    if let (Some(process), Some(live)) = (process, &endpoint.live) {
        let namespace = attach::open_namespace(process)?;
        let ports = container.status().ports;
        let addresses: Vec<_> = live.addresses.iter().map(|a| a.address()).collect();
        // All ports of a run lead to one endpoint of it.
        let proxied = ports.reserved.iter().flat_map(|r| &r.listen);
        lost = proxied
            .filter_map(|listen| listen.to)
            .map(|to| to.ip())
            .chain(ports.rules.iter().map(|port| port.target))
            .any(|target| addresses.contains(&target));
        let published = ports.rules;
        let its = published
            .into_iter()
            .filter(|port| addresses.contains(&port.target));
        let its: Vec<_> = its.collect();
        let mut told = vec![Told::NoEndpoint {
            network: network.id().to_string(),
            id: container.id().to_string(),
        }];
        if lost {
            let id = container.id().to_string();
            told.push(Told::Release { id });
        }
        let unpublished = RuleChange::Unpublish(its);
        told.extend(lock(&engine.networks().rules).change(unpublished));
        engine
            .networks()
            .keeper
            .apply(&told, &[])
            .map_err(NetworkError::keeper("forget the container's names"))?;
        live.attachment
            .detach(&namespace)
            .map_err(NetworkError::network(format!(
                "disconnect the container from network {}",
                network.name()
            )))?;
        network.give_back(&live.addresses);
    }
    let keep = Some((engine.records(), Durability::Power));
    container.change(keep, |mut status| {
        status.networks.remove(network.name());
        if lost {
            status.ports = Ports::default();
        }
        Ok(status)
    })?;
    match container.lifecycle().process() {
        Some(process) => connect::refresh(engine, &container, process),
        None => Ok(()),
    }
}
