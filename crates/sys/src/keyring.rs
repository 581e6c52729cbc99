//! The kernel's keyrings (keyrings(7)), as far as a container needs one of its own.
#![allow(unsafe_code, reason = "keyctl(2) has no safe wrapper")]

use std::ffi::CStr;

use crate::error::{Errno, Error, Result, check};

const JOIN_SESSION_KEYRING: libc::c_ulong = 1;
const SETPERM: libc::c_ulong = 5;

/// `KEY_POS_ALL | KEY_USR_VIEW | KEY_USR_READ | KEY_USR_SEARCH` of linux/key.h: everything for who
/// possesses the keyring, and for its user to find it.
const FOUND_BY_USER: libc::c_ulong = 0x3f0b_0000;

/// Leaves the session keyring for the one of this name, which is made if the caller can find none.
/// Whether the kernel has keyrings at all, and lets this process use them.
pub fn join_session(name: &CStr) -> Result<bool> {
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING reads a NUL-terminated string, which `name` is, and
    // writes no memory.
    let answer =
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr(), 0, 0) };
    let serial = match check("keyctl", answer) {
        // None in this kernel, or forbidden by the filter of an outer container.
        Err(Error {
            errno: Errno::NOSYS | Errno::PERM,
            ..
        }) => return Ok(false),
        answer => answer?,
    };
    // Its user may search it: a process that joins by name later finds it so.
    // SAFETY: KEYCTL_SETPERM takes two numbers and touches no memory.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, serial, FOUND_BY_USER, 0) };
    check("keyctl", answer).map(|_| true)
}
