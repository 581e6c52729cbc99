//! `rm --link`

use storage::Durability;

use super::error::NetworkError;
use super::{connect, links};
use crate::table::lock;
use crate::{Engine, Error};

/// Takes a link from the container that has it: `OWN/ALIAS`, as `inspect` shows where it leads. What its
/// environment says stays as it is until it is started again. Blocking.
pub fn unlink(engine: &Engine, link: &str) -> Result<(), Error> {
    let trimmed = link.trim_start_matches('/');
    let Some((own, alias)) = trimmed.rsplit_once('/') else {
        return Err(
            NetworkError::Conflict("cannot remove the default link name of the container").into(),
        );
    };
    let container = engine.find(own)?;
    let order = lock(&container.networking);
    if !links::has(engine, &container, alias) {
        return Err(NetworkError::NoLink {
            container: container.name().to_string(),
            alias: alias.to_owned(),
        }
        .into());
    }
    let keep = Some((engine.records(), Durability::Power));
    container.change(keep, |mut status| {
        status.unlinked.insert(alias.to_owned());
        Ok(status)
    })?;
    let retold = match container.lifecycle().process() {
        Some(process) => connect::retell(engine, &container, process),
        None => Ok(()),
    };
    drop(order);
    match retold {
        Err(Error::Network(NetworkError::Ended)) => Ok(()),
        retold => retold,
    }
}
