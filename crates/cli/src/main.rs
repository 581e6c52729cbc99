//! The `brig` command.

use std::process::ExitCode;

/// Programs this short-lived are mostly their allocator: musl's gives every other page back to the
/// kernel at once and asks for it again, which is a third of their system calls.
#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator::new();

/// What the hundred flags of `run` and `create` take until they are understood: a page at a time costs
/// twice as much. Other commands need a tenth of it.
const FLAGS: usize = 384 << 10;

fn main() -> ExitCode {
    // The verb may come after flags. Whoever has such a word elsewhere has a little more memory.
    if std::env::args_os().any(|word| word == "run" || word == "create") {
        sys::memory::populate_heap(FLAGS);
    }
    cli::run(std::env::args_os().skip(1))
}
