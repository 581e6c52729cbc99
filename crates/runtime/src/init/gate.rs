//! Where the process waits for its maker, and what runs there.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::event::Signals;
use types::{ErrorKind, Signal};

use super::{Init, Launch, Outcome, streams};
use crate::hooks;
use crate::protocol::{During, Failure, FromInit, InitEnd, ToInit};

/// After all namespaces and mounts exist and before the host's root goes: that is the moment the
/// specification promises to these hooks.
pub(crate) fn maker_hooks(init: &mut Init<'_>) -> Outcome {
    if !init.maker_hooks {
        return Ok(());
    }
    let channel = &init.launch.channel;
    channel
        .send(&FromInit::AtHooks, &[])
        .during(|| "ask for the hooks".to_owned())?;
    expect(channel, ToInit::Continue)
}

/// The same moment, but in the container's namespaces: their programs are the host's files.
pub(crate) fn create_hooks(init: &mut Init<'_>) -> Outcome {
    // Where it can be gone to: the user namespace may see less.
    let shown = init.plan.shown_at.as_deref();
    let shown = shown.filter(|path| sys::fd::open_dir(path).is_ok());
    let dir = shown.or(Some(init.launch.hook_state.bundle));
    let launch = &init.launch;
    run(
        init.create_hooks,
        "createContainer",
        launch,
        "creating",
        (dir, &[]),
    )
}

/// Before anybody is told that it waits: who waits long must be free to go, and the first process of
/// a pid namespace is spared what it has not asked for. With a maker that waits too, that one is
/// signalled.
pub(crate) fn heed_signals(init: &mut Init<'_>) -> Outcome {
    if init.gate.is_none() {
        return Ok(());
    }
    let ends = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
    let signals = Signals::take(Some(&ends), false).during(|| "heed signals".to_owned())?;
    init.signals = Some(signals);
    Ok(())
}

/// Everything is made: the maker may tell the world, and fill the network namespace.
pub(crate) fn ready(init: &mut Init<'_>) -> Outcome {
    let master = init
        .launch
        .terminal
        .as_ref()
        .map(|terminal| terminal.master.as_fd());
    let mounts = init.mounts.as_ref().map(AsFd::as_fd);
    let fds: Vec<_> = mounts.into_iter().chain(master).collect();
    let ids = std::mem::take(&mut init.mount_ids);
    init.launch
        .channel
        .send(&FromInit::Mounted { ids }, &fds)
        .during(|| "say that all is ready".to_owned())
}

/// The last step that only the first process has: from here to the command nothing waits.
pub(crate) fn wait(init: &mut Init<'_>) -> Outcome {
    if let Some(gate) = init.gate.take() {
        // It may wait for long, seen by others: nothing of the host's stays open that long.
        let signals = init.signals.take();
        streams::close_unneeded(&init.launch, &gate, signals.as_ref())?;
        let connection = loop {
            wait_for_start(&gate, signals.as_ref())?;
            let accepted = sys::socket::accept(&gate, false);
            if let Some(connection) = accepted.during(|| "open the gate".to_owned())? {
                break connection;
            }
        };
        init.launch.channel = InitEnd::from_fd(connection);
    }
    expect(&init.launch.channel, ToInit::Start)
}

/// Ends where a signal says so.
fn wait_for_start(gate: &OwnedFd, signals: Option<&Signals>) -> Outcome {
    let action = || "wait at the gate".to_owned();
    let Some(signals) = signals else {
        return sys::process::wait_readable(gate).during(action);
    };
    if sys::process::wait_readable_of(gate, signals).during(action)? {
        return Ok(());
    }
    let signal = signals.next().during(action)?;
    // As a shell has it.
    sys::process::exit_now(128 + signal.map_or(0, Signal::number))
}

/// Waits for the maker's word. Without a maker there is no container.
pub(crate) fn expect(channel: &InitEnd, expected: ToInit) -> Outcome {
    receive(channel, expected).map(drop)
}

/// The same, with what comes along.
pub(crate) fn receive(channel: &InitEnd, expected: ToInit) -> Result<Vec<OwnedFd>, Failure> {
    let received = channel
        .receive()
        .during(|| "hear from the maker".to_owned())?;
    match received {
        Some((message, fds)) if message == expected => Ok(fds),
        Some((message, _)) => {
            let message = format!("expected {expected:?}, got {message:?}");
            Err(Failure::new(ErrorKind::Internal, message))
        }
        None => sys::process::exit_now(1),
    }
}

/// As the command: in the container, from its files, with its rights and behind its filter, right
/// before it.
pub(crate) fn start_hooks(launch: &mut Launch<'_>) -> Outcome {
    if launch.start_hooks.is_empty() {
        return Ok(());
    }
    // What it gets if it names no environment, by the habit of runtimes.
    let env = launch.process.env.entries.iter().chain(&launch.home);
    let env: Vec<_> = env.cloned().collect();
    let place = (None, env.as_slice());
    run(
        launch.start_hooks,
        "startContainer",
        launch,
        "created",
        place,
    )
}

fn run(
    hooks: &[oci_spec::runtime::Hook],
    point: &'static str,
    launch: &Launch<'_>,
    status: &'static str,
    (dir, env): (Option<&Path>, &[String]),
) -> Outcome {
    if hooks.is_empty() {
        return Ok(());
    }
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let state = launch.hook_state.json(status, Some(pid));
    hooks::run(hooks, point, &state, (dir, env))
        .map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))
}
