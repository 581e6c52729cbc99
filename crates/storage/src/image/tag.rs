//! Naming an image.

use types::ImageRef;

use super::query;
use crate::Durability;
use crate::error::Error;
use crate::stage::insert_name;
use crate::store::Store;

/// Gives the image `source` the name `target`; what had it before loses it.
pub(crate) fn tag(store: &Store, source: &str, target: &ImageRef) -> Result<(), Error> {
    if target.digest().is_some() {
        return Err(Error::TagWithDigest(target.clone()));
    }
    store.write(Durability::Power, |tx| {
        let id = query::resolve(tx, source)?;
        insert_name(tx, target, &id)
    })
}
