//! `linux.resources` in the words of `sys::cgroup`. Pure.

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxRdma,
    LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};
use sys::cgroup::{
    BlockIo, Cpu, DeviceAccess, DeviceRule, DeviceType, DeviceValue, Limits, Memory, Mode, Rdma,
};

use crate::error::Error;

/// The limits.
pub(crate) fn limits(resources: &LinuxResources, mode: Mode) -> Result<Limits, Error> {
    if resources
        .unified()
        .as_ref()
        .is_some_and(|map| !map.is_empty())
        && mode != Mode::Unified
    {
        let reason = "names files of cgroup version 2, and this machine has version 1";
        return Err(Error::invalid("linux.resources.unified", reason));
    }
    if let Some(memory) = resources.memory() {
        check_memory(memory)?;
    }
    let hugetlb = resources.hugepage_limits().iter().flatten();
    let bytes = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let network = resources.network().as_ref();
    let priorities = network.and_then(|n| n.priorities().as_deref());
    Ok(Limits {
        memory: resources.memory().as_ref().map(memory).unwrap_or_default(),
        cpu: resources.cpu().as_ref().map(cpu).unwrap_or_default(),
        pids: resources.pids().as_ref().map(|pids| pids.limit()),
        block_io: resources
            .block_io()
            .as_ref()
            .map(block_io)
            .unwrap_or_default(),
        hugetlb: hugetlb
            .map(|one| (one.page_size().clone(), bytes(one.limit())))
            .collect(),
        rdma: rdma(resources),
        network_class: network.and_then(|n| n.class_id()),
        network_priorities: priorities
            .unwrap_or_default()
            .iter()
            .map(|p| (p.name().clone(), p.priority()))
            .collect(),
        unified: resources
            .unified()
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        devices: device_rules(resources)?,
    })
}

/// In the order of the devices' names, so that the same configuration does the same.
fn rdma(resources: &LinuxResources) -> Vec<Rdma> {
    let one = |(device, limits): (&String, &LinuxRdma)| Rdma {
        device: device.clone(),
        handles: limits.hca_handles(),
        objects: limits.hca_objects(),
    };
    let mut all: Vec<Rdma> = resources.rdma().iter().flatten().map(one).collect();
    all.sort_by(|a, b| a.device.cmp(&b.device));
    all
}

fn check_memory(memory: &LinuxMemory) -> Result<(), Error> {
    let all = [
        ("limit", memory.limit()),
        ("reservation", memory.reservation()),
        ("swap", memory.swap()),
        ("kernelTCP", memory.kernel_tcp()),
    ];
    let wrong = all
        .into_iter()
        .find(|(_, value)| value.is_some_and(|value| value < -1));
    let Some((name, Some(value))) = wrong else {
        return Ok(());
    };
    let field = format!("linux.resources.memory.{name}");
    let reason = format!("{value} is no size: bytes, or -1 for unlimited, are expected");
    Err(Error::invalid(&field, &reason))
}

/// The limit of all kernel memory is left out: the kernel has dropped them. So is `useHierarchy`: every
/// hierarchy is one.
fn memory(memory: &LinuxMemory) -> Memory {
    Memory {
        limit: memory.limit(),
        swap: memory.swap(),
        reservation: memory.reservation(),
        kernel_tcp: memory.kernel_tcp(),
        swappiness: memory.swappiness(),
        disable_oom_killer: memory.disable_oom_killer().unwrap_or(false),
        check_before_update: memory.check_before_update().unwrap_or(false),
    }
}

fn cpu(cpu: &LinuxCpu) -> Cpu {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Cpu {
        shares: cpu.shares(),
        quota: cpu.quota(),
        period: cpu.period(),
        burst: cpu.burst(),
        idle: cpu.idle(),
        realtime_runtime: cpu.realtime_runtime(),
        realtime_period: cpu.realtime_period(),
        cpus: given(cpu.cpus()),
        mems: given(cpu.mems()),
    }
}

