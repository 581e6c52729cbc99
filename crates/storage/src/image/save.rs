use crate::{error::Error, store::Store};
use std::io::Write;
pub(crate) fn save(_: &Store, _: &[String], _: &mut dyn Write) -> Result<(), Error> {
    Err(Error::NotAnImageArchive)
}
