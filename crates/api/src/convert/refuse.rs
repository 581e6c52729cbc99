//! What this version does not honour, as a table: a field, when it counts as set, and what would be
//! accepted instead.

use crate::wire::{ContainerConfig, HostConfig};

use super::Refusal;

/// A field, whether it is set to something this version does not do, and what it would do.
type Row<T> = (&'static str, fn(&T) -> bool, &'static str);

fn some<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

fn other(text: &str, accepted: &[&str]) -> bool {
    !text.is_empty() && !accepted.contains(&text)
}

const LEAVE: &str = "leave it out";
const NAMESPACE: &str = "every container has a namespace of its own; leave it out or say private";
const BLOCK_IO: &str = "block I/O cannot be limited yet; leave it out";
const WINDOWS: &str = "it is for Windows containers; leave it out";

const CONFIG: &[Row<ContainerConfig>] = &[
    (
        "Healthcheck",
        |c| {
            c.healthcheck
                .as_ref()
                .is_some_and(|h| !matches!(h.test.first().map(String::as_str), None | Some("NONE")))
        },
        "health is not checked yet; leave it out or give the test NONE",
    ),
    (
        "NetworkDisabled",
        |c| c.network_disabled,
        "use HostConfig.NetworkMode none",
    ),
];

const HOST: &[Row<HostConfig>] = &[
    (
        "HostConfig.CgroupnsMode",
        |h| other(&h.cgroupns_mode, &["private"]),
        NAMESPACE,
    ),
    (
        "HostConfig.IpcMode",
        |h| other(&h.ipc_mode, &["private", "default"]),
        NAMESPACE,
    ),
    (
        "HostConfig.PidMode",
        |h| other(&h.pid_mode, &["private", "default"]),
        NAMESPACE,
    ),
    (
        "HostConfig.UTSMode",
        |h| other(&h.uts_mode, &["private", "default"]),
        NAMESPACE,
    ),
    (
        // Users are never mapped, which is what `host` asks for.
        "HostConfig.UsernsMode",
        |h| other(&h.userns_mode, &["host", "default"]),
        "users are not mapped yet; leave it out or say host",
    ),
    ("HostConfig.Cgroup", |h| !h.cgroup.is_empty(), NAMESPACE),
    (
        "HostConfig.Runtime",
        |h| other(&h.runtime, &["brig"]),
        "the runtime is chosen by the daemon's configuration; leave it out or say brig",
    ),
    (
        "HostConfig.Isolation",
        |h| other(&h.isolation, &["default"]),
        WINDOWS,
    ),
    ("HostConfig.BlkioWeight", |h| h.blkio_weight != 0, BLOCK_IO),
    (
        "HostConfig.BlkioWeightDevice",
        |h| some(h.blkio_weight_device.as_ref()),
        BLOCK_IO,
    ),
    (
        "HostConfig.BlkioDeviceReadBps",
        |h| some(h.blkio_device_read_bps.as_ref()),
        BLOCK_IO,
    ),
    (
        "HostConfig.BlkioDeviceWriteBps",
        |h| some(h.blkio_device_write_bps.as_ref()),
        BLOCK_IO,
    ),
    (
        "HostConfig.BlkioDeviceReadIOps",
        |h| some(h.blkio_device_read_iops.as_ref()),
        BLOCK_IO,
    ),
    (
        "HostConfig.BlkioDeviceWriteIOps",
        |h| some(h.blkio_device_write_iops.as_ref()),
        BLOCK_IO,
    ),
    (
        "HostConfig.CpuRealtimePeriod",
        |h| h.cpu_realtime_period != 0,
        LEAVE,
    ),
    (
        "HostConfig.CpuRealtimeRuntime",
        |h| h.cpu_realtime_runtime != 0,
        LEAVE,
    ),
    (
        "HostConfig.DeviceCgroupRules",
        |h| some(h.device_cgroup_rules.as_ref()),
        "name the devices in HostConfig.Devices",
    ),
    (
        "HostConfig.DeviceRequests",
        |h| some(h.device_requests.as_ref()),
        "name the devices in HostConfig.Devices",
    ),
    (
        "HostConfig.KernelMemory",
        |h| h.kernel_memory > 0,
        "kernels count it in Memory; limit that",
    ),
    (
        "HostConfig.KernelMemoryTCP",
        |h| h.kernel_memory_tcp > 0,
        "kernels count it in Memory; limit that",
    ),
    ("HostConfig.CpuCount", |h| h.cpu_count != 0, WINDOWS),
    ("HostConfig.CpuPercent", |h| h.cpu_percent != 0, WINDOWS),
    (
        "HostConfig.IOMaximumIOps",
        |h| h.io_maximum_iops != 0,
        WINDOWS,
    ),
    (
        "HostConfig.IOMaximumBandwidth",
        |h| h.io_maximum_bandwidth != 0,
        WINDOWS,
    ),
];

fn check<T>(table: &[Row<T>], value: &T) -> Result<(), Refusal> {
    match table.iter().find(|(_, is_set, _)| is_set(value)) {
        Some((field, _, instead)) => Err(Refusal::Unsupported {
            field,
            instead: (*instead).into(),
        }),
        None => Ok(()),
    }
}

pub(super) fn config(config: &ContainerConfig) -> Result<(), Refusal> {
    check(CONFIG, config)
}

pub(super) fn host_config(host: &HostConfig) -> Result<(), Refusal> {
    check(HOST, host)
}
