//! The `brig` command.

use std::process::ExitCode;

/// Programs this short-lived are mostly their allocator: musl's gives every other page back to the
/// kernel at once and asks for it again, which is a third of their system calls.
#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator::new();

fn main() -> ExitCode {
    cli::run(std::env::args_os().skip(1))
}
