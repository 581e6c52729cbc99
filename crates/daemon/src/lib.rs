//! `brigd`: the composition root. Configuration, sockets, HTTP, one handler file per resource,
//! shutdown.
//!
//! Decides nothing about containers: a handler decodes, makes one call of `engine`, and encodes.
//! Holds no container's life: killed at any moment, it leaves them running.
//!
//! Boundary: [`main`].

mod accept;
mod access;
mod app;
mod busy;
mod clock;
mod config;
mod filter;
mod handlers;
mod http;
mod identity;
mod log;
mod metrics;
mod notify;
mod places;
mod rest;
mod shutdown;
mod socket;
mod start;
mod telemetry;
mod upgrade;
mod upgrades;

pub use start::main;
