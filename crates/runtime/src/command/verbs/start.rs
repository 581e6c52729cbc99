//! `start`: run the command of a created container.

use crate::Outcome;
use crate::args::Args;
use crate::state_file::{Place, Status};

pub(crate) fn start(args: &Args, id: &str) -> Outcome {
    let place = Place::of(&args.root, id)?;
    let mut record = place.read_in(&[Status::Created], "started")?;
    runtime::open_gate(&place.gate())?;
    record.started = true;
    place.write(&record)?;
    // Its listener went with the start; the name must not lead anybody to believe otherwise.
    let _ = std::fs::remove_file(place.gate());
    if let Some(container) = record.container()? {
        container.run_poststart_hooks()?;
    }
    Ok(0)
}
