//! `network rm`

use std::sync::Arc;

use types::Lifecycle;

use super::error::NetworkError;
use super::table::Network;
use super::{attach, told};
use crate::table::lock;
use crate::{Engine, Error};

/// Removes a network that no running container is in. Blocking.
pub fn remove(engine: &Engine, who: &str) -> Result<(), Error> {
    let networks = engine.networks();
    let _order = lock(&networks.changing);
    let network = networks.find(who)?;
    if network.is_predefined() {
        return Err(NetworkError::CannotRemove(network.name().to_owned()).into());
    }
    if let Some(user) = borrower(engine, &network) {
        return Err(NetworkError::Lends {
            network: network.name().to_owned(),
            user,
        }
        .into());
    }
    let users = users(engine, &network);
    if !users.is_empty() {
        return Err(NetworkError::InUse {
            network: network.name().to_owned(),
            users: users.join(", "),
        }
        .into());
    }
    forget(engine, &network)
}

/// Takes it away, device and record.
pub(super) fn forget(engine: &Engine, network: &Arc<Network>) -> Result<(), Error> {
    let networks = engine.networks();
    // Nobody finds it any more from here on.
    networks.table_mut().forget(network.id());
    let gone = attach::unmake(engine, network)
        .and_then(|()| Ok(engine.storage().networks().delete(network.id().as_str())?));
    match &gone {
        Ok(()) => told::of_network(engine, network, "destroy"),
        Err(_) => networks.table_mut().insert(network.clone()),
    }
    gone
}

fn borrower(engine: &Engine, network: &Network) -> Option<String> {
    let all = engine.networks().table().all();
    let borrows = |other: &&Arc<Network>| {
        network.record.spec.config_only
            && other.record.spec.config_from.as_deref() == Some(network.name())
    };
    all.iter()
        .find(borrows)
        .map(|other| other.name().to_owned())
}

/// Containers that run in it, or are being started.
fn users(engine: &Engine, network: &Network) -> Vec<String> {
    let containers = engine.table().all();
    let user = |container: &Arc<crate::table::Container>| {
        let status = container.status();
        let mut endpoints = status.networks.iter();
        let runs = match status.lifecycle {
            // Its end is about to be seen: who saw it already by what it wrote need not wait.
            Lifecycle::Running { process, .. } => !sys::proc::is_ending(process),
            Lifecycle::Starting { .. } => true,
            _ => false,
        };
        let is_in = endpoints.any(|(name, endpoint)| network.has(name, endpoint));
        (runs && is_in).then(|| {
            let (name, id) = (container.name(), container.id().short());
            format!("name:{:?} id:{id:?}", name.as_str())
        })
    };
    containers.iter().filter_map(user).collect()
}
