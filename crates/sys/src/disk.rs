//! The disk below a directory: how much room it has, and writing early what will have to be written.
#![allow(unsafe_code, reason = "sync_file_range has no safe wrapper")]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Named, Result, check};

/// A file system's size and room (statvfs(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes it has.
    pub total: u64,
    /// Bytes that programs without privileges may still write.
    pub available: u64,
    /// Bytes that nobody has written, those kept for privileged programs included.
    pub free: u64,
    /// Files that may still be made; the most there can be where the file system sets no limit.
    pub files: u64,
}

/// The room of the file system that an open file or directory is on.
pub fn room(fd: impl AsFd) -> Result<Room> {
    let stat = rustix::fs::fstatvfs(fd).named("fstatvfs")?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Room {
        total: bytes(stat.f_blocks),
        available: bytes(stat.f_bavail),
        free: bytes(stat.f_bfree),
        // Some, such as btrfs, have no fixed number of files and say that there is none.
        files: match stat.f_files {
            0 => u64::MAX,
            _ => stat.f_favail,
        },
    })
}

/// Has the kernel begin to write a part of a file, without waiting for it: what is synced later then
/// has less left to do.
pub fn start_writing(file: &File, offset: u64, length: u64) -> Result<()> {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    let length = i64::try_from(length).unwrap_or(0);
    // SAFETY: sync_file_range takes a descriptor, which is open as long as `file` is borrowed, and
    // numbers; it changes nothing but when pages are written.
    let answer = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
    check("sync_file_range", answer.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_and_writing_begins() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[7; 8192]).unwrap();
        start_writing(&file, 0, 8192).unwrap();
        let room = room(&file).unwrap();
        assert!(room.available <= room.free && room.free <= room.total);
        assert!(room.files > 0);
    }
}
