//! `brig-shim DIR`: keeps one container alive, with descriptor 3 as its first connection.
//!
//! ```text
//!  connections ─► calls ─► Server ─► backend ─► runtime, or another OCI runtime's command
//!                            │
//!                            ├─► Session of the container ─► log, attached clients
//!                            └─► Session of each exec     ─► its client
//! ```
//!
//! One thread, one epoll set. What it does not hold is memory: buffers exist while bytes are in them.

mod attached;
mod backend;
mod calls;
mod detach;
mod exit_record;
mod failure;
mod frame;
mod joiner;
mod server;
mod session;
mod source;
mod streams;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use shim::protocol::{self, Launch, Reply};
use sys::{event, socket, spawn};

use crate::failure::Failure;
use crate::server::Server;

/// Where the daemon put the first connection.
const FIRST: i32 = 3;

/// musl's own gives every other page back to the kernel at once and asks for it again: a third of all
/// system calls until the container runs.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return ExitCode::from(2);
    };
    let words = dir.join(protocol::LAST_WORDS);
    let on_panic = words.clone();
    std::panic::set_hook(Box::new(move |info| {
        leave_word(&on_panic, &info.to_string())
    }));
    // Only looks: nothing depends on it.
    let _ = spawn::set_own_name(c"brig-shim");
    match keep(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            leave_word(&words, &failure.message);
            ExitCode::FAILURE
        }
    }
}

/// Nobody reads our standard error, so what went wrong is left where the daemon looks.
fn leave_word(path: &Path, text: &str) {
    // If even that fails, the daemon still learns of our death from the kernel.
    let _ = sys::file::replace_unsynced(path, format!("{text}\n").as_bytes(), 0o600);
}

fn keep(dir: &Path) -> Result<(), Failure> {
    let first = spawn::inherited(FIRST).map_err(Failure::of("take the first connection"))?;
    let Some(message) = socket::receive(&first).map_err(Failure::of("receive what to launch"))?
    else {
        // The daemon died before it said anything: there is nothing to keep.
        return Ok(());
    };
    match prepare(dir, &message.bytes) {
        Ok(server) => server.run(first),
        Err(failure) => refuse(&first, failure),
    }
}

fn prepare(dir: &Path, launch: &[u8]) -> Result<Server, Failure> {
    let launch: Launch = protocol::decode(launch).map_err(Failure::of("read what to launch"))?;
    // A daemon, a terminal or an operator's signal to the whole group must not end a container.
    for signal in [
        types::Signal::HUP,
        types::Signal::INT,
        types::Signal::TERM,
        PIPE,
    ] {
        event::ignore(signal).map_err(Failure::of("ignore signals"))?;
    }
    sys::process::set_child_subreaper(true).map_err(Failure::of("become a subreaper"))?;
    Server::new(dir, launch)
}

const PIPE: types::Signal = types::Signal::PIPE;

/// Answers the first call with why there is no container, whatever it asks.
fn refuse(first: &OwnedFd, failure: Failure) -> Result<(), Failure> {
    if socket::receive(first).is_ok_and(|call| call.is_some()) {
        let reply = protocol::encode(&Reply::from(failure));
        socket::send(first, &reply, &[]).map_err(Failure::of("answer the first call"))?;
    }
    Ok(())
}
