//! A network namespace made while the caller does something else, be it that it executes itself once
//! more: the kernel takes a third of a millisecond for one, more than for all other namespaces together.
#![allow(
    unsafe_code,
    reason = "clone(2) into the caller's memory has no safe wrapper"
)]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::thread::UnshareFlags;

use crate::error::{Errno, Error, Named, Result, retry};
use crate::passed::Passed;
use crate::socket::{self, Kind};

/// A namespace on its way. Its maker is a process beside the caller that has the caller's memory, sends
/// what it has made, and ends.
///
/// Dropped, it waits for that end, which is a matter of a millisecond.
#[derive(Debug)]
pub struct NetworkAhead {
    /// None once passed on.
    receiver: Option<OwnedFd>,
    /// The pid of a child that only this value reaps.
    maker: i32,
    /// None where this program was executed anew since.
    stack: Option<Stack>,
}

static PASSED: Passed = Passed::new("BRIG_NETWORK_AHEAD");

/// The maker has ended without a word.
const GONE: Error = Error {
    call: "unshare",
    errno: Errno::SRCH,
};

/// What the maker is given.
struct Task {
    sender: OwnedFd,
}

impl NetworkAhead {
    /// Begins one, with its loopback interface up in the end, on another CPU if there is one.
    pub fn begin() -> Result<Self> {
        let (receiver, sender) = socket::pair(Kind::Messages)?;
        let stack = Stack::map()?;
        // In the stack's own memory, which lives as long as the maker does.
        let task = stack.place(Task { sender });
        // SAFETY: clone(2) runs `make` on memory of its own, mapped just now, which nobody else uses and
        // which is given back only after the end of that process was seen (`drop`), if this program is
        // not executed anew before, which leaves the old memory to the maker. Without CLONE_THREAD and
        // with no exit signal it is a process apart: nobody but `drop` reaps it.
        let pid = unsafe { libc::clone(make, stack.top(), libc::CLONE_VM, task.cast()) };
        if pid < 0 {
            let errno = Errno::last();
            // SAFETY: nobody has been given the task, which `place` has just written.
            drop(unsafe { task.read() });
            return Err(Error {
                call: "clone",
                errno,
            });
        }
        // SAFETY: the maker has its own table of descriptors, where it uses its copy of this one by
        // number; of the value here only the number is read there.
        drop(unsafe { OwnedFd::from_raw_fd((*task).sender.as_raw_fd()) });
        // It may run where it is, if need be.
        let _ = crate::sched::begin_elsewhere(pid);
        Ok(Self {
            receiver: Some(receiver),
            maker: pid,
            stack: Some(stack),
        })
    }

    /// Has it survive the execution of this very program, which is to follow: the variable by which it
    /// is found then, as `NAME=value`.
    pub fn pass_on(self) -> Result<String> {
        // The execution does away with the rest of it; without one this process is at its end.
        let mut ahead = std::mem::ManuallyDrop::new(self);
        let receiver = ahead.receiver.take().ok_or(GONE)?;
        PASSED.pass_on(receiver, ahead.maker)
    }

    /// The one that this process has passed on to itself, once.
    pub fn passed_on() -> Option<Self> {
        let (receiver, maker) = PASSED.take()?;
        Some(Self {
            receiver: Some(receiver),
            maker,
            stack: None,
        })
    }

    /// The namespace, once it is there; in a copy of the process that began as well as in that one, but
    /// once. [`Errno::SRCH`] if its maker was killed.
    pub fn receive(&self) -> Result<OwnedFd> {
        let receiver = self.receiver.as_ref().ok_or(GONE)?;
        let mut message = socket::receive(receiver)?.ok_or(GONE)?;
        if let Some(made) = message.fds.pop() {
            return Ok(made);
        }
        let errno = <[u8; 4]>::try_from(message.bytes.as_slice());
        Err(Error {
            errno: errno.map_or(GONE.errno, |bytes| Errno(i32::from_ne_bytes(bytes))),
            ..GONE
        })
    }

    fn wait(&self) -> Result<()> {
        retry(|| {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: waitid(2) writes a siginfo_t to the live one it is given. __WALL, because the
            // maker ends without a signal.
            let answer = unsafe {
                libc::waitid(
                    libc::P_PID,
                    self.maker.unsigned_abs(),
                    info.as_mut_ptr(),
                    libc::WEXITED | libc::__WALL,
                )
            };
            match answer {
                0 => Ok(()),
                _ => Err(rustix::io::Errno::from_raw_os_error(Errno::last().0)),
            }
        })
        .named("waitid")
    }
}

