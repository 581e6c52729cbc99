//! `network ls` and `network inspect`

use std::sync::Arc;

use types::Lifecycle;

use super::table::Network;
use super::{Member, Place, View};
use crate::table::Container;
use crate::{Engine, Error};

/// All networks, by name.
pub fn list(engine: &Engine) -> Vec<View> {
    let mut networks = engine.networks().table().all();
    networks.sort_by(|a, b| a.name().cmp(b.name()));
    networks
        .iter()
        .map(|network| view(engine, network))
        .collect()
}

/// One network.
pub fn inspect(engine: &Engine, who: &str) -> Result<View, Error> {
    let network = engine.networks().find(who)?;
    Ok(view(engine, &network))
}

pub(super) fn view(engine: &Engine, network: &Arc<Network>) -> View {
    let mut containers: Vec<Member> = engine
        .table()
        .all()
        .iter()
        .filter_map(|container| member(container, network))
        .collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    let usage = network.usage().into_iter();
    View {
        id: network.id().clone(),
        created: Some(network.record.created),
        spec: network.record.spec.clone(),
        predefined: network.is_predefined(),
        containers,
        used: is_used(engine, network),
        usage: usage
            .map(|(s, used, free)| (s.to_string(), used, free))
            .collect(),
    }
}

fn member(container: &Arc<Container>, network: &Network) -> Option<Member> {
    let status = container.status();
    let endpoint = status.networks.get(network.name())?;
    Some(Member {
        id: container.id().clone(),
        name: container.name().clone(),
        place: Place::of(endpoint.live.as_ref()?),
    })
}

/// Whether any container is in it, running or not.
pub(super) fn is_used(engine: &Engine, network: &Network) -> bool {
    let containers = engine.table().all();
    containers.iter().any(|container| {
        let status = container.status();
        let goes = matches!(status.lifecycle, Lifecycle::Removing { .. });
        let mut endpoints = status.networks.iter();
        !goes && endpoints.any(|(name, endpoint)| network.has(name, endpoint))
    })
}
