//! The engine with the real shim, runtime and store, on the real kernel.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::explicit_write,
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    reason = "tests: a failed expectation is a panic, a skip is said aloud"
)]

mod common;
mod exec;
mod faults;
mod lifecycle;
mod restart;
mod together;
