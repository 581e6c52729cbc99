//! The allocator's habits (mallopt(3), malloc_trim(3)).
#![allow(unsafe_code, reason = "the allocator's own calls have no safe wrapper")]

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

/// Gives memory that is free back to the kernel, which malloc else keeps for the next need. For after
/// what needed much and seldom happens. Without glibc there is nothing to do.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number of bytes to keep and only touches pages that nobody uses; it
    // takes the allocator's locks like malloc itself.
    unsafe {
        libc::malloc_trim(0);
    }
}
