//! What is told of networks as it happens, in Docker's words.

use types::{ContainerId, NetworkMode};

use super::table::Network;
use crate::Engine;
use crate::event::{self, Kind};
use crate::table::Container;

/// Of a network itself: `create`, `destroy`.
pub(super) fn of_network(engine: &Engine, network: &Network, action: &'static str) {
    let attributes = [
        ("name", network.name().to_owned()),
        ("type", network.record.spec.driver.clone()),
    ];
    event::emit(
        engine,
        Kind::Network,
        action,
        network.id().as_str(),
        attributes,
    );
}

/// Of a container that runs and its place in a network: `connect`, `disconnect`.
pub(super) fn of_place(
    engine: &Engine,
    network: &Network,
    container: &ContainerId,
    action: &'static str,
) {
    let attributes = [
        ("container", container.to_string()),
        ("name", network.name().to_owned()),
        ("type", network.record.spec.driver.clone()),
    ];
    event::emit(
        engine,
        Kind::Network,
        action,
        network.id().as_str(),
        attributes,
    );
}

/// Of all networks that a run is in, as it begins or ends.
pub(crate) fn of_run(engine: &Engine, container: &Container, action: &'static str) {
    let networks = engine.networks();
    match &container.fixed.spec.network {
        NetworkMode::Container(_) => {}
        mode @ (NetworkMode::None | NetworkMode::Host) => {
            let name = mode.network().unwrap_or_default();
            if let Some(network) = networks.table().named(name) {
                of_place(engine, &network, container.id(), action);
            }
        }
        NetworkMode::Default | NetworkMode::Named(_) => {
            for endpoint in container.status().networks.values() {
                let network = networks.of(endpoint);
                if let Some(network) = network.filter(|_| endpoint.live.is_some()) {
                    of_place(engine, &network, container.id(), action);
                }
            }
        }
    }
}

/// That unused networks were removed; none of them took room.
pub(super) fn pruned(engine: &Engine) {
    let reclaimed = [("reclaimed", "0".to_owned())];
    event::emit(engine, Kind::Network, "prune", "", reclaimed);
}
