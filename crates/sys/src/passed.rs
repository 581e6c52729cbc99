//! Descriptors that a program passes on to itself when it is about to execute itself once more.
#![allow(unsafe_code, reason = "a descriptor is taken over by its number")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::FdFlags;

use crate::error::{Named, Result};

/// One that is passed on under a name.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The variable of the environment that tells of it.
    variable: &'static str,
    taken: AtomicBool,
}

impl Passed {
    pub(crate) const fn new(variable: &'static str) -> Self {
        let taken = AtomicBool::new(false);
        Self { variable, taken }
    }

    /// The variable, as `NAME=value`, for the environment that the program is executed in; a number
    /// goes along. From here on the descriptor is inherited by everything that this process executes:
    /// nothing else may come before.
    pub(crate) fn pass_on(&self, fd: OwnedFd, number: i32) -> Result<String> {
        rustix::io::fcntl_setfd(&fd, FdFlags::empty()).named("fcntl")?;
        let (name, own) = (self.variable, std::process::id());
        Ok(format!("{name}={own}:{}:{number}", fd.into_raw_fd()))
    }

    /// What this process has passed on to itself, once. A variable for another process, which has been
    /// inherited, tells of nothing.
    pub(crate) fn take(&self) -> Option<(OwnedFd, i32)> {
        let text = std::env::var(self.variable).ok()?;
        let mut parts = text.split(':').map(str::parse::<i32>);
        let mut next = || parts.next()?.ok();
        let (own, fd, number) = (next()?, next()?, next()?);
        let is_own = u32::try_from(own) == Ok(std::process::id());
        if !is_own || fd <= 2 || self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `pass_on` has named this descriptor to this very process, for nobody else, and it is
        // taken once. Who sets the variable by hand names a descriptor of his own.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC).ok()?;
        Some((fd, number))
    }
}
