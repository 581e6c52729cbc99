//! `pause` and `resume`: all processes of a container stopped and let go on.

use crate::Outcome;
use crate::args::Args;
use crate::failure::Failure;
use crate::state_file::{Place, Status};

pub(crate) fn pause(args: &Args, id: &str) -> Outcome {
    let place = Place::of(&args.root, id)?;
    let mut record = place.read_in(&[Status::Running, Status::Created], "paused")?;
    let missing = || Failure::NoContainer(place.id.clone());
    record.container()?.ok_or_else(missing)?.pause()?;
    record.paused = true;
    place.write(&record)?;
    Ok(0)
}

pub(crate) fn resume(args: &Args, id: &str) -> Outcome {
    let place = Place::of(&args.root, id)?;
    let mut record = place.read_in(&[Status::Paused], "resumed")?;
    let missing = || Failure::NoContainer(place.id.clone());
    record.container()?.ok_or_else(missing)?.resume()?;
    record.paused = false;
    place.write(&record)?;
    Ok(0)
}
