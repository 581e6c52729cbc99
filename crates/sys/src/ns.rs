//! Namespaces (namespaces(7)): names for the eight kinds, entering and leaving.
#![allow(
    unsafe_code,
    reason = "unshare(2) of a thread's own namespaces has no safe wrapper"
)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use bitflags::bitflags;

use crate::error::{Errno, Error, Named, Result, check};
use crate::fd;

bitflags! {
    /// A set of kinds of namespaces.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Namespaces: u32 {
        /// Clock offsets.
        const TIME = 0x0000_0080;
        /// Mounts.
        const MOUNT = 0x0002_0000;
        /// The root of the cgroup hierarchy.
        const CGROUP = 0x0200_0000;
        /// Host and domain name.
        const UTS = 0x0400_0000;
        /// System V IPC and POSIX message queues.
        const IPC = 0x0800_0000;
        /// User and group ids, capabilities.
        const USER = 0x1000_0000;
        /// Process ids.
        const PID = 0x2000_0000;
        /// Network devices, addresses, sockets.
        const NETWORK = 0x4000_0000;
    }
}

/// The kinds with their names in /proc/PID/ns, in the order in which they must be entered: the user
/// namespace first, because it gives the right to enter those it owns; the mount namespace last,
/// because it takes /proc away.
pub const NAMES: [(Namespaces, &str); 8] = [
    (Namespaces::USER, "user"),
    (Namespaces::CGROUP, "cgroup"),
    (Namespaces::IPC, "ipc"),
    (Namespaces::UTS, "uts"),
    (Namespaces::NETWORK, "net"),
    (Namespaces::TIME, "time"),
    (Namespaces::PID, "pid"),
    (Namespaces::MOUNT, "mnt"),
];

/// Opens the namespace a path names: /proc/PID/ns/KIND or a bind mount of it. Whether it is one is
/// for [`kind`] to say; something else, a FIFO for one, is not waited for.
pub fn open(path: &Path) -> Result<OwnedFd> {
    fd::open_at_once(path)
}

/// Which kind of namespace a descriptor is of; none if it is not of a namespace.
pub fn kind(namespace: impl AsFd) -> Result<Option<Namespaces>> {
    /// NS_GET_NSTYPE of linux/nsfs.h (ioctl_nsfs(2)).
    const GET_TYPE: libc::c_ulong = 0xb703;
    // SAFETY: NS_GET_NSTYPE takes no argument and touches no memory; any other file refuses it.
    let answer = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), GET_TYPE as _) };
    match check("ioctl NS_GET_NSTYPE", answer.into()) {
        Ok(bits) => Ok(u32::try_from(bits).ok().and_then(Namespaces::from_bits)),
        Err(error) if error.errno == Errno::NOTTY => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the calling thread is in this namespace already.
pub fn is_own(namespace: impl AsFd, kind: Namespaces) -> Result<bool> {
    Ok(fd::identity(open_own(kind)?)? == fd::identity(namespace)?)
}

/// Whether two descriptors are of one namespace.
pub fn same(one: impl AsFd, other: impl AsFd) -> Result<bool> {
    Ok(fd::identity(one)? == fd::identity(other)?)
}

/// Opens the calling thread's own namespace of one kind. For pid and time that is the one it lives
/// in, not the one its children will.
pub fn open_own(kind: Namespaces) -> Result<OwnedFd> {
    let name = NAMES
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, name)| *name);
    let name = name.ok_or(Error {
        call: "open",
        errno: Errno::INVAL,
    })?;
    fd::open_read(Path::new(&format!("/proc/thread-self/ns/{name}")))
}

/// Moves the calling thread into one namespace, which must be of this kind; into a pid namespace
/// only its children go.
pub fn enter(namespace: impl AsFd, kind: Namespaces) -> Result<()> {
    set(namespace.as_fd().as_raw_fd(), kind)
}

/// Calls `f` on the calling thread in another network namespace: what it opens belongs there. A thread
/// that could not return would do harm wherever it is used next, so the process ends if that happens; it
/// can only where the right to enter one's own namespace was given up.
pub fn within<T>(namespace: impl AsFd, f: impl FnOnce() -> T) -> Result<T> {
    struct Return(OwnedFd);
    impl Drop for Return {
        fn drop(&mut self) {
            if enter(&self.0, Namespaces::NETWORK).is_err() {
                std::process::abort();
            }
        }
    }
    let own = open_own(Namespaces::NETWORK)?;
    enter(namespace, Namespaces::NETWORK)?;
    // A panic of `f` returns too.
    let _return = Return(own);
    Ok(f())
}

/// Moves the calling thread into several namespaces of a process at once (Linux 5.8): all or none.
pub fn enter_process(pidfd: impl AsFd, kinds: Namespaces) -> Result<()> {
    set(pidfd.as_fd().as_raw_fd(), kinds)
}

/// A number that the calling thread's network namespace has and no other one ever had since the kernel started
/// (socket(7), SO_NETNS_COOKIE, of Linux 5.14): a namespace's inode number is another one's later.
pub fn network_cookie() -> Result<u64> {
    let kind = rustix::net::SocketType::DGRAM;
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(rustix::net::AddressFamily::UNIX, kind, flags, None);
    let socket = socket.named("socket")?;
    let mut cookie = 0_u64;
    let mut length: libc::socklen_t = 8;
    // SAFETY: getsockopt(2) writes at most `length` bytes to a variable that has as many, and the length written;
    // both live across the call.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    check("getsockopt", answer.into()).map(|_| cookie)
}

/// Gives the calling thread namespaces of its own; of pid and time kind, its children.
pub fn unshare(kinds: Namespaces) -> Result<()> {
    // SAFETY: unshare(2) touches no memory of the caller. CLONE_FILES, the flag that breaks the
    // assumption that a descriptor is valid in every thread, cannot be expressed by `Namespaces`.
    check("unshare", unsafe {
        libc::syscall(libc::SYS_unshare, kinds.bits())
    })
    .map(drop)
}

fn set(fd: i32, kinds: Namespaces) -> Result<()> {
    // SAFETY: setns(2) touches no memory of the caller and leaves the descriptor table alone.
    check("setns", unsafe {
        libc::syscall(libc::SYS_setns, fd, kinds.bits())
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_leaves_its_namespace_and_returns() {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: namespaces need root");
            return;
        }
        let thread = std::thread::spawn(|| {
            let link = || std::fs::read_link("/proc/thread-self/ns/uts").unwrap();
            let (own, before) = (open_own(Namespaces::UTS).unwrap(), link());
            unshare(Namespaces::UTS).unwrap();
            assert_ne!(link(), before);
            assert_eq!(kind(&own).unwrap(), Some(Namespaces::UTS));
            assert!(!is_own(&own, Namespaces::UTS).unwrap());
            let none = std::fs::File::open("/dev/null").unwrap();
            assert_eq!(kind(none).unwrap(), None);
            // The descriptor knows its kind, and the kernel checks it.
            assert_eq!(
                enter(&own, Namespaces::IPC).unwrap_err().errno,
                Errno::INVAL
            );
            enter(&own, Namespaces::UTS).unwrap();
            assert_eq!(link(), before);
            assert!(is_own(&own, Namespaces::UTS).unwrap());
        });
        thread.join().unwrap();
    }
}
