//! `rename`: the record gets another name, and with it the table and whoever asks the networks for it.

use types::ContainerName;

use super::WrongState;
use crate::record::Status;
use crate::{Engine, Error, event, network};

/// Gives a container another name. Blocking.
pub fn rename(engine: &Engine, who: &str, name: ContainerName) -> Result<(), Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    // One renaming at a time, and no network comes or goes meanwhile.
    let order = crate::table::lock(&container.networking);
    let old = container.name();
    if old == name {
        return Err(WrongState::SameName.into());
    }
    engine.table_mut().reserve(&name, container.id())?;
    let keep = Some((engine.records(), storage::Durability::Power));
    let renamed = container.change(keep, |status| {
        if let types::Lifecycle::Removing { .. } = status.lifecycle {
            return Err(WrongState::Removing(container.id().clone()).into());
        }
        Ok(Status {
            name: Some(name.clone()),
            ..status
        })
    });
    let unused = if renamed.is_ok() { &old } else { &name };
    engine.table_mut().release(unused, container.id());
    renamed?;
    // It is renamed already.
    if let Err(error) = network::attach::renamed(engine, &container) {
        tracing::warn!(container = %container.id(), error = %error.chain(),
            "networks do not know a container by its new name");
    }
    drop(order);
    let more = [("oldName", format!("/{}", old.as_str()))];
    event::of_container_with(engine, &container, "rename", more);
    Ok(())
}