impl Drop for NetworkAhead {
    fn drop(&mut self) {
        if self.wait().is_err() {
            // Nothing is known of the maker, so what it may still run on is not given back.
            let _ = std::mem::ManuallyDrop::new(self.stack.take());
        }
    }
}

/// The maker's life. It has the caller's memory, thread-local variables and all, while the caller
/// runs: it allocates nothing, takes no lock, and makes its calls without the C library, whose errno
/// is the caller's.
extern "C" fn make(task: *mut c_void) -> i32 {
    // SAFETY: `begin` passes a `Task` in memory that outlives this process, and drops nothing of it but
    // the caller's own copy of the descriptor.
    let task = unsafe { &*task.cast::<Task>() };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let made = network();
    let fds = made.as_ref().map(|made| [made.as_fd()]);
    let text = match &fds {
        Ok(fds) => {
            control.push(SendAncillaryMessage::ScmRights(fds));
            0i32.to_ne_bytes()
        }
        Err(errno) => errno.raw_os_error().to_ne_bytes(),
    };
    let text = [std::io::IoSlice::new(&text)];
    let sent = rustix::net::sendmsg(&task.sender, &text, &mut control, SendFlags::NOSIGNAL);
    i32::from(sent.is_err())
}

fn network() -> rustix::io::Result<OwnedFd> {
    // SAFETY: a network namespace is the calling process' own affair; its table of descriptors is its
    // own already.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    crate::loopback::up()?;
    rustix::fs::open(
        c"/proc/self/ns/net",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Memory for the maker to run on, with a page below it that nobody may touch.
#[derive(Debug)]
struct Stack {
    lowest: *mut c_void,
}

impl Stack {
    const PAGE: usize = 4096;
    const SIZE: usize = 16 * Self::PAGE;
    /// Above where it begins: what the one who runs on it is given.
    const GIVEN: usize = 64;

    fn map() -> Result<Self> {
        // SAFETY: mmap(2) without an address makes a new mapping that touches no other.
        let lowest = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                Self::SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::STACK,
            )
        };
        let stack = Self {
            lowest: lowest.named("mmap")?,
        };
        // SAFETY: the page is the first of the mapping just made, which nobody uses yet.
        unsafe { rustix::mm::mprotect(stack.lowest, Self::PAGE, MprotectFlags::empty()) }
            .named("mprotect")?;
        Ok(stack)
    }

    /// Where it begins: stacks grow downwards.
    fn top(&self) -> *mut c_void {
        self.lowest.wrapping_byte_add(Self::SIZE - Self::GIVEN)
    }

    /// Writes a task above where the stack begins.
    fn place(&self, task: Task) -> *mut Task {
        const { assert!(size_of::<Task>() <= Self::GIVEN && align_of::<Task>() <= Self::GIVEN) };
        let place = self.top().cast::<Task>();
        // SAFETY: the last `GIVEN` bytes of the mapping are nobody's, large and aligned enough.
        unsafe { place.write(task) };
        place
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and whoever ran on it has ended.
        let _ = unsafe { rustix::mm::munmap(self.lowest, Self::SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns::{self, Namespaces};

    #[test]
    fn a_namespace_is_made_beside_the_caller() {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: a network namespace needs root");
            return;
        }
        let thread = std::thread::spawn(|| {
            let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
            let ahead = NetworkAhead::begin().unwrap();
            let made = ahead.receive().unwrap();
            drop(ahead);
            assert_eq!(ns::kind(&made).unwrap(), Some(Namespaces::NETWORK));
            let still = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
            assert_eq!(still, own);
            ns::enter(&made, Namespaces::NETWORK).unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        });
        thread.join().unwrap();
    }

    #[test]
    fn one_that_nobody_takes_goes() {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: a network namespace needs root");
            return;
        }
        let ahead = NetworkAhead::begin().unwrap();
        let maker = format!("/proc/{}", ahead.maker);
        assert!(std::path::Path::new(&maker).exists());
        drop(ahead);
        assert!(!std::path::Path::new(&maker).exists());
    }

    #[test]
    fn why_there_is_none_is_told() {
        let (receiver, sender) = socket::pair(Kind::Messages).unwrap();
        socket::send(&sender, &libc::ENOSPC.to_ne_bytes(), &[]).unwrap();
        drop(sender);
        let ahead = std::mem::ManuallyDrop::new(NetworkAhead {
            receiver: Some(receiver),
            maker: 0,
            stack: None,
        });
        assert_eq!(ahead.receive().unwrap_err().errno, Errno::NOSPC);
        assert_eq!(ahead.receive().unwrap_err().errno, Errno::SRCH);
    }
}
