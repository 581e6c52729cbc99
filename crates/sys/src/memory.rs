//! The allocator's habits (mallopt(3), malloc_trim(3)), and memory that is had before it is touched.
#![allow(unsafe_code, reason = "the allocator's own calls have no safe wrapper")]

use std::os::unix::ffi::OsStrExt;

use crate::error::{Named, Result};

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

/// Lets go of the pages of this program's code, which are the file's: what is executed again is mapped again, from the
/// page cache. For who has nothing to do for a while. Returns how many bytes there are of it.
///
/// # Errors
/// Where /proc/self cannot be read.
pub fn release_code() -> Result<usize> {
    let program = std::fs::read_link("/proc/self/exe").named("readlink")?;
    let maps = std::fs::read("/proc/self/maps").named("read")?;
    let mut released = 0;
    for (first, length) in code_of(&maps, program.as_os_str().as_bytes()) {
        // SAFETY: a private mapping of a file that may be executed and not written to holds nothing but what is in the
        // file: pages that are let go of come back as they were (madvise(2), MADV_DONTNEED). The file of a program that
        // runs cannot be written to (ETXTBSY).
        unsafe {
            libc::madvise(
                std::ptr::without_provenance_mut(first),
                length,
                libc::MADV_DONTNEED,
            )
        };
        released += length;
    }
    Ok(released)
}

/// Where a program's code is in a table of mappings (proc_pid_maps(5)), with lengths in bytes. What is not executable may
/// have been relocated: it is not what is in the file any more.
fn code_of<'a>(maps: &'a [u8], program: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let lines = maps.split(|byte| *byte == b'\n');
    lines.filter_map(move |line| {
        let line = line.strip_suffix(program)?;
        let mut words = line.split(|byte| *byte == b' ');
        let (range, rights) = (words.next()?, words.next()?);
        let (first, end) = std::str::from_utf8(range).ok()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        let (first, end) = (number(first)?, number(end)?);
        (rights == b"r-xp").then_some((first, end.checked_sub(first)?))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_can_be_executed_and_not_written() {
        let maps = b"1000-3000 r--p 00000000 fe:00 1   /bin/a\n\
            3000-8000 r-xp 00002000 fe:00 1   /bin/a\n\
            8000-9000 r--p 00007000 fe:00 1   /bin/a\n\
            9000-a000 rwxp 00007000 fe:00 1   /bin/a\n\
            b000-c000 r-xp 00000000 fe:00 2   /lib/b\n\
            d000-e000 r-xp 00000000 00:00 0   [vdso]\n";
        let found: Vec<_> = code_of(maps, b"/bin/a").collect();
        assert_eq!(found, [(0x3000, 0x5000)]);
    }

    #[test]
    fn a_program_goes_on_without_the_pages_of_its_code() {
        assert!(release_code().unwrap() > 4096);
        let sum: u64 = (1..=10).map(std::hint::black_box).sum();
        assert_eq!(sum, 55);
    }
}
