//! `events`: what a container uses, and when it runs out of memory, as lines of JSON.

mod format;

use std::io::Write;
use std::time::{Duration, Instant};

use runtime::Container;
use serde::Serialize;
use sys::event::{Event, Interest, Poller};

use crate::Outcome;
use crate::failure::{Doing, Failure};
use crate::global::Global;
use crate::state_file::{Place, Status};
use crate::words::{Flag, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "events",
    usage: super::ID,
    about: "show what a container uses, and when it runs out of memory",
    flags: &[
        Flag::value(
            "interval",
            "time between two reports, as in 1m30s (default: 5s)",
        ),
        Flag::switch("stats", "one report only"),
    ],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: events,
};

const ENDED: u64 = 0;
const OUT_OF_MEMORY: u64 = 1;

fn events(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let interval = interval(words)?;
    let alive = [Status::Created, Status::Running, Status::Paused];
    let record = place.read_in(&alive, "watched")?;
    let container = record
        .container()?
        .ok_or_else(|| Failure::NoContainer(place.id.clone()))?;
    if words.has("stats") {
        report(&place.id, &container)?;
    } else {
        watch(&place.id, &container, interval)?;
    }
    Ok(0)
}

fn interval(words: &Words) -> Result<Duration, Failure> {
    let text = words.text("interval")?.unwrap_or("5s");
    let wrong = |reason: &str| Failure::Usage(format!("invalid interval {text:?}: {reason}"));
    match duration(text) {
        None => Err(wrong("a time as in 5s, 1m30s, 500ms is expected")),
        Some(time) if time.is_zero() => Err(wrong("it must be greater than 0")),
        Some(time) => Ok(time),
    }
}

/// Go's spelling: numbers with units one after the other.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let end = rest.find(|c| !is_number(c))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(is_number).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
        rest = &rest[end..];
        seconds += number * unit;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

/// Until the container's end.
fn watch(id: &str, container: &Container, interval: Duration) -> Result<(), Failure> {
    let doing = "wait for events";
    let mut oom = container.watch_oom()?;
    let poller = Poller::new().doing(doing)?;
    poller
        .add(container.pidfd(), ENDED, Interest::READ)
        .doing(doing)?;
    if let Some(oom) = &oom {
        poller
            .add(oom, OUT_OF_MEMORY, Interest::READ)
            .doing(doing)?;
    }
    let mut happened: Vec<Event> = Vec::new();
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        poller.wait(Some(left), &mut happened).doing(doing)?;
        if let Some(oom) = &mut oom
            && happened.iter().any(|event| event.token == OUT_OF_MEMORY)
            && oom.take().unwrap_or(false)
        {
            print(id, "oom", None::<()>)?;
        }
        if happened.iter().any(|event| event.token == ENDED) {
            return Ok(());
        }
        if Instant::now() >= next {
            report(id, container)?;
            next += interval;
        }
    }
}

fn report(id: &str, container: &Container) -> Result<(), Failure> {
    print(id, "stats", Some(format::Stats::from(container.stats()?)))
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

/// At once, for whoever reads along.
fn print<T: Serialize>(id: &str, kind: &str, data: Option<T>) -> Result<(), Failure> {
    let line = serde_json::to_string(&Line { kind, id, data });
    let line = line.map_err(|source| Failure::Malformed {
        path: "standard output".into(),
        source,
    })?;
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|error| Failure::Usage(format!("cannot write to standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_gos() {
        let table = [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1_500)),
            ("1h", Some(3_600_000)),
            ("0s", Some(0)),
            ("5", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("5 s", None),
        ];
        for (text, milliseconds) in table {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }
}
