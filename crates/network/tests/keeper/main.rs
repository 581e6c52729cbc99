//! The keeper as a process, on hosts that are network namespaces: each test's thread is in one of its
//! own, and so is what it starts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod host;
mod names;
mod ports;
mod rules;
mod survive;
mod upstream;
