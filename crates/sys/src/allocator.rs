//! The allocator of small programs.
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use dlmalloc::Dlmalloc;

/// dlmalloc behind a lock of one byte. Programs with a short life are mostly their allocator: musl's
/// gives every other page back to the kernel at once and asks for it again, and a mutex of the C library
/// costs as much as what it guards. Who has to wait gives its processor away: threads are few here, and
/// none holds the lock for long.
pub struct Allocator {
    held: AtomicBool,
    heap: UnsafeCell<Dlmalloc>,
}

// SAFETY: `heap` is reached in `locked` alone, by one thread at a time.
unsafe impl Sync for Allocator {}

impl std::fmt::Debug for Allocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Allocator").finish_non_exhaustive()
    }
}

impl Default for Allocator {
    fn default() -> Self {
        Self::new()
    }
}

impl Allocator {
    /// One that has asked the kernel for nothing yet: for `#[global_allocator]`.
    pub const fn new() -> Self {
        Self {
            held: AtomicBool::new(false),
            heap: UnsafeCell::new(Dlmalloc::new()),
        }
    }

    /// `work` never unwinds and never allocates by itself: it is one call of dlmalloc.
    #[inline]
    fn locked<T>(&self, work: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        while self.held.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: whoever is here holds the lock, so that this is the only reference.
        let done = work(unsafe { &mut *self.heap.get() });
        self.held.store(false, Ordering::Release);
        done
    }
}

// SAFETY: dlmalloc hands out memory that nobody else has, of the size and alignment asked for, and
// keeps to GlobalAlloc's rules about null pointers and contents; all of it is given back to the one
// heap that it came from, with the layout it was asked for with, as callers promise.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's word on the layout.
        self.locked(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's word on memory and layout.
        self.locked(|heap| unsafe { heap.free(memory, layout.size(), layout.align()) });
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's word on the layout.
        self.locked(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's word on memory, layout and size.
        self.locked(|heap| unsafe { heap.realloc(memory, layout.size(), layout.align(), size) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of several threads finds in its memory what it has written there.
    #[test]
    fn threads_do_not_get_each_others_memory() {
        static HEAP: Allocator = Allocator::new();
        let worker = |own: u8| {
            move || {
                let layout = Layout::from_size_align(64, 32).unwrap();
                for _ in 0..2000 {
                    // SAFETY: the memory is this thread's, of the size asked for, and not null: it is
                    // given back with the layout that it has by then.
                    unsafe {
                        let memory = HEAP.alloc_zeroed(layout);
                        assert!(!memory.is_null() && memory.addr().is_multiple_of(32));
                        memory.write_bytes(own, 64);
                        let grown = HEAP.realloc(memory, layout, 4096);
                        assert!((0..64).all(|place| *grown.add(place) == own));
                        HEAP.dealloc(grown, Layout::from_size_align(4096, 32).unwrap());
                    }
                }
            }
        };
        let threads: Vec<_> = (1..5).map(|own| std::thread::spawn(worker(own))).collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
