//! Block devices that limits name by path.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use types::BlockIo;

use super::check::Invalid;
use super::devices::numbers;

/// Major and minor number of every device that is named.
pub(super) fn resolve(io: &BlockIo) -> Result<BTreeMap<String, (u32, u32)>, Invalid> {
    let mut found = BTreeMap::new();
    for path in io.devices() {
        let refuse = |reason: String| Invalid::BlockDevice {
            path: path.to_owned(),
            reason,
        };
        let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
        if !metadata.file_type().is_block_device() {
            return Err(refuse("it is no block device".to_owned()));
        }
        found.insert(path.to_owned(), numbers(metadata.rdev()));
    }
    Ok(found)
}
