//! Engines: what a user waits for, and what they weigh.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Args;
use super::measure::{Series, Trial, rounds};
use super::memory::{Processes, pss};
use super::report::{Page, Table};
use super::subject::{self, IMAGE, Subject};

/// Containers in a full house.
const MANY: usize = 50;
/// Containers whose memory is weighed.
const WEIGHED: u64 = 20;

/// Measures all engines that are there.
pub(crate) fn measure(args: &Args, page: &mut Page) -> Result<()> {
    let mut all = subject::brig()?;
    if !args.alone {
        for suite in ["bookworm", "sid"] {
            let (there, absent) = subject::peers(suite);
            all.extend(there);
            absent
                .into_iter()
                .for_each(|a| page.absent(&a.name, &a.why));
        }
    }
    std::thread::sleep(IDLE);
    let idle: Vec<u64> = all.iter().map(weigh).collect();
    let slow = (args.rounds / 5).max(3);
    let mut table = Table::new("Engines, milliseconds (median, 90th percentile)");
    table.add(
        "`run --rm --network none bb true`",
        once(&all, args.rounds, &RUN)?,
    );
    table.add("`ps`, no container", once(&all, args.rounds, &["ps"])?);
    table.add("`exec` true", exec(&all, args.rounds)?);
    table.add("`run -d`, then `rm -f`", run_and_remove(&all, slow)?);
    table.add("`ps`, 50 containers", full_house(&all, slow)?);
    page.table(table);
    let mut memory = Table::new("Memory, KiB (proportional set size)");
    memory.raw("daemon, idle", &all, &idle);
    let each: Vec<u64> = all
        .iter()
        .zip(&idle)
        .map(|(s, idle)| weigh_each(s, *idle))
        .collect::<Result<_>>()?;
    memory.raw(
        "for each running container, all processes but its own",
        &all,
        &each,
    );
    page.table(memory);
    super::logs::measure(&all, slow.min(5), page)?;
    super::many::measure(&mut all, slow, page)?;
    page.versions(all.iter().map(|s| (s.name.as_str(), s.version.as_str())));
    Ok(())
}

pub(super) const RUN: [&str; 6] = ["run", "--rm", "--network", "none", IMAGE, "true"];
pub(super) const SLEEP: [&str; 2] = ["sleep", "3600"];

pub(super) fn once(all: &[Subject], count: usize, args: &[&str]) -> Result<Vec<Series>> {
    let trial = |s| Trial {
        name: name(s),
        timed: Box::new(|| s.command(args)),
        after: None,
    };
    rounds(&all.iter().map(trial).collect::<Vec<_>>(), count)
}

pub(super) fn name(subject: &Subject) -> &str {
    &subject.name
}

fn detached(subject: &Subject, name: &str) -> Result<()> {
    let mut args = vec!["run", "-d", "--network", "none", "--name", name, IMAGE];
    args.extend(SLEEP);
    subject.run(&args).map(drop)
}

fn exec(all: &[Subject], count: usize) -> Result<Vec<Series>> {
    for (index, subject) in all.iter().enumerate() {
        detached(subject, &format!("execute{index}"))?;
    }
    let trial = |(index, s): (usize, _)| {
        let who = format!("execute{index}");
        Trial {
            name: name(s),
            timed: Box::new(move || s.command(&["exec", &who, "true"])),
            after: None,
        }
    };
    let series = rounds(
        &all.iter().enumerate().map(trial).collect::<Vec<_>>(),
        count,
    )?;
    for (index, subject) in all.iter().enumerate() {
        let who = format!("execute{index}");
        let mut args = subject.remove();
        args.push(&who);
        subject.run(&args)?;
    }
    Ok(series)
}

fn run_and_remove(all: &[Subject], count: usize) -> Result<Vec<Series>> {
    let trials: Vec<Trial<'_>> = all.iter().map(both).collect();
    rounds(&trials, count)
}

/// Both halves through one shell, so that each is paid for as a user pays.
pub(super) fn both(subject: &Subject) -> Trial<'_> {
    let mut run = vec!["run", "-d", "--network", "none", "--name", "both", IMAGE];
    run.extend(SLEEP);
    let mut remove = subject.remove();
    remove.push("both");
    let script = format!("{} && {}", words(subject, &run), words(subject, &remove));
    let timed = move || {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]);
        subject::environment(&mut shell);
        shell
    };
    Trial {
        name: name(subject),
        timed: Box::new(timed),
        after: None,
    }
}

/// A client's command as a shell has it.
pub(super) fn words(subject: &Subject, args: &[&str]) -> String {
    let command = subject.command(args);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| format!("'{}'", word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

fn full_house(all: &[Subject], count: usize) -> Result<Vec<Series>> {
    // Clients of one daemon share its containers.
    let owners: Vec<&Subject> = all.iter().filter(|s| owns_containers(s)).collect();
    for subject in &owners {
        for index in 0..MANY {
            detached(subject, &format!("many{index}"))?;
        }
    }
    let series = once(all, count, &["ps"])?;
    let names: Vec<String> = (0..MANY).map(|index| format!("many{index}")).collect();
    for subject in &owners {
        let mut args = subject.remove();
        args.extend(names.iter().map(String::as_str));
        subject.run(&args)?;
    }
    Ok(series)
}

/// Whether its containers are its own: a second client's are those of the first.
pub(super) fn owns_containers(subject: &Subject) -> bool {
    subject.daemon.is_some() || subject.name.starts_with("podman")
}

/// How long a daemon has nothing to do before it is weighed.
const IDLE: Duration = Duration::from_secs(12);

/// KiB of the daemon with all that it started, but no container's own processes.
fn weigh(subject: &Subject) -> u64 {
    let (Some(daemon), Ok(processes)) = (&subject.daemon, Processes::read()) else {
        return 0;
    };
    pss(&processes
        .below(daemon.pid())
        .into_iter()
        .filter(|pid| !is_payload(*pid))
        .collect::<Vec<_>>())
}

/// A container's own process, by what all containers here run.
fn is_payload(pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.starts_with(b"sleep\x003600")
}

/// The daemon with all that it started, and what it keeps for each container, but no container's own process.
pub(super) fn payload_free(subject: &Subject, processes: &Processes) -> Vec<u32> {
    let mut pids = processes.named(subject.helpers);
    if let Some(daemon) = &subject.daemon {
        pids.extend(processes.below(daemon.pid()));
    }
    pids.sort_unstable();
    pids.dedup();
    pids.retain(|pid| !is_payload(*pid));
    pids
}

fn weigh_each(subject: &Subject, idle: u64) -> Result<u64> {
    if !owns_containers(subject) {
        return Ok(0);
    }
    let names: Vec<String> = (0..WEIGHED).map(|index| format!("weigh{index}")).collect();
    names.iter().try_for_each(|name| detached(subject, name))?;
    std::thread::sleep(IDLE);
    let total = pss(&payload_free(subject, &Processes::read()?));
    let mut args = subject.remove();
    args.extend(names.iter().map(String::as_str));
    subject.run(&args)?;
    Ok(total.saturating_sub(idle) / WEIGHED)
}
