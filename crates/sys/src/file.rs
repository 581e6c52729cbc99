//! Files replaced as a whole, and locks that die with their holder.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use crate::error::{Errno, Error, Named, Result, retry};
use crate::{fd, pidfd};

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

/// How long a lock is waited for whose holder lives: it may be about to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long when the holder is gone, and only what it was starting can have the lock.
const PATIENCE_WITH_HEIRS: Duration = Duration::from_secs(10);

/// An exclusive lock on a file (flock(2)), which says the holder's pid. The kernel lets go of it when
/// the last descriptor is closed, so a holder that dies never blocks its successor for long. The file
/// stays: removing it would let two processes hold "the" lock on two files of one name.
#[derive(Debug)]
pub struct Lock(OwnedFd);

impl Lock {
    /// The lock, or nothing if somebody holds it and goes on to.
    ///
    /// A holder that was killed is waited for. It has the lock until it is gone, and a process that
    /// it was just starting has it, as a copy of the descriptor, until it executes its program.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = retry(|| rustix::fs::open(path, flags, mode)).named("open")?;
        let begin = Instant::now();
        loop {
            match retry(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => {
                    let lock = Self(file);
                    lock.write(format!("{}\n", std::process::id()).as_bytes())?;
                    return Ok(Some(lock));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(errno).named("flock"),
            }
            let patience = match holder(path).is_some_and(|pid| !lives(pid)) {
                true => PATIENCE_WITH_HEIRS,
                false => PATIENCE,
            };
            if begin.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The lock that came with a descriptor from who had it before, in this very process
    /// ([`crate::handover`]).
    pub fn adopt(file: OwnedFd) -> Self {
        Self(file)
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        rustix::fs::ftruncate(&self.0, 0).named("ftruncate")?;
        rustix::io::pwrite(&self.0, text, 0)
            .named("pwrite")
            .map(drop)
    }
}

impl Drop for Lock {
    /// Not left to closing the descriptor: a child that is just being started may have a copy.
    fn drop(&mut self) {
        // It fails for no reason that a later close would not mend.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// The pid that a lock file says, of whoever took the lock last.
pub fn holder(path: &Path) -> Option<i32> {
    let text = fd::read_to_end(fd::open_read(path).ok()?, 64).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

fn lives(pid: i32) -> bool {
    pidfd::open(pid)
        .is_ok_and(|process| !pidfd::ended_within(&process, Duration::ZERO).unwrap_or(false))
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
        let held = Lock::take(&path).unwrap().unwrap();
        assert_eq!(holder(&path), i32::try_from(std::process::id()).ok());
        assert!(Lock::take(&path).unwrap().is_none());
        let copy = fd::duplicate(&held).unwrap();
        drop(held);
        assert!(Lock::take(&path).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn the_lock_of_a_process_that_is_gone_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&path).unwrap().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        held.write(format!("{}\n", gone.id()).as_bytes()).unwrap();
        gone.wait().unwrap();
        let heir = std::thread::spawn(move || {
            // Longer than anybody waits for a holder that lives.
            std::thread::sleep(PATIENCE + PATIENCE / 2);
            drop(held);
        });
        assert!(Lock::take(&path).unwrap().is_some());
        heir.join().unwrap();
    }
}
