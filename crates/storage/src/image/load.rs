use crate::{Loaded, error::Error, store::Store};
use std::io::Read;
pub(crate) fn load(_: &Store, _: &mut dyn Read) -> Result<Vec<Loaded>, Error> {
    Err(Error::NotAnImageArchive)
}
