//! `brig-net DIR`: keeps what networks need while the daemon is away.
//!
//! ```text
//!  connections ─► calls ─► Server ─► Rules      the nftables table, put back when somebody takes it away
//!                            │  ───► Ports      reserved ports, and what is passed on through them
//!                            │  ───► Resolving  the sockets of resolvers, and of who they ask
//!                            └─────► State      what to resume from
//! ```
//!
//! One thread, one epoll set, no container known but by its id.

mod calls;
mod failure;
mod handover;
mod host;
mod passing;
mod ports;
mod resolving;
mod rules;
mod server;
mod state;
mod streams;
mod token;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sys::{event, spawn};
use types::Signal;

use crate::failure::Failure;
use crate::server::Server;

/// Where the daemon put the first connection, if it was the daemon who started this.
const FIRST: i32 = 3;

/// Each container that is asked for has two descriptors here, each connection passed on up to six.
const DESCRIPTORS: u64 = 1 << 20;

/// musl's own gives every other page back to the kernel at once and asks for it again.
#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator::new();

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        // Who does not read it knows it already.
        let _ = writeln!(std::io::stderr(), "usage: brig-net DIRECTORY");
        return ExitCode::FAILURE;
    };
    let log = dir.clone();
    std::panic::set_hook(Box::new(move |info| state::log(&log, &info.to_string())));
    // Only looks: nothing depends on it.
    let _ = spawn::set_own_name(c"brig-net");
    match keep(dir.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            state::log(&dir, &failure.message);
            ExitCode::FAILURE
        }
    }
}

fn keep(dir: PathBuf) -> Result<(), Failure> {
    let first = spawn::inherited(FIRST).ok();
    // A daemon, a terminal or an operator's signal to the whole group must not take containers off
    // the net.
    for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE] {
        event::ignore(signal).map_err(Failure::of("ignore signals"))?;
    }
    // With fewer it serves fewer.
    let _ = sys::rlimit::raise("NOFILE", DESCRIPTORS);
    let taken = handover::take_over(&dir)?;
    let lock = sys::file::Lock::take(&dir.join(network::keeper::protocol::LOCK));
    let lock = lock.map_err(Failure::of(format!("lock {dir:?}")))?;
    let lock = lock.ok_or_else(|| {
        Failure::conflict(format!(
            "another keeper has {dir:?} and does not hand it over"
        ))
    })?;
    Server::begin(dir, lock, taken)?.run(first)
}
