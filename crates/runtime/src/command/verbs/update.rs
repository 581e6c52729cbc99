//! `update`: change the limits of a container while it runs.

use std::io::Read;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxIntelRdt, LinuxMemory, LinuxPids, LinuxResources, Spec,
};

use crate::Outcome;
use crate::failure::{Failure, OnFile};
use crate::global::Global;
use crate::state_file::{Place, Status};
use crate::words::{Flag, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "update",
    usage: super::ID,
    about: "change the limits of a container while it runs",
    flags: &[
        Flag::value(
            "resources",
            "file with the new linux.resources as JSON, - for standard input; \
             other flags are not looked at then",
        )
        .short("r"),
        Flag::value("blkio-weight", "relative weight of block I/O, 10 to 1000"),
        Flag::value("cpu-period", "microseconds in which the quota is counted"),
        Flag::value(
            "cpu-quota",
            "microseconds of processor time per period; -1 is unlimited",
        ),
        Flag::value("cpu-burst", "microseconds that may be saved up"),
        Flag::value("cpu-share", "relative weight of processor time"),
        Flag::value("cpu-rt-period", "the real-time period in microseconds"),
        Flag::value("cpu-rt-runtime", "real-time microseconds per such period"),
        Flag::value("cpuset-cpus", "processors, as in 0-2,4"),
        Flag::value("cpuset-mems", "memory nodes, as in 0-2,4"),
        Flag::value("cpu-idle", "1 to run only when nothing else does, 0 not to"),
        Flag::value("memory", "memory limit, as in 64M; -1 is unlimited"),
        Flag::value("memory-reservation", "memory that reclaim spares"),
        Flag::value("memory-swap", "limit of memory and swap together"),
        Flag::value("pids-limit", "number of processes; -1 is unlimited"),
        Flag::value("l3-cache-schema", "line of Intel RDT for the L3 cache"),
        Flag::value("mem-bw-schema", "line of Intel RDT for memory bandwidth"),
        Flag::value("kernel-memory", "of no effect: kernels have dropped it").hidden(),
        Flag::value("kernel-memory-tcp", "of no effect").hidden(),
    ],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: update,
};

fn update(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let alive = [Status::Created, Status::Running, Status::Paused];
    let mut record = place.read_in(&alive, "updated")?;
    let asked = match words.path("resources") {
        Some(path) => from_file(path)?,
        None => from_flags(words)?,
    };
    let shares = shares(words, &record.spec)?;
    let container = record
        .container()?
        .ok_or_else(|| Failure::NoContainer(place.id.clone()))?;
    let old = resources(&record.spec);
    let new = runtime::merge_resources(&old, &asked);
    let changed = container.update(&new).and_then(|()| match &shares {
        Some(shares) => container.update_shares(&with_shares(&record.spec, shares.clone())),
        None => Ok(()),
    });
    if let Err(error) = changed {
        // Some of them may have been written: back to what the record says.
        let none = LinuxResources::default();
        let _ = container.update(&runtime::merge_resources(&old, &none));
        return Err(error.into());
    }
    remember(&mut record.spec, &old, new);
    if let Some(shares) = &shares {
        remember_shares(&mut record.spec, shares);
    }
    place.write(&record)?;
    Ok(0)
}

fn resources(spec: &Spec) -> LinuxResources {
    let linux = spec.linux().as_ref();
    let resources = linux.and_then(|linux| linux.resources().clone());
    resources.unwrap_or_default()
}

/// Keeps the new limits, with the rules for devices, which an update leaves alone.
fn remember(spec: &mut Spec, old: &LinuxResources, mut new: LinuxResources) {
    new.set_devices(old.devices().clone());
    let mut linux = spec.linux().clone().unwrap_or_default();
    linux.set_resources(Some(new));
    spec.set_linux(Some(linux));
}

fn from_file(path: &Path) -> Result<LinuxResources, Failure> {
    const MOST: usize = 16 << 20;
    let text = if path == Path::new("-") {
        let mut text = Vec::new();
        let most = u64::try_from(MOST).unwrap_or(u64::MAX);
        let read = std::io::stdin().lock().take(most).read_to_end(&mut text);
        read.map_err(|error| Failure::Usage(format!("--resources: standard input: {error}")))?;
        text
    } else {
        sys::fd::open_read(path)
            .and_then(|file| sys::fd::read_to_end(file, MOST))
            .on_file("read", path)?
    };
    let from_stdin = || PathBuf::from("standard input");
    runtime::parse_resources(&text).map_err(|source| Failure::Malformed {
        path: if path == Path::new("-") {
            from_stdin()
        } else {
            path.to_owned()
        },
        source,
    })
}

