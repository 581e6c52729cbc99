//! Room that is left on the disk for others: a layer of a few megabytes may unpack to more than any
//! disk has, or to more files, and who else writes there must not suffer for it.

use std::sync::Arc;

use sys::Errno;
use sys::dir::Dir;

/// Bytes and files after which the disk is looked at again.
const LOOK_BYTES: u64 = 16 << 20;
const LOOK_FILES: u64 = 4096;
/// Of the disk, the part that is left, and the most that is.
const PART: u64 = 64;
const MOST: u64 = 256 << 20;

/// Looks at the disk now and then.
#[derive(Debug)]
pub(super) struct Room {
    dir: Arc<Dir>,
    bytes: u64,
    files: u64,
}

impl Room {
    pub(super) fn new(dir: Arc<Dir>) -> Self {
        Self {
            dir,
            bytes: 0,
            files: 0,
        }
    }

    /// Counts bytes that are about to be written. `ENOSPC` when the disk should not take more.
    pub(super) fn bytes(&mut self, count: usize) -> sys::Result<()> {
        self.bytes += count as u64;
        if self.bytes < LOOK_BYTES {
            return Ok(());
        }
        self.bytes = 0;
        let room = sys::disk::room(&*self.dir)?;
        full_if(room.available < (room.total / PART).min(MOST))
    }

    /// Counts a file that is about to be made. `ENOSPC` when the disk should not take more.
    pub(super) fn file(&mut self) -> sys::Result<()> {
        self.files += 1;
        if self.files < LOOK_FILES {
            return Ok(());
        }
        self.files = 0;
        let room = sys::disk::room(&*self.dir)?;
        full_if(room.files < LOOK_FILES || room.available < (room.total / PART).min(MOST))
    }
}

fn full_if(full: bool) -> sys::Result<()> {
    let error = sys::Error {
        call: "statvfs",
        errno: Errno::NOSPC,
    };
    if full { Err(error) } else { Ok(()) }
}
