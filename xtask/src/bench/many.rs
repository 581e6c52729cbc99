//! Many containers: fifty at once, five hundred that stay, and what everything costs beside them.

use std::process::Command;

use anyhow::Result;

use super::engines::{RUN, SLEEP, both, name, once, owns_containers, payload_free, words};
use super::measure::{Series, Trial, rounds, time};
use super::memory::{Processes, pss};
use super::report::{Page, Table};
use super::subject::{self, IMAGE, Subject};

/// Started at once, so many at a time.
const BURST: usize = 50;
const AT_A_TIME: usize = 8;

/// That stay.
const CROWD: usize = 500;

/// One of those that stay, in which commands are executed.
const ONE: &str = "crowd250";

/// Measures all engines; `slow` rounds of what takes long.
pub(super) fn measure(all: &mut [Subject], slow: usize, page: &mut Page) -> Result<()> {
    let mut times = Table::new("Many containers, milliseconds (median, 90th percentile)");
    times.add("50 x `run -d`, eight at a time", bursts(all, slow)?);
    let empty = weigh(all)?;
    times.add("500 x `run -d`, eight at a time, once", fill(all)?);
    let full = weigh(all)?;
    times.add("`ps`, 500 containers", once(all, slow, &["ps"])?);
    times.add(
        "`inspect` of one of 500",
        once(all, slow, &["inspect", ONE])?,
    );
    times.add(
        "`exec` true in one of 500",
        once(all, slow, &["exec", ONE, "true"])?,
    );
    times.add(
        "`run --rm --network none bb true` beside 500",
        once(all, slow, &RUN)?,
    );
    let trials: Vec<Trial<'_>> = all.iter().map(both).collect();
    times.add("`run -d`, then `rm -f` beside 500", rounds(&trials, slow)?);
    drop(trials);
    let with = restarts(all, slow)?;
    times.add("500 x `rm -f`, one command, once", clear(all)?);
    let without = restarts(all, slow)?;
    page.table(times);
    let mut restarted =
        Table::new("Restart of the daemon until it lists its containers, milliseconds");
    restarted.add("none", without);
    restarted.add("500 that run", with);
    page.table(restarted);
    let each = empty.iter().zip(&full);
    let each: Vec<u64> = each
        .map(|(empty, full)| full.saturating_sub(*empty) / CROWD as u64)
        .collect();
    let mut memory = Table::new("Memory with 500 containers, KiB (proportional set size)");
    memory.raw("for each, all processes but its own", all, &each);
    page.table(memory);
    Ok(())
}

/// Starts so many, by so many clients at a time.
fn start(subject: &Subject, what: &str, count: usize) -> Command {
    let name = format!("{what}{{}}");
    let mut run = vec!["run", "-d", "--network", "none", "--name", &name, IMAGE];
    run.extend(SLEEP);
    let script = format!(
        "seq 0 {} | xargs -P {AT_A_TIME} -I '{{}}' {}",
        count - 1,
        words(subject, &run)
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    subject::environment(&mut shell);
    shell
}

fn remove(subject: &Subject, what: &str, count: usize) -> Command {
    let names: Vec<String> = (0..count).map(|index| format!("{what}{index}")).collect();
    let mut args = subject.remove();
    args.extend(names.iter().map(String::as_str));
    subject.command(&args)
}

fn bursts(all: &[Subject], count: usize) -> Result<Vec<Series>> {
    let trial = |subject| Trial {
        name: name(subject),
        timed: Box::new(move || start(subject, "burst", BURST)),
        after: Some(Box::new(move || remove(subject, "burst", BURST))),
    };
    rounds(&all.iter().map(trial).collect::<Vec<_>>(), count)
}

/// Clients of one daemon share its containers: theirs is nothing.
fn of_owners(
    all: &[Subject],
    of: impl Fn(&Subject) -> Result<std::time::Duration>,
) -> Result<Vec<Series>> {
    let series = |subject: &Subject| {
        let samples = match owns_containers(subject) {
            true => vec![of(subject)?],
            false => Vec::new(),
        };
        Ok(Series::of(name(subject), samples))
    };
    all.iter().map(series).collect()
}

fn fill(all: &[Subject]) -> Result<Vec<Series>> {
    of_owners(all, |subject| time(&mut start(subject, "crowd", CROWD)))
}

fn clear(all: &[Subject]) -> Result<Vec<Series>> {
    of_owners(all, |subject| time(&mut remove(subject, "crowd", CROWD)))
}

/// Of those whose containers outlive their daemon: ours.
fn restarts(all: &mut [Subject], count: usize) -> Result<Vec<Series>> {
    let mut series = Vec::new();
    for subject in all {
        let mut samples = Vec::new();
        for _ in 0..count {
            samples.extend(subject.restart()?);
        }
        series.push(Series::of(name(subject), samples));
    }
    Ok(series)
}

/// KiB of each engine's processes, but no container's own.
fn weigh(all: &[Subject]) -> Result<Vec<u64>> {
    let processes = Processes::read()?;
    let of = |subject: &Subject| match owns_containers(subject) {
        true => pss(&payload_free(subject, &processes)),
        false => 0,
    };
    Ok(all.iter().map(of).collect())
}
