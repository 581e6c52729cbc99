//! `run`: create and start in one, and wait for the end unless told otherwise.

use std::os::fd::OwnedFd;

use runtime::{Container, Created};

use super::create::{Bundle, Making, record};
use super::{ID, flags, trace};
use crate::failure::Failure;
use crate::foreground::{Foreground, take_signals};
use crate::global::Global;
use crate::notify::{Bound, Notify};
use crate::state_file::Place;
use crate::words::{Flag, Verb, Words};
use crate::{Outcome, console};

pub(super) const VERB: Verb = Verb {
    name: "run",
    usage: ID,
    about: "make a container and run its command",
    flags: &[
        flags::BUNDLE,
        flags::CONSOLE_SOCKET,
        flags::PIDFD_SOCKET,
        flags::DETACH,
        Flag::switch("keep", "keep the state when the container ends"),
        flags::PID_FILE,
        flags::NO_SUBREAPER,
        flags::NO_PIVOT,
        flags::NO_NEW_KEYRING,
        flags::PRESERVE_FDS,
    ],
    arguments: (1, 1),
    interleaved: true,
    enters: true,
    run,
};

/// What was typed besides what `create` takes.
struct Running<'a> {
    making: Making<'a>,
    detach: bool,
    keep: bool,
    /// Whether to take in the orphans of a container without a pid namespace of its own; in one they
    /// are its first process'.
    subreaper: bool,
}

fn run(global: &Global, words: &Words) -> Outcome {
    let running = Running {
        making: Making::read(words)?,
        detach: words.has("detach"),
        keep: words.has("keep"),
        subreaper: !words.has("no-subreaper"),
    };
    let making = &running.making;
    let place = Place::of(&global.root, making.id)?;
    let mut bundle = Bundle::open(making.bundle)?;
    console::check(
        running.detach,
        bundle.wants_terminal(),
        making.console_socket,
    )?;
    place.claim()?;
    let ran = bundle
        .adapt(making, &place)
        .and_then(|notify| run_in(global, &place, bundle, &running, notify));
    ran.inspect_err(|_| {
        // The first error is the one that says why.
        let _ = place.release();
    })
}

fn run_in(
    global: &Global,
    place: &Place,
    mut bundle: Bundle,
    running: &Running<'_>,
    notify: Option<Notify>,
) -> Outcome {
    let subreaper = running.subreaper && !bundle.has_pid_namespace();
    let signals = if running.detach {
        None
    } else {
        Some(take_signals(subreaper)?)
    };
    let notify = notify.map(Notify::bind).transpose()?;
    let created = bundle.create(global, place, &running.making, None)?;
    trace(&global.log, created.process.pid, "runs its command");
    let (created, terminal) = hand_out_or_destroy(created, &running.making)?;
    let started = created.start();
    let container = started.map_err(|error| Failure::of_init("run", error))?;
    let record = record(&running.making, bundle, container.saved(), true);
    let container = match place.write(&record) {
        Ok(()) => container,
        // Nobody could find it again.
        Err(failure) => {
            container.kill_and_destroy()?;
            return Err(failure);
        }
    };
    let Some(signals) = signals else {
        return detach(&container, notify);
    };
    let code = Foreground {
        pidfd: container.pidfd(),
        signals,
        terminal,
        notify,
        among_orphans: subreaper.then(|| container.process().pid),
    }
    .wait()?;
    end(place, container, running.keep)?;
    Ok(code)
}

/// A service manager that waits for word waits for this program, too.
fn detach(container: &Container, notify: Option<Bound>) -> Outcome {
    if let Some(notify) = notify {
        notify.wait(container.pidfd(), container.process().pid)?;
    }
    Ok(0)
}

/// Hands out what the caller wants; what is left of the terminal is for the foreground.
fn hand_out_or_destroy(
    mut created: Created,
    making: &Making<'_>,
) -> Result<(Created, Option<OwnedFd>), Failure> {
    match making.hand_out(&created) {
        Ok(()) => {
            let terminal = created.terminal.take();
            let kept = terminal.filter(|_| making.console_socket.is_none());
            Ok((created, kept))
        }
        Err(failure) => {
            created.destroy()?;
            Err(failure)
        }
    }
}

/// With `--keep` everything is left for `delete`.
pub(super) fn end(place: &Place, container: Container, keep: bool) -> Result<(), Failure> {
    if keep {
        return Ok(());
    }
    container.destroy()?;
    place.release()
}
