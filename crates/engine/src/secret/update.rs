//! `secret update`: what runs is given the new one at once.

use super::create::check_length;
use super::place;
use crate::{Engine, Error, clock};

/// Has a secret say something else, also in files of containers that run. What is in their environment
/// stays as it is until they start again. Blocking.
pub fn update(engine: &Engine, who: &str, data: &[u8]) -> Result<(), Error> {
    let secret = engine.vault().find(who)?;
    check_length(&secret.name, data)?;
    engine.vault().replace(&secret, data, clock::now())?;
    for container in engine.table().all() {
        let spec = &container.fixed.spec;
        let has = spec.secrets.iter().any(|of| of.source == secret.name);
        let Some(process) = container.lifecycle().process().filter(|_| has) else {
            continue;
        };
        // One that ends meanwhile needs it no more.
        if let Err(error) = place::files(engine, &container, process)
            && container.lifecycle().is_running()
        {
            return Err(error);
        }
    }
    Ok(())
}
