//! The real `brig-shim` over a real container of a busybox directory: what its clients, its daemon
//! and its log see.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed expectation of a test is a panic, and its files need not survive a crash"
)]

mod attach;
mod exec;
mod foreign;
mod guest;
mod init;
mod leftovers;
mod log;
mod run;
mod spare;
mod survive;
mod terminal;
