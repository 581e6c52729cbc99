//! Being told that files of a directory change (inotify(7)).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::error::{Named, Result};

/// Readable when the file, or one of the directory, has been written, made or renamed.
#[derive(Debug)]
pub struct Changes(OwnedFd);

impl Changes {
    /// Watches a directory. Never blocks.
    pub fn of_dir(dir: &Path) -> Result<Self> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).named("inotify_init1")?;
        let wanted = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&fd, dir, wanted | WatchFlags::ONLYDIR).named("inotify_add_watch")?;
        Ok(Self(fd))
    }

    /// Watches a single file. Never blocks.
    pub fn of_file(file: &Path) -> Result<Self> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).named("inotify_init1")?;
        inotify::add_watch(&fd, file, WatchFlags::MODIFY).named("inotify_add_watch")?;
        Ok(Self(fd))
    }

    /// Watches a directory for what goes: readable when something in it has been removed, or the
    /// directory itself moved away. That it has been removed itself is not told as long as a file
    /// that was in it is open. Never blocks.
    pub fn of_removals(dir: &Path) -> Result<Self> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).named("inotify_init1")?;
        let wanted = WatchFlags::DELETE | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&fd, dir, wanted).named("inotify_add_watch")?;
        Ok(Self(fd))
    }

    /// Forgets what happened so far: only that something did is of interest.
    pub fn drain(&self) -> Result<()> {
        // One event with the longest name fits, so that a read never fails for want of room.
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut room);
        loop {
            match events.next() {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno).named("read"),
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_write_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let changes = Changes::of_dir(dir.path()).unwrap();
        changes.drain().unwrap();
        let mut file = std::fs::File::create(dir.path().join("log")).unwrap();
        file.write_all(b"x").unwrap();
        crate::process::wait_readable(&changes).unwrap();
        changes.drain().unwrap();
    }
}
