//! The client against a real registry, and against servers that break every rule.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation of a test is a panic"
)]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

mod auth;
mod hostile;
mod mirrors;
mod pull;
mod push;
mod search;
mod signatures;
mod skopeo;
mod specification;
mod support;
mod tls;
