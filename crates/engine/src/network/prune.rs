//! `network prune`

use super::table::Network;
use super::{remove, told};
use crate::table::lock;
use crate::{Engine, Error};

use super::View;
use super::list::is_used;

/// Removes networks that no container is in, running or not, and of which `takes` holds; their names.
/// One that cannot be removed is passed over. Blocking.
pub fn prune(engine: &Engine, takes: impl Fn(&View) -> bool) -> Result<Vec<String>, Error> {
    let networks = engine.networks();
    let _order = lock(&networks.changing);
    let mut removed = Vec::new();
    let all = networks.table().all();
    for network in all {
        let goes = |network: &Network| !network.is_predefined() && !is_used(engine, network);
        if !goes(&network) || !takes(&super::list::view(engine, &network)) {
            continue;
        }
        match remove::forget(engine, &network) {
            Ok(()) => removed.push(network.name().to_owned()),
            Err(error) => tracing::warn!(network = network.name(), error = %error.chain(),
                "cannot prune a network"),
        }
    }
    told::pruned(engine);
    Ok(removed)
}
