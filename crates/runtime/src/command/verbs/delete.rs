//! `delete`: remove what is left of a container.

use std::time::Duration;

use runtime::Container;
use types::Signal;

use crate::Outcome;
use crate::args::{Args, Delete};
use crate::failure::{Doing, Failure};
use crate::state_file::{Place, Status};

/// How long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn delete(args: &Args, delete: &Delete) -> Outcome {
    let place = Place::of(&args.root, &delete.id)?;
    let record = match place.read() {
        Ok(record) => record,
        // Nothing, or what a create that was killed has left behind.
        Err(Failure::NoContainer(_)) if delete.force => {
            place.release()?;
            return Ok(0);
        }
        Err(failure) => return Err(failure),
    };
    let status = record.status();
    // One that was never started may go like one that has ended: nothing of it has run.
    let free = matches!(status, Status::Stopped | Status::Created);
    if !delete.force && !free {
        let (id, status) = (place.id, status.name());
        return Err(Failure::State {
            id,
            status,
            verb: "deleted",
        });
    }
    if let Some(container) = record.container()? {
        end(&container)?;
    }
    Container::remove_remains(&record.saved, &record.spec)?;
    place.release()?;
    Ok(0)
}

/// Kills the first process and waits until it is gone; whose child it is reaps it.
fn end(container: &Container) -> Result<(), Failure> {
    container.kill(Signal::KILL)?;
    let ended = sys::pidfd::ended_within(container.pidfd(), PATIENCE).doing("wait for the end")?;
    if ended {
        return Ok(());
    }
    let pid = container.process().pid;
    Err(Failure::Usage(format!(
        "process {pid} does not end, though it was killed"
    )))
}
