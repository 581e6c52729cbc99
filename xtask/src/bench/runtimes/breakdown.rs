//! Where the time of a run goes: moments at which the kernel saw something, by perf(1). Only a few
//! calls are traced, so that the tracing costs next to nothing.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::super::measure::quiet;
use super::super::report::Table;
use super::ID;
use super::subjects::Runtime;
use crate::paths;

/// How often it is looked at.
const ROUNDS: usize = 40;

/// Who is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Runtime,
    Container,
}

/// What happens up to a moment: its name, in whose process the moment is, and the event, the first of
/// its kind after the moment before.
type Stage = (&'static str, Who, &'static str);

const STAGES: [Stage; 17] = [
    (
        "the program is executed",
        Who::Runtime,
        "sched_process_exec",
    ),
    (
        "it begins, and seals its own file",
        Who::Runtime,
        "sys_enter_execveat",
    ),
    (
        "it is executed once more",
        Who::Runtime,
        "sched_process_exec",
    ),
    (
        "command line and configuration are read",
        Who::Runtime,
        "sys_enter_mkdir",
    ),
    (
        "the plan is made, the root is opened",
        Who::Runtime,
        "sys_enter_socketpair",
    ),
    ("the process is cloned", Who::Runtime, "sys_exit_clone3"),
    (
        "it begins, and makes its namespaces",
        Who::Container,
        "sys_enter_setsid",
    ),
    (MOUNTS, Who::Container, "sys_enter_recvfrom"),
    (
        "it waits for the cgroup that is made meanwhile",
        Who::Container,
        "sys_exit_recvfrom",
    ),
    (
        "it enters the cgroup; more mounts, devices, masks",
        Who::Container,
        "sys_enter_pivot_root",
    ),
    (
        "the root is switched, the old one let go",
        Who::Container,
        "sys_enter_sendmsg",
    ),
    (
        "the runtime hears of it and says start",
        Who::Container,
        "sys_enter_close_range",
    ),
    ("rights are given up", Who::Container, "sys_enter_execve"),
    (
        "execve: the container's command is loaded",
        Who::Container,
        "sched_process_exec",
    ),
    ("the command runs", Who::Container, "sys_enter_exit_group"),
    (
        "it ends, and the runtime hears of it",
        Who::Runtime,
        "sys_enter_waitid",
    ),
    (
        "cgroup, mounts and state are removed",
        Who::Runtime,
        "sys_enter_exit_group",
    ),
];

/// Up to the one that shows the cgroup.
const MOUNTS: &str = "network, host name, mounts";

/// With version 2 only, where the cgroup is there first, these two are a part of the next.
fn is_seen(stage: &Stage) -> bool {
    let unified = fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false);
    !unified || !(stage.0 == MOUNTS || stage.2 == "sys_exit_recvfrom")
}

/// One moment: the thread's id, seconds, the event's name.
type Moment = (u32, f64, String);

/// Microseconds of each stage.
pub(super) fn table(runtime: &Runtime, bundle: &str) -> Result<Table> {
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); STAGES.len()];
    for _ in 0..ROUNDS {
        let moments = record(runtime, bundle)?;
        for (stage, took) in stages(&moments)? {
            samples[stage].push(took);
        }
    }
    let mut table = Table::new("Where the time of a `run` goes, µs (median, least)");
    table.columns([runtime.name.clone()].into_iter());
    for ((name, ..), mut samples) in STAGES.iter().zip(samples) {
        samples.sort_by(f64::total_cmp);
        if let (Some(least), Some(median)) = (samples.first(), samples.get(samples.len() / 2)) {
            table.text(name, vec![format!("{median:.0} ({least:.0})")]);
        }
    }
    Ok(table)
}

fn record(runtime: &Runtime, bundle: &str) -> Result<Vec<Moment>> {
    let file = paths::target().join("bench-moments");
    let mut events: Vec<String> = STAGES
        .iter()
        .map(|(_, _, event)| match event.strip_prefix("sys_") {
            Some(_) => format!("syscalls:{event}"),
            None => format!("sched:{event}"),
        })
        .collect();
    events.sort();
    events.dedup();
    let name = file.display().to_string();
    let events = events.join(",");
    let perf = [
        "perf", "record", "--quiet", "--output", &name, "--event", &events, "--",
    ];
    quiet(&mut runtime.watched(&perf, &["run", "--bundle", bundle, ID])).context("perf")?;
    let mut script = Command::new("perf");
    let text = quiet(script.args([
        "script",
        "--ns",
        "--fields",
        "tid,time,event",
        "--input",
        &name,
    ]));
    let _ = fs::remove_file(&file);
    Ok(text?.lines().filter_map(moment).collect())
}

/// A line of perf-script(1): `  123 45.000000678: syscalls:sys_enter_mkdir:`.
fn moment(line: &str) -> Option<Moment> {
    let mut words = line.split_whitespace();
    let thread = words.next()?.parse().ok()?;
    let seconds = words.next()?.trim_end_matches(':').parse().ok()?;
    let event = words.next()?.trim_end_matches(':');
    let (_, event) = event.split_once(':')?;
    Some((thread, seconds, event.to_owned()))
}

/// How long each stage took, by its number. The first one has no beginning.
fn stages(moments: &[Moment]) -> Result<Vec<(usize, f64)>> {
    let Some((runtime, mut last, _)) = moments.iter().find(|m| m.2 == STAGES[0].2).cloned() else {
        bail!("perf saw no program start");
    };
    let mut took = Vec::new();
    let seen = STAGES.iter().enumerate().skip(1);
    for (number, (name, who, event)) in seen.filter(|(_, stage)| is_seen(stage)) {
        let is_it = |(thread, time, what): &&Moment| {
            (*thread == runtime) == (*who == Who::Runtime) && *time > last && what == event
        };
        let moment = moments.iter().find(is_it);
        let (_, time, _) =
            moment.with_context(|| format!("perf did not see the end of {name:?}"))?;
        took.push((number, (time - last) * 1e6));
        last = *time;
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_perf_are_read() {
        let line = "  4711 13083.011812345: sched:sched_process_exec: ";
        let expected = (4711, 13_083.011_812_345, "sched_process_exec".to_owned());
        assert_eq!(moment(line), Some(expected));
        assert_eq!(moment("# nothing"), None);
    }
}
