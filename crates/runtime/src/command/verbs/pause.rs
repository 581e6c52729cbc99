//! `pause` and `resume`: all processes of a container stopped and let go on.

use super::ID;
use crate::Outcome;
use crate::failure::Failure;
use crate::global::Global;
use crate::state_file::{Place, Status};
use crate::words::{Verb, Words};

pub(super) const PAUSE: Verb = Verb {
    name: "pause",
    usage: ID,
    about: "stop all processes of a container for a while",
    flags: &[],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: pause,
};

pub(super) const RESUME: Verb = Verb {
    name: "resume",
    about: "let all processes of a container go on",
    run: resume,
    ..PAUSE
};

fn pause(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let mut record = place.read_in(&[Status::Running, Status::Created], "paused")?;
    let missing = || Failure::NoContainer(place.id.clone());
    record.container()?.ok_or_else(missing)?.pause()?;
    record.paused = true;
    place.write(&record)?;
    Ok(0)
}

fn resume(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let mut record = place.read_in(&[Status::Paused], "resumed")?;
    let missing = || Failure::NoContainer(place.id.clone());
    record.container()?.ok_or_else(missing)?.resume()?;
    record.paused = false;
    place.write(&record)?;
    Ok(0)
}
