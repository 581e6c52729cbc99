//! Processes by descriptor (pidfd_open(2)): a pid is reused, a descriptor never.
#![allow(
    unsafe_code,
    reason = "pidfd_send_signal(2) with real-time signals has no safe wrapper"
)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};

use crate::error::{Errno, Error, Named, Result, check, retry};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called exit(2) with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// The signal, if one killed it.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Code(_) => None,
            Self::Signal(signal) => Some(signal),
        }
    }

    /// As a shell tells it: the code, or 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// A descriptor of the process with this pid.
pub fn open(pid: i32) -> Result<OwnedFd> {
    rustix::process::pidfd_open(raw_pid(pid)?, PidfdFlags::empty()).named("pidfd_open")
}

/// Sends a signal.
pub fn send_signal(pidfd: impl AsFd, signal: types::Signal) -> Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the siginfo pointer may be null by pidfd_send_signal(2), and nothing else is read
    // from memory.
    let answer =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal.number(), none, 0) };
    check("pidfd_send_signal", answer).map(drop)
}

/// Waits for a child to end and reaps it.
pub fn wait(pidfd: impl AsFd) -> Result<Exit> {
    let fd = pidfd.as_fd();
    let status = retry(|| rustix::process::waitid(WaitId::PidFd(fd), WaitIdOptions::EXITED));
    status.named("waitid")?.and_then(exit).ok_or(Error {
        call: "waitid",
        errno: Errno::CHILD,
    })
}

/// Reaps a child if it has ended.
pub fn try_wait(pidfd: impl AsFd) -> Result<Option<Exit>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let fd = pidfd.as_fd();
    let status = retry(|| rustix::process::waitid(WaitId::PidFd(fd), options)).named("waitid")?;
    Ok(status.and_then(exit))
}

/// Whether the process is the caller's child, ended or not, and not reaped (waitid(2), ECHILD).
pub fn is_child(pidfd: impl AsFd) -> Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let fd = pidfd.as_fd();
    match retry(|| rustix::process::waitid(WaitId::PidFd(fd), options)) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::CHILD) => Ok(false),
        Err(errno) => Err(errno).named("waitid"),
    }
}

/// Waits until the process has ended, child or not, at most this long; whether it has. Reaps
/// nothing. A limit beyond what the clock can count is none.
pub fn ended_within(pidfd: impl AsFd, limit: Duration) -> Result<bool> {
    crate::event::readable_within(pidfd, limit)
}

/// A copy of the process' descriptor of this number, pidfd_getfd(2). Whoever may trace it may have it.
pub fn descriptor(pidfd: impl AsFd, number: i32) -> Result<OwnedFd> {
    let flags = rustix::process::PidfdGetfdFlags::empty();
    rustix::process::pidfd_getfd(pidfd, number, flags).named("pidfd_getfd")
}

fn exit(status: WaitIdStatus) -> Option<Exit> {
    status
        .exit_status()
        .map(Exit::Code)
        .or_else(|| status.terminating_signal().map(Exit::Signal))
}

fn raw_pid(pid: i32) -> Result<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid)
        .filter(|_| pid > 0)
        .ok_or(Error {
            call: "pidfd_open",
            errno: Errno::SRCH,
        })
}
