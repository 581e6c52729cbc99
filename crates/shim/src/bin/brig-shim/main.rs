//! `brig-shim DIR`: keeps one container alive, with descriptor 3 as its first connection. `brig-shim
//! spare`, filled up to the length of a directory's name, waits for one to keep.
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
mod captured;
mod detach;
mod exit_record;
mod failure;
mod frame;
mod joiner;
mod looker;
mod outside;
mod packer;
mod server;
mod session;
mod source;
mod streams;

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use runtime::{Groundwork, Network};
use shim::protocol::{self, Launch, Reply};
use sys::process::CommandLine;
use sys::{event, socket, spawn};
use types::Signal;

use crate::backend::Ahead;
use crate::failure::Failure;
use crate::server::Server;

/// Where the daemon put the first connection.
const FIRST: i32 = 3;

/// musl's own gives every other page back to the kernel at once and asks for it again: a third of all
/// system calls until the container runs.
#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator::new();

/// Where last words are left, from the moment the container's directory is known.
static LAST_WORDS: OnceLock<PathBuf> = OnceLock::new();

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| leave_word(&info.to_string())));
    // Only looks: nothing depends on it.
    let _ = spawn::set_own_name(c"brig-shim");
    if let Some(code) = outside::run_if_asked() {
        return code;
    }
    let done = match packer::asked() {
        Some(path) => packer::run(&path),
        None => keep(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            leave_word(&failure.message);
            ExitCode::FAILURE
        }
    }
}

/// Nobody reads our standard error, so what went wrong is left where the daemon looks.
fn leave_word(text: &str) {
    if let Some(path) = LAST_WORDS.get() {
        // If even that fails, the daemon still learns of our death from the kernel.
        let _ = sys::file::replace_unsynced(path, format!("{text}\n").as_bytes(), 0o600);
    }
}

fn keep() -> Result<(), Failure> {
    let first = spawn::inherited(FIRST).map_err(Failure::of("take the first connection"))?;
    settle_in()?;
    let spare = is_spare().then(Spare::make).transpose()?;
    spare.as_ref().map_or(Ok(()), |spare| spare.show(&first))?;
    let Some(message) = socket::receive(&first).map_err(Failure::of("receive what to launch"))?
    else {
        // The daemon died before it said anything: there is nothing to keep.
        return Ok(());
    };
    match prepare(&message.bytes, spare) {
        Ok(server) => server.run(first),
        Err(failure) => refuse(&first, failure),
    }
}

fn is_spare() -> bool {
    let argument = std::env::args_os().nth(1).unwrap_or_default();
    argument
        .as_encoded_bytes()
        .starts_with(protocol::SPARE.as_bytes())
}

/// What is made while nobody waits for it.
struct Spare {
    network: Network,
    groundwork: Groundwork,
    title: CommandLine,
}

impl Spare {
    /// Gives the daemon a hold on the network, which it may fill while the container is made.
    fn show(&self, first: &OwnedFd) -> Result<(), Failure> {
        let fds: &[_] = match &self.network {
            Network::Made(made) => &[made.as_fd()],
            Network::Ahead(_) => &[],
        };
        socket::send(first, b"{}", fds).map_err(Failure::of("show the network that was made"))
    }

    fn make() -> Result<Self, Failure> {
        Ok(Self {
            network: Network::make()?,
            groundwork: Groundwork::survey(),
            title: CommandLine::find().map_err(Failure::of("find the own command line"))?,
        })
    }
}

fn prepare(launch: &[u8], spare: Option<Spare>) -> Result<Server, Failure> {
    let launch: Launch = protocol::decode(launch).map_err(Failure::of("read what to launch"))?;
    // The first and only time.
    let _ = LAST_WORDS.set(launch.dir.join(protocol::LAST_WORDS));
    let ahead = spare.map_or_else(Ahead::default, |spare| {
        spare
            .title
            .set(&[OsStr::new("brig-shim"), launch.dir.as_os_str()]);
        Ahead {
            network: Some(spare.network),
            groundwork: spare.groundwork,
        }
    });
    Server::new(launch, ahead)
}

/// A daemon, a terminal or an operator's signal to the whole group must not end a container; and
/// orphans of the container are ours to reap.
fn settle_in() -> Result<(), Failure> {
    for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE] {
        event::ignore(signal).map_err(Failure::of("ignore signals"))?;
    }
    sys::process::set_child_subreaper(true).map_err(Failure::of("become a subreaper"))
}

/// Answers the first call with why there is no container, whatever it asks.
fn refuse(first: &OwnedFd, failure: Failure) -> Result<(), Failure> {
    if socket::receive(first).is_ok_and(|call| call.is_some()) {
        let reply = protocol::encode(&Reply::from(failure));
        socket::send(first, &reply, &[]).map_err(Failure::of("answer the first call"))?;
    }
    Ok(())
}
