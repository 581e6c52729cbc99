//! clone3(2): the one way the product makes a copy of itself.
#![allow(unsafe_code, reason = "clone3(2) has no safe wrapper")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Errno, Error, Named, Result};
use crate::ns::Namespaces;

/// How the copy differs from the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clone3<'a> {
    /// Namespaces it gets of its own.
    pub namespaces: Namespaces,
    /// The directory of the cgroup it is born into (version 2 only).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// It becomes a child of the caller's parent instead of the caller's own.
    pub sibling: bool,
}

/// The copy, seen from the caller.
#[derive(Debug)]
pub struct Child {
    /// Its pid in the caller's pid namespace.
    pub pid: i32,
    /// Its descriptor, closed on execve(2).
    pub pidfd: OwnedFd,
}

/// `struct clone_args` of linux/sched.h, version 2 (88 bytes).
#[repr(C)]
#[derive(Debug, Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

impl Clone3<'_> {
    /// Runs `child` in a copy of this process, which ends with the code it returns and never comes
    /// back here.
    ///
    /// Refused with EAGAIN's cousin EBUSY when the caller has more than one thread: the copy has
    /// only the calling one, and a lock that another held (the allocator's, for one) would never be
    /// released in it.
    pub fn spawn(&self, child: impl FnOnce() -> i32) -> Result<Child> {
        if !is_single_threaded()? {
            return Err(Error {
                call: "clone3",
                errno: Errno::BUSY,
            });
        }
        let mut pidfd: i32 = -1;
        let mut arguments = Arguments {
            flags: CLONE_PIDFD | u64::from(self.namespaces.bits()),
            pidfd: std::ptr::from_mut(&mut pidfd) as u64,
            exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
            ..Arguments::default()
        };
        if self.sibling {
            // Its parent hears of its end by the signal that parent chose for the caller.
            arguments.flags |= CLONE_PARENT;
            arguments.exit_signal = 0;
        }
        if let Some(cgroup) = self.cgroup {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
        }
        // SAFETY: without CLONE_VM and with no stack given, clone3(2) returns twice as fork(2)
        // does, each time on its own copy of all memory; `arguments` is a `struct clone_args` of
        // the size told, and its `pidfd` points to a live i32 that nobody else reads. The caller
        // has no other thread, as checked above, so the copy holds no lock of an absent one.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<Arguments>()) };
        match pid {
            0 => {
                COPY.store(true, Ordering::Relaxed);
                crate::process::exit_now(run_to_exit_code(child))
            }
            pid if pid < 0 => Err(Error {
                call: "clone3",
                errno: Errno::last(),
            }),
            pid => Ok(Child {
                pid: i32::try_from(pid).map_err(|_| Error {
                    call: "clone3",
                    errno: Errno::SRCH,
                })?,
                // SAFETY: by clone(2) CLONE_PIDFD has just put a new descriptor here, which nobody
                // else owns.
                pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            }),
        }
    }
}

/// Runs `child` in a copy of a copy that [`Clone3::spawn`] made, as a child of the same parent, who
/// learns of its end by the signal it chose for the first. By clone(2): a filter that is in force may
/// know no clone3(2). Namespaces are those set for children. Its pid, where the caller is.
pub fn sibling_of_copy(child: impl FnOnce() -> i32) -> Result<i32> {
    // Of children of this process nobody would hear.
    const FLAGS: u64 = CLONE_PARENT;
    if !is_copy() {
        return Err(Error {
            call: "clone",
            errno: Errno::BUSY,
        });
    }
    // SAFETY: without CLONE_VM and with no stack given, clone(2) returns twice as fork(2) does, each
    // time on its own copy of all memory, and its other arguments are not looked at by these flags.
    // A copy begins with one thread; had somebody made another in it, a lock of that one might never
    // be released in this copy of the memory, which hangs and touches nothing.
    let pid = unsafe { libc::syscall(libc::SYS_clone, FLAGS, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(0) => crate::process::exit_now(run_to_exit_code(child)),
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(Error {
            call: "clone",
            errno: Errno::last(),
        }),
    }
}

/// Set in copies, each of which has its own.
static COPY: AtomicBool = AtomicBool::new(false);

/// Whether this process was made by [`Clone3::spawn`] and has executed nothing since.
pub(crate) fn is_copy() -> bool {
    COPY.load(Ordering::Relaxed)
}

/// A panic must not unwind into the copy of the caller's stack frames, or two processes would run
/// the code after `spawn`.
fn run_to_exit_code(child: impl FnOnce() -> i32) -> i32 {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101)
}

/// Each thread is a directory in /proc/self/task, so it counts as a link to that one.
fn is_single_threaded() -> Result<bool> {
    let task = rustix::fs::stat("/proc/self/task").named("stat")?;
    Ok(task.st_nlink == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_with_threads_is_refused() {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv().is_err());
        let error = Clone3::default().spawn(|| 0).unwrap_err();
        assert_eq!(error.errno, Errno::BUSY);
        drop(stop);
        other.join().unwrap();
    }
}
