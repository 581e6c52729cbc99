//! Resource limits (getrlimit(2)).
#![allow(unsafe_code, reason = "prlimit(2) by number has no safe wrapper")]

use crate::error::{Errno, Error, Result, check};

/// The names without `RLIMIT_`; the place in the table is the number on x86, arm and riscv.
pub const NAMES: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// Sets a limit of the calling process. `u64::MAX` means none.
///
/// `name` as in the table, with or without `RLIMIT_`; EINVAL if there is none of it.
pub fn set(name: &str, soft: u64, hard: u64) -> Result<()> {
    let number = number(name)?;
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let nothing = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: prlimit64(2) reads one `struct rlimit64`, which lives here, and writes none because
    // the old limit is not asked for.
    let answer =
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, number, &raw const limit, nothing) };
    check("setrlimit", answer).map(drop)
}

fn number(name: &str) -> Result<usize> {
    let bare = name.strip_prefix("RLIMIT_").unwrap_or(name);
    let number = NAMES.iter().position(|known| *known == bare);
    number.ok_or(Error {
        call: "setrlimit",
        errno: Errno::INVAL,
    })
}

/// Raises the soft limit of the calling process as far as the hard one lets it, at most to `wanted`.
/// Never lowers it.
pub fn raise(name: &str, wanted: u64) -> Result<()> {
    let limit = get(number(name)?)?;
    let soft = wanted.min(limit.rlim_max);
    if soft <= limit.rlim_cur {
        return Ok(());
    }
    set(name, soft, limit.rlim_max)
}

/// Raises the hard limit of the calling process to `wanted`, if it is lower, and leaves the soft one as
/// it is: for processes to come that may not do so themselves.
pub fn allow(name: &str, wanted: u64) -> Result<()> {
    let limit = get(number(name)?)?;
    if wanted <= limit.rlim_max {
        return Ok(());
    }
    set(name, limit.rlim_cur, wanted)
}

fn get(number: usize) -> Result<libc::rlimit64> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let nothing = std::ptr::null::<libc::rlimit64>();
    // SAFETY: prlimit64(2) writes one `struct rlimit64`, which lives here, and reads none because no
    // new limit is given.
    let answer = unsafe { libc::syscall(libc::SYS_prlimit64, 0, number, nothing, &raw mut limit) };
    check("getrlimit", answer).map(|_| limit)
}
