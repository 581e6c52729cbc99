//! The allocator's habits (mallopt(3)).
#![allow(unsafe_code, reason = "mallopt(3) has no safe wrapper")]

/// Lets malloc keep at most so many pools, whatever the number of threads. Without glibc there is
/// nothing to limit.
pub fn limit_arenas(count: usize) {
    #[cfg(target_env = "gnu")]
    if let Ok(count) = libc::c_int::try_from(count) {
        // SAFETY: mallopt takes two integers and touches the allocator's own settings only; M_ARENA_MAX
        // may be set at any time.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, count) };
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}
