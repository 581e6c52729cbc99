//! Handing a program to the kernel.
#![allow(
    unsafe_code,
    reason = "seccomp(2) has no safe wrapper and takes a program by pointer"
)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::Error;
use super::emit::Insn;

/// A filter the kernel takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub(super) instructions: Vec<Insn>,
    pub(super) has_listener: bool,
}

bitflags::bitflags! {
    /// How a filter is installed, seccomp(2). Other threads never get it: the caller has none.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Flags: u32 {
        /// All actions but allowing are logged.
        const LOG = 2;
        /// No mitigation of speculative store bypass.
        const SPEC_ALLOW = 4;
        /// A call that a supervisor handles is interrupted by fatal signals only.
        const WAIT_KILLABLE_RECV = 32;
    }
}

const NEW_LISTENER: u32 = 8;

/// `struct sock_fprog`
#[repr(C)]
struct FilterProgram {
    length: libc::c_ushort,
    instructions: *const Insn,
}

impl Program {
    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Never true of a compiled program.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Puts the calling thread and all its children to come under the filter. It must have
    /// no_new_privs or CAP_SYS_ADMIN. A program with [`super::Action::Notify`] gives the descriptor
    /// that a supervisor reads. Allocates nothing.
    pub fn install(&self, flags: Flags) -> Result<Option<OwnedFd>, Error> {
        let too_long = |_| Error::TooLong(self.len());
        let program = FilterProgram {
            length: libc::c_ushort::try_from(self.len()).map_err(too_long)?,
            instructions: self.instructions.as_ptr(),
        };
        let listener = if self.has_listener { NEW_LISTENER } else { 0 };
        // SAFETY: SECCOMP_SET_MODE_FILTER reads a `struct sock_fprog`, whose layout `FilterProgram`
        // has, and `length` instructions of the layout of `struct sock_filter` behind its pointer;
        // both outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
                libc::c_ulong::from(flags.bits() | listener),
                std::ptr::from_ref(&program),
            )
        };
        match libc::c_int::try_from(result) {
            Ok(fd) if fd > 0 && self.has_listener => {
                // SAFETY: SECCOMP_FILTER_FLAG_NEW_LISTENER makes the call return a new descriptor,
                // which nobody else owns.
                Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
            }
            Ok(0) => Ok(None),
            _ => Err(Error::Install(io::Error::last_os_error())),
        }
    }
}
