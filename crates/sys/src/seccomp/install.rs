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

impl Flags {
    /// The names that the OCI specification uses.
    const NAMES: [(Self, &'static str); 3] = [
        (Self::LOG, "SECCOMP_FILTER_FLAG_LOG"),
        (Self::SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
        (
            Self::WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ),
    ];

    /// Says which of them the kernel does not know. It asks the kernel, which looks at the flags
    /// before it looks for a program.
    pub fn check(self) -> Result<(), Error> {
        let unknown = |(flag, _): &&(Self, &str)| self.contains(*flag) && !flag.known();
        match Self::NAMES.iter().find(unknown) {
            Some((_, name)) => Err(Error::Flag(name)),
            None => Ok(()),
        }
    }

    fn known(self) -> bool {
        let needs_listener = self.contains(Self::WAIT_KILLABLE_RECV);
        let listener = if needs_listener { NEW_LISTENER } else { 0 };
        // SAFETY: the null pointer is never read: the kernel fails with EFAULT on it if it knows the
        // flags, with EINVAL before it looks at it if it does not.
        let failed = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
                libc::c_ulong::from(self.bits() | listener),
                std::ptr::null::<FilterProgram>(),
            )
        };
        failed == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
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
    /// Its instructions, as the kernel has them in memory; none of one that asks somebody, whose installation
    /// takes more than they say.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if self.has_listener {
            return None;
        }
        let bytes = self.instructions.iter().flat_map(|insn| {
            let [a, b] = insn.code.to_ne_bytes();
            let [c, d, e, f] = insn.value.to_ne_bytes();
            [a, b, insn.if_true, insn.if_false, c, d, e, f]
        });
        Some(bytes.collect())
    }

    /// A program of those bytes; none where they are no instructions. Whether the kernel takes them is told when it
    /// is installed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, []) = bytes.as_chunks::<8>() else {
            return None;
        };
        let instruction = |[a, b, if_true, if_false, value @ ..]: &[u8; 8]| Insn {
            code: u16::from_ne_bytes([*a, *b]),
            if_true: *if_true,
            if_false: *if_false,
            value: u32::from_ne_bytes(*value),
        };
        let instructions: Vec<Insn> = chunks.iter().map(instruction).collect();
        (!instructions.is_empty()).then_some(Self {
            instructions,
            has_listener: false,
        })
    }

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
    /// that a supervisor reads; [`Flags::WAIT_KILLABLE_RECV`] is about nothing without one.
    /// Allocates nothing.
    pub fn install(&self, flags: Flags) -> Result<Option<OwnedFd>, Error> {
        let too_long = |_| Error::TooLong(self.len());
        let program = FilterProgram {
            length: libc::c_ushort::try_from(self.len()).map_err(too_long)?,
            instructions: self.instructions.as_ptr(),
        };
        let flags = if self.has_listener {
            flags.bits() | NEW_LISTENER
        } else {
            (flags - Flags::WAIT_KILLABLE_RECV).bits()
        };
        // SAFETY: SECCOMP_SET_MODE_FILTER reads a `struct sock_fprog`, whose layout `FilterProgram`
        // has, and `length` instructions of the layout of `struct sock_filter` behind its pointer;
        // both outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
                libc::c_ulong::from(flags),
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
