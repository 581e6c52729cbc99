//! Sockets that a service manager opened and passed on (sd_listen_fds(3)).
#![allow(
    unsafe_code,
    reason = "descriptors that came with execve(2) have no owner yet"
)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor that is passed.
const FIRST: i32 = 3;

/// More are not believed.
const MOST: i32 = 64;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The sockets passed to this very process, closed on execve(2) from now on. Only the first call
/// gets them.
pub fn sockets() -> Vec<OwnedFd> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let for_us = number("LISTEN_PID") == Some(std::process::id());
    let count = number("LISTEN_FDS").and_then(|n| i32::try_from(n).ok());
    let count = count.filter(|n| for_us && (1..=MOST).contains(n));
    let Some(count) = count else {
        return Vec::new();
    };
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    (FIRST..FIRST + count).filter_map(take).collect()
}

fn take(number: i32) -> Option<OwnedFd> {
    // A number that is not open is not ours to own.
    std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).ok()?;
    // SAFETY: `OwnedFd` wants an open descriptor that nobody else owns. It is open (just looked at),
    // the service manager says by LISTEN_PID that it was passed to this process, and `TAKEN` lets
    // only one caller through.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(socket)
}
