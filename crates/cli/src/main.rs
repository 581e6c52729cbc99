//! The `brig` command.

use std::process::ExitCode;

/// Programs this short-lived are mostly their allocator: musl's gives every other page back to the
/// kernel at once and asks for it again, which is a third of their system calls.
#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator::new();

/// What the words of a command line take until they are understood.
const HEAP: usize = 384 << 10;
const STACK: usize = 160 << 10;

fn main() -> ExitCode {
    sys::memory::populate_stack(STACK);
    sys::memory::populate_heap(HEAP);
    cli::run(std::env::args_os().skip(1))
}
