//! `start`: run the command of a created container.

use super::ID;
use crate::Outcome;
use crate::failure::Failure;
use crate::global::Global;
use crate::notify::Notify;
use crate::state_file::{Place, Status};
use crate::words::{Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "start",
    usage: ID,
    about: "run the command of a created container",
    flags: &[],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: start,
};

fn start(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let mut record = place.read()?;
    check(record.status())?;
    let notify = Notify::wanted(&place.dir).filter(|_| place.dir.join("notify").is_dir());
    let notify = notify.map(Notify::bind).transpose()?;
    // Found while it waits: its hooks are run even if its command ends at once.
    let container = record.container()?;
    runtime::open_gate(&place.gate(), &record.saved, &record.spec)?;
    record.started = true;
    place.write(&record)?;
    // Its listener went with the start; the name must not lead anybody to believe otherwise.
    let _ = std::fs::remove_file(place.gate());
    let Some(container) = container else {
        return Ok(0);
    };
    container.run_poststart_hooks()?;
    if let Some(notify) = notify {
        notify.wait(container.pidfd(), container.process().pid)?;
    }
    Ok(0)
}

/// In runc's words.
fn check(status: Status) -> Result<(), Failure> {
    let reason = match status {
        Status::Created => return Ok(()),
        Status::Running => "cannot start an already running container",
        Status::Stopped => "cannot start a container that has stopped",
        Status::Paused => "cannot start a container in the paused state",
    };
    Err(Failure::Refused(reason.to_owned()))
}
