//! Waiting for many descriptors at once (epoll(7)), and signals as one of them (signalfd(2)).

#![allow(
    unsafe_code,
    reason = "signalfd(2) and signal dispositions have no safe binding"
)]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::error::{Errno, Error, Named, Result, check, retry};

/// What to be told of. A hang-up and an error are told always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest {
    /// That reading would not wait.
    pub read: bool,
    /// That writing would not wait.
    pub write: bool,
}

impl Interest {
    /// Reading only.
    pub const READ: Self = Self {
        read: true,
        write: false,
    };
    /// Writing only.
    pub const WRITE: Self = Self {
        read: false,
        write: true,
    };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// What happened to one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What [`Poller::add`] was given.
    pub token: u64,
    /// Reading would not wait.
    pub readable: bool,
    /// Writing would not wait.
    pub writable: bool,
    /// The other side is gone, or the descriptor is broken.
    pub hung_up: bool,
}

/// A set of descriptors to wait for. Level-triggered.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

/// Events taken in one go. A few, as the shim has few descriptors and little memory.
const BATCH: usize = 16;

impl Poller {
    /// An empty set.
    pub fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).named("epoll_create1")?;
        Ok(Self { epoll })
    }

    /// Adds a descriptor; its events carry `token`.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, fd, data, interest.flags()).named("epoll_ctl")
    }

    /// Changes what to be told of.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        let data = epoll::EventData::new_u64(token);
        epoll::modify(&self.epoll, fd, data, interest.flags()).named("epoll_ctl")
    }

    /// Takes a descriptor out: the only way not to be told of its hang-up.
    pub fn remove(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.epoll, fd).named("epoll_ctl")
    }

    /// Waits for events, at most as long as `limit`, and puts them into `events`.
    pub fn wait(&self, limit: Option<Duration>, events: &mut Vec<Event>) -> Result<()> {
        events.clear();
        let mut room = [MaybeUninit::uninit(); BATCH];
        let limit = limit.map(timespec);
        match epoll::wait(&self.epoll, &mut room[..], limit.as_ref()) {
            Ok((happened, _)) => events.extend(happened.iter().map(|event| event_of(*event))),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno).named("epoll_wait"),
        }
        Ok(())
    }
}

fn event_of(event: epoll::Event) -> Event {
    let flags = event.flags;
    Event {
        token: event.data.u64(),
        readable: flags.contains(epoll::EventFlags::IN),
        writable: flags.contains(epoll::EventFlags::OUT),
        hung_up: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Waits until reading would not wait, the end of a stream and a hang-up included, at most this long;
/// whether it would not. A limit beyond what the clock can count is none.
pub fn readable_within(fd: impl AsFd, limit: Duration) -> Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};
    let until = Instant::now().checked_add(limit);
    loop {
        let left = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            answer => return answer.named("poll").map(|ready| ready > 0),
        }
    }
}

/// Reads into the spare room of `buffer`. `None` when a non-blocking descriptor has nothing yet, zero
/// at the end; a terminal that no program has open any more is at its end too.
pub fn try_read(fd: impl AsFd, buffer: &mut Vec<u8>) -> Result<Option<usize>> {
    use rustix::io::Errno as E;
    loop {
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(buffer)) {
            Ok(length) => return Ok(Some(length)),
            Err(E::AGAIN) => return Ok(None),
            Err(E::IO) if rustix::termios::isatty(&fd) => return Ok(Some(0)),
            Err(E::INTR) => {}
            Err(errno) => return Err(errno).named("read"),
        }
    }
}

/// Writes what fits, and says how much that was.
pub fn try_write(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    match retry(|| rustix::io::write(&fd, bytes)) {
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        answer => answer.named("write"),
    }
}

/// Makes a pipe hold this many bytes. The kernel refuses when its users have too much already.
pub fn set_pipe_size(pipe: impl AsFd, bytes: usize) -> Result<()> {
    rustix::pipe::fcntl_setpipe_size(pipe, bytes)
        .named("fcntl")
        .map(drop)
}