fn from_flags(words: &Words) -> Result<LinuxResources, Failure> {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(words.number("cpu-share")?);
    cpu.set_quota(words.number("cpu-quota")?);
    cpu.set_period(words.number("cpu-period")?);
    cpu.set_burst(words.number("cpu-burst")?);
    cpu.set_realtime_period(words.number("cpu-rt-period")?);
    cpu.set_realtime_runtime(words.number("cpu-rt-runtime")?);
    cpu.set_idle(words.number("cpu-idle")?);
    let text = |name| -> Result<Option<String>, Failure> {
        let given = words.text(name)?.filter(|text| !text.is_empty());
        Ok(given.map(str::to_owned))
    };
    cpu.set_cpus(text("cpuset-cpus")?);
    cpu.set_mems(text("cpuset-mems")?);
    let mut memory = LinuxMemory::default();
    memory.set_limit(bytes(words, "memory")?);
    memory.set_reservation(bytes(words, "memory-reservation")?);
    memory.set_swap(bytes(words, "memory-swap")?);
    let mut io = LinuxBlockIo::default();
    io.set_weight(words.number("blkio-weight")?);
    // As with runc, which takes 0 for what was not asked for.
    let asked = words.number("pids-limit")?.filter(|limit| *limit != 0);
    let pids = asked.map(|limit| {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        pids
    });
    let mut resources = LinuxResources::default();
    resources.set_cpu(Some(cpu));
    resources.set_memory(Some(memory));
    resources.set_block_io(Some(io));
    resources.set_pids(pids);
    // What a default has of itself is not what was asked for.
    resources.set_devices(None);
    Ok(resources)
}

/// A size as in `64M`, or -1.
fn bytes(words: &Words, name: &str) -> Result<Option<i64>, Failure> {
    match words.text(name)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some("-1") => Ok(Some(-1)),
        Some(text) => types::parse_bytes(text).map(Some).map_err(|_| {
            let message = format!("invalid value {text:?} for {name}: a size as in 64M, or -1");
            Failure::Usage(message)
        }),
    }
}

/// The part of the configuration that names only what changes; none if nothing does.
fn shares(words: &Words, spec: &Spec) -> Result<Option<LinuxIntelRdt>, Failure> {
    let text = |name| -> Result<Option<String>, Failure> {
        let given = words.text(name)?.filter(|text| !text.is_empty());
        Ok(given.map(str::to_owned))
    };
    let (cache, bandwidth) = (text("l3-cache-schema")?, text("mem-bw-schema")?);
    if cache.is_none() && bandwidth.is_none() {
        return Ok(None);
    }
    let had = shares_of(spec);
    let mut new = LinuxIntelRdt::default();
    new.set_clos_id(had.clos_id().clone());
    new.set_l3_cache_schema(cache);
    new.set_mem_bw_schema(bandwidth);
    Ok(Some(new))
}

fn shares_of(spec: &Spec) -> LinuxIntelRdt {
    let linux = spec.linux().as_ref();
    let shares = linux.and_then(|linux| linux.intel_rdt().clone());
    shares.unwrap_or_default()
}

fn with_shares(spec: &Spec, shares: LinuxIntelRdt) -> Spec {
    let mut linux = spec.linux().clone().unwrap_or_default();
    linux.set_intel_rdt(Some(shares));
    let mut spec = spec.clone();
    spec.set_linux(Some(linux));
    spec
}

/// Keeps the new schemas beside those that stay.
fn remember_shares(spec: &mut Spec, new: &LinuxIntelRdt) {
    let mut all = shares_of(spec);
    if let Some(cache) = new.l3_cache_schema() {
        all.set_l3_cache_schema(Some(cache.clone()));
    }
    if let Some(bandwidth) = new.mem_bw_schema() {
        all.set_mem_bw_schema(Some(bandwidth.clone()));
    }
    *spec = with_shares(spec, all);
}
