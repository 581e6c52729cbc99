//! Paths of /proc and /sys that a container does not see, or does not change.

use super::RenderInput;

/// What is masked unless said otherwise; this machine's thermal counters come on top.
pub const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What is read-only unless said otherwise.
pub const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

pub(super) fn masked_paths(input: &RenderInput<'_>) -> Option<Vec<String>> {
    let security = &input.spec.security;
    if security.privileged {
        return None;
    }
    let defaults = || {
        let fixed = MASKED.iter().map(|p| (*p).to_owned());
        // They count events by which other tenants' load can be told.
        fixed.chain(input.host.thermal_throttle.clone()).collect()
    };
    let paths = security.masked_paths.clone().unwrap_or_else(defaults);
    (!paths.is_empty()).then_some(paths)
}

pub(super) fn readonly_paths(input: &RenderInput<'_>) -> Option<Vec<String>> {
    let security = &input.spec.security;
    if security.privileged {
        return None;
    }
    let defaults = || READONLY.iter().map(|p| (*p).to_owned()).collect();
    let paths = security.readonly_paths.clone().unwrap_or_else(defaults);
    (!paths.is_empty()).then_some(paths)
}
