//! Limits.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use types::Resources;

use super::{Error, RenderInput, devices};

/// Microseconds in which `--cpus` counts.
const PERIOD: u64 = 100_000;

pub(super) fn resources(input: &RenderInput<'_>) -> Result<LinuxResources, Error> {
    let mut resources = limits(&input.spec.resources);
    resources.set_devices(Some(devices::rules(input)?));
    Ok(resources)
}

/// The part of them that can be changed while it runs.
pub(crate) fn limits(asked: &Resources) -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources.set_memory(memory(asked));
    resources.set_cpu(cpu(asked));
    resources.set_pids(pids(asked));
    resources
}

fn memory(asked: &Resources) -> Option<LinuxMemory> {
    let limit = asked.memory.filter(|m| *m != 0);
    let mut memory = LinuxMemory::default();
    memory.set_limit(limit);
    // As much swap as memory, unless something else is said.
    let double = limit.filter(|l| *l > 0).map(|l| l.saturating_mul(2));
    memory.set_swap(asked.memory_swap.filter(|s| *s != 0).or(double));
    memory.set_reservation(asked.memory_reservation.filter(|r| *r != 0));
    memory.set_swappiness(asked.memory_swappiness.map(u64::from));
    memory.set_disable_oom_killer(asked.oom_kill_disable.then_some(true));
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu(asked: &Resources) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(asked.cpu_shares.filter(|s| *s != 0));
    cpu.set_period(asked.cpu_period.filter(|p| *p != 0));
    cpu.set_quota(asked.cpu_quota.filter(|q| *q != 0));
    if let Some(nanos) = asked.nano_cpus.filter(|n| *n > 0) {
        cpu.set_period(Some(PERIOD));
        // 1,000,000,000 of these are the whole period of 100,000.
        cpu.set_quota(Some(nanos / 10_000));
    }
    cpu.set_cpus(asked.cpuset_cpus.clone().filter(|c| !c.is_empty()));
    cpu.set_mems(asked.cpuset_mems.clone().filter(|m| !m.is_empty()));
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn pids(asked: &Resources) -> Option<LinuxPids> {
    let limit = asked.pids_limit.filter(|p| *p != 0)?;
    let mut pids = LinuxPids::default();
    pids.set_limit(limit.max(-1));
    Some(pids)
}
