//! What volumes take on disk.

use storage::Volume;

use crate::{Engine, Error};

/// A volume and what it takes.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The volume.
    pub volume: Volume,
    /// Bytes; none where its files are not the store's.
    pub bytes: Option<u64>,
}

/// Each volume. Walks them all; blocking.
pub fn usage(engine: &Engine) -> Result<Vec<Usage>, Error> {
    let volumes = super::list(engine)?.into_iter();
    let counted = volumes.map(|volume| Usage {
        // One that is being removed has nothing to count.
        bytes: engine.storage().volume_usage(&volume).unwrap_or_default(),
        volume,
    });
    Ok(counted.collect())
}
