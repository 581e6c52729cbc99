//! Networks on a machine of its own: a LAN with a router, and a client outside.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

mod firewall;
mod flags;
mod forwarding;
mod kinds;
mod names;
mod ports;
mod support;
