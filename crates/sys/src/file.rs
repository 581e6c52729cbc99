//! Files replaced as a whole, and locks that die with their holder.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use crate::error::{Errno, Error, Named, Result, retry};
use crate::fd;

/// Replaces a file: after a crash at any moment it holds the old bytes or the new ones, and once
/// this returns the new ones survive power loss.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    replace_with(path, bytes, mode, true)
}

/// Replaces a file so that no reader ever sees a part, without waiting for the disk: for what does
/// not outlive the machine's uptime.
pub fn replace_unsynced(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    replace_with(path, bytes, mode, false)
}

/// Makes the names in a directory survive power loss.
pub fn sync_dir(path: &Path) -> Result<()> {
    rustix::fs::fsync(fd::open_dir(path)?).named("fsync")
}

fn replace_with(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> Result<()> {
    let name = path.file_name().ok_or(Error {
        call: "open",
        errno: Errno::INVAL,
    })?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let dir = fd::open_dir(parent)?;
    let temporary = temporary_name(name.to_owned());
    let written = write_new(&dir, &temporary, bytes, mode, sync)
        .and_then(|()| rustix::fs::renameat(&dir, &temporary, &dir, name).named("rename"));
    if written.is_err() {
        // The error that matters is the first one; a leftover is recognisable by its name.
        let _ = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
    } else if sync {
        rustix::fs::fsync(&dir).named("fsync")?;
    }
    written
}

/// Unique among the living: two processes cannot have one pid, nor one process one number twice.
fn temporary_name(name: OsString) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.{number}.tmp", std::process::id()));
    temporary.into()
}

fn write_new(dir: &OwnedFd, name: &Path, bytes: &[u8], mode: u32, sync: bool) -> Result<()> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = retry(|| rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode)))
        .named("openat")?;
    fd::write_all(&file, bytes)?;
    if sync {
        rustix::fs::fsync(&file).named("fsync")?;
    }
    Ok(())
}

/// An exclusive lock on a file (flock(2)). The kernel lets go of it when the last descriptor is
/// closed, so a holder that dies never blocks its successor. The file stays: removing it would let
/// two processes hold "the" lock on two files of one name.
#[derive(Debug)]
pub struct Lock(OwnedFd);

impl Lock {
    /// Waits until the lock is free.
    pub fn acquire(path: &Path) -> Result<Self> {
        let file = Self::open(path)?;
        retry(|| rustix::fs::flock(&file, FlockOperation::LockExclusive)).named("flock")?;
        Ok(Self(file))
    }

    /// The lock, or nothing if somebody else holds it.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = Self::open(path)?;
        match retry(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno).named("flock"),
        }
    }

    /// Replaces what the lock file says, for people who look: a pid, usually.
    pub fn write(&self, text: &[u8]) -> Result<()> {
        rustix::fs::ftruncate(&self.0, 0).named("ftruncate")?;
        rustix::io::pwrite(&self.0, text, 0)
            .named("pwrite")
            .map(drop)
    }

    fn open(path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        retry(|| rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)).named("open")
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_leaves_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace(&path, b"one", 0o600).unwrap();
        replace_unsynced(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replace_keeps_the_old_file_and_leaves_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("occupied");
        std::fs::create_dir(&path).unwrap();
        let error = replace(&path, b"x", 0o600).unwrap_err();
        assert_eq!(error.to_string(), "rename: is a directory");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_is_exclusive_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::acquire(&path).unwrap();
        held.write(b"1\n").unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_acquire(&path).unwrap().is_some());
        assert_eq!(std::fs::read(&path).unwrap(), b"1\n");
    }
}
