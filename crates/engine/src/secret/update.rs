//! `secret update`: what runs is given the new one at once.

use super::create::check_length;
use super::{place, told};
use crate::{Engine, Error, clock};

/// Has a secret say something else, also in files of containers that run. What is in their environment
/// stays as it is until they start again. One that cannot be given it keeps no other from it, and is told
/// of in the end. Blocking.
pub fn update(engine: &Engine, who: &str, data: &[u8]) -> Result<(), Error> {
    let secret = engine.vault().find(who)?;
    check_length(&secret.name, data)?;
    engine.vault().replace(&secret, data, clock::now())?;
    told(engine, &secret, "update");
    let mut first = Ok(());
    for container in engine.table().all() {
        let mut asked = container.fixed.spec.secrets.iter();
        let has = asked.any(|of| of.source == secret.name);
        // One that is being started looks again once it runs.
        let Some(process) = container.lifecycle().process().filter(|_| has) else {
            continue;
        };
        let given = place::files(engine, &container, process);
        // One that ends meanwhile needs it no more.
        if first.is_ok() && container.lifecycle().is_running() {
            first = given.map(drop);
        }
    }
    first
}
