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
    let bare = name.strip_prefix("RLIMIT_").unwrap_or(name);
    let number = NAMES.iter().position(|known| *known == bare);
    let number = number.ok_or(Error {
        call: "setrlimit",
        errno: Errno::INVAL,
    })?;
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
