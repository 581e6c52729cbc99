//! Keeps one container alive without the daemon: standard streams, log, exit status, exec sessions.
//!
//! The library is the protocol, its client, and the log format; `brig-shim` is the server, one
//! single-threaded process a container, with an epoll loop and no async runtime; `brig-init` is the
//! process 1 of `--init`. Knows `runtime`; knows nothing of images, records or Docker's HTTP.
//!
//! Boundary types: [`Program`], [`Launch`], [`Shim`], [`Watch`], [`Call`], [`Reply`], [`Notice`], [`log`].

pub mod client;
mod filter;
pub mod log;
pub mod protocol;

pub use client::{Asked, Calls, Error, Found, Program, Shim, Watch, launch};
pub use filter::Filters;
pub use protocol::{
    AttachOptions, Call, ExitRecord, Filter, HealthPlan, Launch, Notice, Reply, State, Streams,
    steps,
};
