//! `delete`: remove what is left of a container.

use std::time::Duration;

use runtime::{Container, SharedRoot};
use types::Signal;

use super::ID;
use crate::Outcome;
use crate::failure::{Doing, Failure};
use crate::global::Global;
use crate::state_file::{Place, Record, Status};
use crate::words::{Flag, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "delete",
    usage: ID,
    about: "remove what is left of a container",
    flags: &[Flag::switch("force", "kill it first; no error if there is none").short("f")],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: delete,
};

/// How long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

fn delete(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let force = words.has("force");
    match place.read() {
        Ok(record) => delete_recorded(&place, &record, force)?,
        Err(Failure::NoContainer(_)) if force => remove_unfinished(&place)?,
        Err(failure) => return Err(failure),
    }
    place.release()?;
    Ok(0)
}

fn delete_recorded(place: &Place, record: &Record, force: bool) -> Result<(), Failure> {
    let status = record.status();
    // runc takes one that was only created, too; the specification wants an error (runtime.md,
    // Delete).
    if !force && status != Status::Stopped {
        return Err(Failure::Refused(format!(
            "cannot delete container {} that is not stopped: {}",
            place.id,
            status.name()
        )));
    }
    end(record, status == Status::Paused)?;
    Container::remove_remains(&record.saved, &record.spec)?;
    Ok(())
}

/// Nothing, or what is left where the maker was killed before it wrote the record: the intended
/// cgroup with whatever is in it, a process that may wait at the gate, and mounts.
fn remove_unfinished(place: &Place) -> Result<(), Failure> {
    // To be connected to and told nothing ends it.
    drop(sys::socket::connect(
        &place.gate(),
        sys::socket::Kind::Messages,
    ));
    if let Some(intended) = place.intended()? {
        Container::remove_unfinished(&intended)?;
    }
    // Now that nobody is left to mount them.
    if let Some(root) = SharedRoot::noted(&place.dir)? {
        root.remove()?;
    }
    Ok(())
}

/// Kills the first process and waits until it is gone; whose child it is reaps it. Without looking
/// for the cgroup, which an earlier attempt may have removed.
fn end(record: &Record, paused: bool) -> Result<(), Failure> {
    let process = record.saved.process;
    let Some(pidfd) = sys::proc::open(process).doing("find the container's process")? else {
        return Ok(());
    };
    // It may have ended by itself meanwhile.
    let killed = sys::pidfd::send_signal(&pidfd, Signal::KILL);
    if paused
        && killed.is_ok()
        && let Some(container) = record.container()?
    {
        container.resume()?;
    }
    if sys::pidfd::ended_within(&pidfd, PATIENCE).doing("wait for the end")? {
        return Ok(());
    }
    let pid = process.pid;
    Err(Failure::Refused(format!(
        "process {pid} does not end, though it was killed"
    )))
}
