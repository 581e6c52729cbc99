//! `run`: create and start in one, and wait for the end unless told otherwise.

use runtime::{Container, Created};

use super::create::{Bundle, hand_out, record};
use crate::Outcome;
use crate::args::{Args, Run};
use crate::failure::Failure;
use crate::foreground::{Foreground, take_signals};
use crate::state_file::Place;

pub(crate) fn run(args: &Args, run: &Run) -> Outcome {
    let place = Place::of(&args.root, &run.create.id)?;
    let bundle = Bundle::open(&run.create)?;
    if run.detach && bundle.wants_terminal() && run.create.console_socket.is_none() {
        let reason = "process.terminal is set: --console-socket must say where it is to go";
        return Err(Failure::Usage(reason.to_owned()));
    }
    place.claim()?;
    run_in(&place, bundle, run).inspect_err(|_| {
        // The first error is the one that says why.
        let _ = place.release();
    })
}

fn run_in(place: &Place, bundle: Bundle, run: &Run) -> Outcome {
    let signals = if run.detach {
        None
    } else {
        Some(take_signals()?)
    };
    let created = bundle.create(&run.create, None)?;
    let (created, mut terminal) = hand_out_or_destroy(created, run)?;
    if run.create.console_socket.is_some() {
        terminal = None;
    }
    let container = created.start()?;
    let record = record(bundle.spec, container.saved(), true);
    place.write(&record)?;
    let Some(signals) = signals else { return Ok(0) };
    let code = Foreground {
        pidfd: container.pidfd(),
        signals,
        terminal,
    }
    .wait()?;
    end(place, container, run.keep)?;
    Ok(code)
}

fn hand_out_or_destroy(
    mut created: Created,
    run: &Run,
) -> Result<(Created, Option<std::os::fd::OwnedFd>), Failure> {
    let terminal = created.terminal.take();
    match hand_out(&run.create, created.process.pid, terminal.as_ref()) {
        Ok(()) => Ok((created, terminal)),
        Err(failure) => {
            created.destroy()?;
            Err(failure)
        }
    }
}

fn end(place: &Place, container: Container, keep: bool) -> Result<(), Failure> {
    container.destroy()?;
    if keep { Ok(()) } else { place.release() }
}