/// Signals read from a descriptor instead of handled.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks these signals for the calling thread, which must be the only one, and collects them.
    /// `None` collects every signal there is.
    pub fn take(signals: Option<&[types::Signal]>, nonblocking: bool) -> Result<Self> {
        let set = signal_set(signals);
        // SAFETY: `set` is an initialised sigset_t, and a null old set is allowed by
        // pthread_sigmask(3).
        let answer = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if answer != 0 {
            return Err(Error {
                call: "pthread_sigmask",
                errno: Errno(answer),
            });
        }
        let flags = libc::SFD_CLOEXEC | if nonblocking { libc::SFD_NONBLOCK } else { 0 };
        // SAFETY: -1 asks for a new descriptor, and `set` is initialised.
        let fd = unsafe { libc::signalfd(-1, &set, flags) };
        check("signalfd", fd.into())?;
        // SAFETY: the kernel has just given this descriptor to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal; `None` when none is there and the descriptor does not block.
    pub fn next(&self) -> Result<Option<types::Signal>> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match retry(|| rustix::io::read(&self.0, &mut info[..])) {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(errno).named("read"),
        }
        // ssi_signo is the first field: u32, at offset 0 (signalfd(2)).
        let number = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        Ok(types::Signal::try_from(number).ok())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// Leaves what is sent to the process to its other threads: none comes to the calling one any more.
pub fn leave_signals() -> Result<()> {
    let set = signal_set(None);
    // SAFETY: `set` is an initialised sigset_t, and a null old set is allowed by pthread_sigmask(3).
    let answer = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
    match answer {
        0 => Ok(()),
        errno => Err(Error {
            call: "pthread_sigmask",
            errno: Errno(errno),
        }),
    }
}

/// Ignores a signal from now on.
pub fn ignore(signal: types::Signal) -> Result<()> {
    // SAFETY: SIG_IGN is a disposition that runs no code of this process.
    let before = unsafe { libc::signal(signal.number(), libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        return Err(Error {
            call: "signal",
            errno: Errno::last(),
        });
    }
    Ok(())
}

fn signal_set(signals: Option<&[types::Signal]>) -> libc::sigset_t {
    // SAFETY: sigset_t is an array of integers, for which zeros are a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    match signals {
        // SAFETY: sigfillset(3) writes within the sigset_t it is given.
        None => unsafe {
            libc::sigfillset(&mut set);
        },
        Some(signals) => {
            for signal in signals {
                // SAFETY: sigaddset(3) writes within the sigset_t it is given, and checks the number.
                unsafe { libc::sigaddset(&mut set, signal.number()) };
            }
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;

    #[test]
    fn events_carry_their_token_until_removed() {
        let (read, write) = fd::pipe().unwrap();
        let poller = Poller::new().unwrap();
        let mut events = Vec::new();
        poller.add(&read, 7, Interest::READ).unwrap();
        poller.wait(Some(Duration::ZERO), &mut events).unwrap();
        assert_eq!(events, []);
        fd::write_all(&write, b"x").unwrap();
        poller.wait(None, &mut events).unwrap();
        let ready = Event {
            token: 7,
            readable: true,
            writable: false,
            hung_up: false,
        };
        assert_eq!(events, [ready]);
        drop(write);
        poller.modify(&read, 8, Interest::default()).unwrap();
        poller.wait(None, &mut events).unwrap();
        assert_eq!(
            events,
            [Event {
                token: 8,
                readable: false,
                writable: false,
                hung_up: true
            }]
        );
        poller.remove(&read).unwrap();
        poller.wait(Some(Duration::ZERO), &mut events).unwrap();
        assert_eq!(events, []);
    }

    #[test]
    fn a_blocked_signal_is_read() {
        // A thread has a mask of its own: the signal is sent to this one only.
        std::thread::spawn(|| {
            let winch = types::Signal::WINCH;
            let signals = Signals::take(Some(&[winch]), true).unwrap();
            assert_eq!(signals.next().unwrap(), None);
            // SAFETY: raise(3) sends to the calling thread, where the signal is blocked.
            assert_eq!(unsafe { libc::raise(winch.number()) }, 0);
            assert_eq!(signals.next().unwrap(), Some(winch));
        })
        .join()
        .unwrap();
    }
}
