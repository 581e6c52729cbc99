//! `kill`: a signal to the first process, or to all.

use crate::Outcome;
use crate::args::{Args, Kill};
use crate::failure::{Doing, Failure};
use crate::state_file::{Place, Status};

pub(crate) fn kill(args: &Args, kill: &Kill) -> Outcome {
    let place = Place::of(&args.root, &kill.id)?;
    let alive = [Status::Created, Status::Running, Status::Paused];
    let record = place.read_in(&alive, "killed")?;
    let container = record
        .container()?
        .ok_or_else(|| Failure::NoContainer(place.id.clone()))?;
    if kill.all {
        for pid in container.pids()? {
            // One that has ended meanwhile needs no signal.
            if let Ok(pidfd) = sys::pidfd::open(pid) {
                sys::pidfd::send_signal(pidfd, kill.signal).doing("send the signal")?;
            }
        }
    } else {
        container.kill(kill.signal)?;
    }
    Ok(0)
}
