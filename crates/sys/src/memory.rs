//! The allocator's habits (mallopt(3), malloc_trim(3)), and memory that is had before it is touched.
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

/// Has `size` bytes of the heap at once, for who is sure to need most of them: what is allocated next
/// lies there, as far as the allocator keeps together what it was given back.
pub fn populate_heap(size: usize) {
    const PAGE: usize = 4096;
    let mut space = Vec::<u8>::with_capacity(size);
    let first = space.as_mut_ptr();
    let inside = first.addr().next_multiple_of(PAGE) - first.addr();
    let whole = size.saturating_sub(inside) & !(PAGE - 1);
    // SAFETY: whole pages of the vector's own memory; MADV_POPULATE_WRITE changes no content, it has the
    // pages made that a write would.
    unsafe {
        libc::madvise(
            first.wrapping_add(inside).cast(),
            whole,
            libc::MADV_POPULATE_WRITE,
        )
    };
}

/// Has the next `size` bytes of the stack at once, instead of a page at each first touch: half the cost,
/// for who is sure to need most of them. Without a kernel that does so (Linux 5.14) nothing happens.
pub fn populate_stack(size: usize) {
    const PAGE: usize = 4096;
    let here = 0_u8;
    let top = std::ptr::from_ref(&here).addr() & !(PAGE - 1);
    let size = size & !(PAGE - 1);
    let first = std::ptr::from_ref(&here).with_addr(top.saturating_sub(size));
    // SAFETY: MADV_POPULATE_WRITE changes no content: it has the pages made that a write would. Below
    // what the kernel keeps for the stack there is no mapping, where it fails.
    unsafe { libc::madvise(first.cast_mut().cast(), size, libc::MADV_POPULATE_WRITE) };
}
