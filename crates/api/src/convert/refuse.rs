//! What this version does not honour, as a table: a field, when it counts as set, and what would be
//! accepted instead.

use crate::wire::HostConfig;

use super::Refusal;

/// A field, whether it is set to something this version does not do, and what it would do.
type Row = (&'static str, fn(&HostConfig) -> bool, &'static str);

fn other(text: &str, accepted: &[&str]) -> bool {
    !text.is_empty() && !accepted.contains(&text)
}

const WINDOWS: &str = "it is for Windows containers; leave it out";

const HOST: &[Row] = &[
    (
        "HostConfig.Cgroup",
        |h| !h.cgroup.is_empty(),
        "name the cgroup in HostConfig.CgroupParent",
    ),
    (
        "HostConfig.Isolation",
        |h| other(&h.isolation, &["default"]),
        WINDOWS,
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

fn check(table: &[Row], value: &HostConfig) -> Result<(), Refusal> {
    match table.iter().find(|(_, is_set, _)| is_set(value)) {
        Some((field, _, instead)) => Err(Refusal::Unsupported {
            field,
            instead: (*instead).into(),
        }),
        None => Ok(()),
    }
}

pub(super) fn host_config(host: &HostConfig) -> Result<(), Refusal> {
    check(HOST, host)
}
