//! `secret rm`

use super::{SecretError, told};
use crate::{Engine, Error};

/// Forgets a secret that no container has, running or not. Blocking.
pub fn remove(engine: &Engine, who: &str) -> Result<(), Error> {
    let secret = engine.vault().find(who)?;
    let all = engine.table().all();
    let has = |container: &&std::sync::Arc<crate::table::Container>| {
        let mut asked = container.fixed.spec.secrets.iter();
        asked.any(|request| request.source == secret.name)
    };
    if let Some(container) = all.iter().find(has) {
        return Err(SecretError::InUse {
            secret: secret.name,
            container: container.name().to_string(),
        }
        .into());
    }
    engine.vault().remove(&secret.name)?;
    told(engine, &secret, "remove");
    Ok(())
}
