//! Limits.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDeviceBuilder,
    LinuxWeightDevice, LinuxWeightDeviceBuilder,
};
use types::{BlockIo, BlockRate, Resources};

use super::{Error, RenderInput, devices};

/// Microseconds in which `--cpus` counts.
const PERIOD: u64 = 100_000;

pub(super) fn resources(input: &RenderInput<'_>) -> Result<LinuxResources, Error> {
    let mut resources = limits(&input.spec.resources, &input.block_devices);
    resources.set_devices(Some(devices::rules(input)?));
    Ok(resources)
}

/// Major and minor numbers of block devices by their paths.
pub(crate) type Numbers = BTreeMap<String, (u32, u32)>;

/// The part of them that can be changed while it runs.
pub(crate) fn limits(asked: &Resources, numbers: &Numbers) -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources.set_memory(memory(asked));
    resources.set_cpu(cpu(asked));
    resources.set_pids(pids(asked));
    resources.set_block_io(block_io(&asked.block_io, numbers));
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
    cpu.set_realtime_period(asked.cpu_rt_period);
    cpu.set_realtime_runtime(asked.cpu_rt_runtime);
    cpu.set_mems(asked.cpuset_mems.clone().filter(|m| !m.is_empty()));
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn pids(asked: &Resources) -> Option<LinuxPids> {
    let limit = asked.pids_limit.filter(|p| *p != 0)?;
    let mut pids = LinuxPids::default();
    pids.set_limit(limit.max(-1));
    Some(pids)
}

fn block_io(asked: &BlockIo, numbers: &Numbers) -> Option<LinuxBlockIo> {
    let rates = |rates: &[BlockRate]| {
        let one = |rate: &BlockRate| {
            let (major, minor) = numbers.get(&rate.path).copied()?;
            let builder = LinuxThrottleDeviceBuilder::default();
            let builder = builder.major(major).minor(minor).rate(rate.value);
            // All three are said: nothing can be missing.
            builder.build().ok()
        };
        let rates: Vec<_> = rates.iter().filter_map(one).collect();
        (!rates.is_empty()).then_some(rates)
    };
    let mut io = LinuxBlockIo::default();
    io.set_weight(asked.weight);
    io.set_weight_device(weights(&asked.weight_device, numbers));
    io.set_throttle_read_bps_device(rates(&asked.read_bps));
    io.set_throttle_write_bps_device(rates(&asked.write_bps));
    io.set_throttle_read_iops_device(rates(&asked.read_iops));
    io.set_throttle_write_iops_device(rates(&asked.write_iops));
    (io != LinuxBlockIo::default()).then_some(io)
}

fn weights(asked: &[BlockRate], numbers: &Numbers) -> Option<Vec<LinuxWeightDevice>> {
    let one = |rate: &BlockRate| {
        let (major, minor) = numbers.get(&rate.path).copied()?;
        let weight = u16::try_from(rate.value).ok()?;
        let builder = LinuxWeightDeviceBuilder::default();
        builder
            .major(major)
            .minor(minor)
            .weight(weight)
            .build()
            .ok()
    };
    let weights: Vec<_> = asked.iter().filter_map(one).collect();
    (!weights.is_empty()).then_some(weights)
}
