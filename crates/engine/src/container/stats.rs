//! `stats`: what a container uses.

use std::collections::BTreeMap;

use network::Counters;
use sys::cgroup::{self, Cgroup};
use types::{ContainerId, ContainerName, ErrorKind, NetworkMode};

use super::has_ended;
use super::start::cgroup_path;
use crate::network::attach::open_namespace;
use crate::table::Container;
use crate::{Engine, Error, clock};

/// One look at a container.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// What it has used; none if it does not run.
    pub usage: Option<Usage>,
}

/// What a container has used, and beside it the machine.
#[derive(Debug, Clone)]
pub struct Usage {
    /// When, in nanoseconds since the Unix epoch.
    pub read: i64,
    /// Counts of its cgroup.
    pub cgroup: cgroup::Stats,
    /// The cgroups' version.
    pub version: u8,
    /// What has passed each of its interfaces, in its own view; none if it has the host's.
    pub networks: BTreeMap<String, Counters>,
    /// Processor time of the whole machine, in nanoseconds.
    pub machine_time: u64,
    /// Processors of the machine that run.
    pub processors: u32,
    /// Bytes of the machine's memory.
    pub machine_memory: u64,
}

/// Looks at a container. Blocking.
pub fn stats(engine: &Engine, who: &str) -> Result<Sample, Error> {
    let container = engine.find(who)?;
    let usage = match container.lifecycle().is_running() {
        true => usage(engine, &container)?,
        false => None,
    };
    Ok(Sample {
        id: container.id().clone(),
        name: container.name().clone(),
        usage,
    })
}

/// None if it ends meanwhile.
fn usage(engine: &Engine, container: &Container) -> Result<Option<Usage>, Error> {
    let run = container.lifecycle().process();
    let path = cgroup_path(engine, &container.fixed.spec, container.id());
    let layout = &engine.host().cgroups;
    let counts = Cgroup::open(layout, &path).and_then(|cgroup| cgroup.stats());
    let counts = match counts {
        Err(_) if has_ended(container, run) => return Ok(None),
        counts => counts.map_err(Error::kernel(format!("read the counts of cgroup {path}")))?,
    };
    let networks = match networks(engine, container) {
        Err(_) if has_ended(container, run) => return Ok(None),
        networks => networks?,
    };
    let (machine_time, processors) = processors(&read("/proc/stat")?);
    Ok(Some(Usage {
        read: clock::now(),
        cgroup: counts,
        version: layout.version(),
        networks,
        machine_time,
        processors,
        machine_memory: memory(&read("/proc/meminfo")?),
    }))
}

/// Of a container that shares another's network, that one's.
fn networks(engine: &Engine, container: &Container) -> Result<BTreeMap<String, Counters>, Error> {
    let status = match &container.fixed.spec.network {
        NetworkMode::Container(other) => match engine.find(other) {
            Ok(other) => other.status(),
            // It is gone, and its networks with it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        },
        _ => container.status(),
    };
    let live = status.networks.values().filter_map(|e| e.live.as_ref());
    let Some(process) = status.lifecycle.process() else {
        return Ok(BTreeMap::new());
    };
    let live: Vec<_> = live.collect();
    if live.is_empty() {
        return Ok(BTreeMap::new());
    }
    let namespace = open_namespace(process)?;
    let counted = live.into_iter().filter_map(|live| {
        let name = live.attachment.interface.clone();
        let counters = live.attachment.counters(&namespace).transpose()?;
        Some(counters.map(|counters| (name, counters)))
    });
    let what = || {
        format!(
            "read the network counters of container {}",
            container.name()
        )
    };
    let counted: Result<_, network::Error> = counted.collect();
    Ok(counted.map_err(crate::network::NetworkError::network(what()))?)
}

fn read(path: &str) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::io(format!("read {path}")))
}

/// Nanoseconds that all processors have been at work or idle, and how many there are: proc_stat(5).
fn processors(text: &str) -> (u64, u32) {
    /// A tick, USER_HZ, on every machine.
    const TICK: u64 = 10_000_000;
    /// Guests' time is among the user's already.
    const COLUMNS: usize = 7;
    let lines = || text.lines().filter(|line| line.starts_with("cpu"));
    let ticks = lines().next().into_iter().flat_map(|line| {
        let numbers = line.split_ascii_whitespace().skip(1).take(COLUMNS);
        numbers.filter_map(|number| number.parse::<u64>().ok())
    });
    let single = lines().filter(|line| !line.starts_with("cpu ")).count();
    (
        ticks.sum::<u64>().saturating_mul(TICK),
        u32::try_from(single).unwrap_or(u32::MAX),
    )
}

/// Bytes of `MemTotal`.
fn memory(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\ncpu1 0 1 2 3 4 5 6 7 8 9\n\
                    intr 5\nctxt 7\n";
        assert_eq!(processors(text), (280_000_000, 2));
        assert_eq!(
            memory("MemTotal:       24686592 kB\nMemFree: 1 kB\n"),
            24_686_592 * 1024
        );
    }
}
