//! How the container ended, on disk before anybody hears of it.

use std::path::Path;

use shim::protocol::{self, ExitRecord};

use crate::failure::Failure;

/// Replaces the record. With nobody to hear of it now, it is flushed to the disk: the machine may
/// lose power before the next daemon comes.
pub(crate) fn write(path: &Path, record: &ExitRecord, watched: bool) -> Result<(), Failure> {
    let text = protocol::encode(record);
    let replace = if watched {
        sys::file::replace_unsynced
    } else {
        sys::file::replace
    };
    replace(path, &text, 0o600).map_err(Failure::of("write the exit record"))
}