fn block_io(io: &LinuxBlockIo) -> BlockIo {
    let rates = |devices: &Option<Vec<LinuxThrottleDevice>>| -> Vec<DeviceValue> {
        let value = |device: &LinuxThrottleDevice| DeviceValue {
            major: device.major(),
            minor: device.minor(),
            value: device.rate(),
        };
        devices.iter().flatten().map(value).collect()
    };
    let weights = |weight: fn(&LinuxWeightDevice) -> Option<u16>| -> Vec<DeviceValue> {
        let value = |device: &LinuxWeightDevice| {
            Some(DeviceValue {
                major: device.major(),
                minor: device.minor(),
                value: weight(device).filter(|w| *w != 0)?.into(),
            })
        };
        io.weight_device()
            .iter()
            .flatten()
            .filter_map(value)
            .collect()
    };
    BlockIo {
        weight: io.weight(),
        weight_device: weights(LinuxWeightDevice::weight),
        leaf_weight: io.leaf_weight(),
        leaf_weight_device: weights(LinuxWeightDevice::leaf_weight),
        read_bps: rates(io.throttle_read_bps_device()),
        write_bps: rates(io.throttle_write_bps_device()),
        read_iops: rates(io.throttle_read_iops_device()),
        write_iops: rates(io.throttle_write_iops_device()),
    }
}

/// What every container may use whatever the rules say, as in every runtime: kind, major, minor,
/// access.
const ALWAYS: [(DeviceType, Option<u32>, Option<u32>, &str); 10] = [
    (DeviceType::Char, None, None, "m"),
    (DeviceType::Block, None, None, "m"),
    (DeviceType::Char, Some(1), Some(3), "rwm"),
    (DeviceType::Char, Some(1), Some(5), "rwm"),
    (DeviceType::Char, Some(1), Some(7), "rwm"),
    (DeviceType::Char, Some(1), Some(8), "rwm"),
    (DeviceType::Char, Some(1), Some(9), "rwm"),
    (DeviceType::Char, Some(5), Some(0), "rwm"),
    (DeviceType::Char, Some(5), Some(2), "rwm"),
    (DeviceType::Char, Some(136), None, "rwm"),
];

/// The rules in order, then those for what every container has. No rules restrict nothing.
pub(super) fn device_rules(resources: &LinuxResources) -> Result<Vec<DeviceRule>, Error> {
    let asked = resources.devices().as_deref().unwrap_or_default();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut rules = asked
        .iter()
        .map(device_rule)
        .collect::<Result<Vec<_>, _>>()?;
    let allows_all = |rule: &DeviceRule| rule.allow && rule.kind == DeviceType::All;
    if !rules.last().is_some_and(allows_all) {
        rules.extend(ALWAYS.iter().filter_map(|(kind, major, minor, access)| {
            Some(DeviceRule {
                kind: *kind,
                major: *major,
                minor: *minor,
                access: DeviceAccess::parse(access)?,
                allow: true,
            })
        }));
    }
    Ok(rules)
}

fn device_rule(rule: &LinuxDeviceCgroup) -> Result<DeviceRule, Error> {
    let invalid = |reason: &str| Error::invalid("linux.resources.devices", reason);
    let number = |n: Option<i64>| match n {
        None | Some(-1) => Ok(None),
        Some(n) => u32::try_from(n)
            .map(Some)
            .map_err(|_| invalid("a device number is negative")),
    };
    // An `a` says nothing more, as in runc.
    let access = rule.access().as_deref().unwrap_or_default();
    let access = access.replace('a', "");
    let access = if access.is_empty() { "rwm" } else { &access };
    Ok(DeviceRule {
        kind: match rule.typ().unwrap_or_default() {
            LinuxDeviceType::A => DeviceType::All,
            LinuxDeviceType::C | LinuxDeviceType::U => DeviceType::Char,
            LinuxDeviceType::B => DeviceType::Block,
            LinuxDeviceType::P => return Err(invalid("a pipe is no device")),
        },
        major: number(rule.major())?,
        minor: number(rule.minor())?,
        access: DeviceAccess::parse(access).ok_or_else(|| invalid("access is made of r, w, m"))?,
        allow: rule.allow(),
    })
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{LinuxDeviceCgroupBuilder, LinuxResourcesBuilder};

    use super::*;

    #[test]
    fn usual_devices_are_always_allowed() {
        let deny = LinuxDeviceCgroupBuilder::default()
            .allow(false)
            .access("rwm")
            .build()
            .unwrap();
        let resources = LinuxResourcesBuilder::default()
            .devices(vec![deny])
            .build()
            .unwrap();
        let rules = device_rules(&resources).unwrap();
        assert_eq!(rules.len(), 1 + ALWAYS.len());
        assert!(!rules[0].allow && rules[0].kind == DeviceType::All);
    }
}
