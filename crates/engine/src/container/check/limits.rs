//! Limits: what contradicts itself is refused, what this kernel cannot keep is dropped with a
//! warning, as Docker does.

use std::collections::BTreeSet;

use sys::cgroup::Capabilities;
use types::{Bandwidth, Rate, Resources};

use super::Invalid;
use crate::host::Host;

const MIB: i64 = 1024 * 1024;
/// Below this the runtime itself does not fit.
const LEAST_MEMORY: i64 = 6 * MIB;

/// What the machine can limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::container) struct Machine {
    pub(in crate::container) cgroups: Capabilities,
    pub(in crate::container) cpus: usize,
    /// Whether real-time scheduling can be limited.
    pub(in crate::container) realtime: bool,
    /// Processors and memory nodes there are, as in `0-2,4`.
    pub(in crate::container) available: (String, String),
}

impl Machine {
    pub(in crate::container) fn of(host: &Host) -> Self {
        Self {
            cgroups: host.facts.cgroups,
            cpus: host.cpus,
            realtime: host.realtime,
            available: host.available.clone(),
        }
    }
}

/// A limit that cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are named as in the sentences")]
pub enum Limit {
    #[error("Minimum memory limit allowed is 6MB")]
    LeastMemory,
    #[error("Minimum memory reservation allowed is 6MB")]
    LeastReservation,
    #[error("invalid {field}: {value} is negative; a number of bytes is expected")]
    Negative { field: &'static str, value: i64 },
    #[error("Minimum memoryswap limit should be larger than memory limit, see usage")]
    SwapBelowMemory,
    #[error("You should always set the Memory limit when using Memoryswap limit, see usage")]
    SwapAlone,
    #[error("invalid memory-swap: {0} is no number of bytes; -1 means no limit")]
    SwapRange(i64),
    #[error(
        "Memory limit should be smaller than already set memoryswap limit, update the memoryswap \
         at the same time"
    )]
    AboveSwap,
    #[error("Conflicting options: {new} cannot be updated as {old} has already been set")]
    Excludes {
        new: &'static str,
        old: &'static str,
    },
    #[error("{field}: {reason}")]
    Rate {
        field: &'static str,
        reason: &'static str,
    },
    #[error("Minimum memory limit can not be less than memory reservation limit, see usage")]
    MemoryBelowReservation,
    #[error("Invalid value: {0}, valid memory swappiness range is 0-100")]
    Swappiness(u8),
    #[error("Conflicting options: Nano CPUs and CPU Period cannot both be set.")]
    NanoCpusAndPeriod,
    #[error("Conflicting options: Nano CPUs and CPU Quota cannot both be set.")]
    NanoCpusAndQuota,
    #[error(
        "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup \
         is not mounted"
    )]
    NoCpuQuota,
    #[error("range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available")]
    Cpus(usize),
    #[error("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")]
    Period,
    #[error("CPU cfs quota can not be less than 1ms (i.e. 1000)")]
    Quota,
    #[error("Invalid value {value} for cpuset {what}")]
    Cpuset { what: &'static str, value: String },
    #[error("Requested {what} are not available - requested {asked}, available: {available}")]
    CpusetMissing {
        what: &'static str,
        asked: String,
        available: String,
    },
    #[error(
        "Your kernel does not support CPU real-time scheduler: it needs cgroup version 1 and \
         CONFIG_RT_GROUP_SCHED"
    )]
    NoRealtime,
    #[error("cpu real-time runtime cannot be higher than cpu real-time period")]
    RealtimeAbovePeriod,
    #[error("Invalid value {0}, range for oom score adj is [-1000, 1000]")]
    OomScoreAdj(i32),
    #[error("ulimit {name}: soft limit must be less than or equal to hard limit: {soft} > {hard}")]
    Ulimit { name: String, soft: i64, hard: i64 },
}

/// Checks `resources`, drops what the machine cannot keep and returns the warnings.
pub(in crate::container) fn limits(
    resources: &mut Resources,
    machine: &Machine,
) -> Result<Vec<String>, Invalid> {
    let mut warnings = Vec::new();
    memory(resources, machine, &mut warnings).map_err(Invalid::Limit)?;
    swap(resources, machine, &mut warnings).map_err(Invalid::Limit)?;
    cpu(resources, machine, &mut warnings).map_err(Invalid::Limit)?;
    cpuset(resources, machine, &mut warnings).map_err(Invalid::Limit)?;
    realtime(resources, machine).map_err(Invalid::Limit)?;
    block_io(resources, machine, &mut warnings);
    rest(resources, machine, &mut warnings).map_err(Invalid::Limit)?;
    Ok(warnings)
}

fn memory(
    asked: &mut Resources,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), Limit> {
    none_if_zero(&mut asked.memory);
    none_if_zero(&mut asked.memory_swap);
    none_if_zero(&mut asked.memory_reservation);
    for (field, value) in [
        ("memory", asked.memory),
        ("memory-reservation", asked.memory_reservation),
    ] {
        if let Some(value) = value.filter(|v| *v < 0) {
            return Err(Limit::Negative { field, value });
        }
    }
    if asked.memory.is_some_and(|bytes| bytes < LEAST_MEMORY) {
        return Err(Limit::LeastMemory);
    }
    if asked.memory_reservation.is_some_and(|b| b < LEAST_MEMORY) {
        return Err(Limit::LeastReservation);
    }
    if let (Some(memory), Some(reservation)) = (asked.memory, asked.memory_reservation)
        && memory < reservation
    {
        return Err(Limit::MemoryBelowReservation);
    }
    if asked.memory.is_some() && !machine.cgroups.memory {
        warnings.push(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. \
             Limitation discarded."
                .to_owned(),
        );
        (asked.memory, asked.memory_swap) = (None, None);
    }
    if asked.memory_reservation.is_some() && !machine.cgroups.memory_reservation {
        warnings.push(
            "Your kernel does not support memory soft limit capabilities or the cgroup is not \
             mounted. Limitation discarded."
                .to_owned(),
        );
        asked.memory_reservation = None;
    }
    Ok(())
}

fn swap(asked: &mut Resources, machine: &Machine, warnings: &mut Vec<String>) -> Result<(), Limit> {
    match (asked.memory, asked.memory_swap) {
        (_, Some(swap)) if swap < -1 => return Err(Limit::SwapRange(swap)),
        (Some(memory), Some(swap)) if (0..memory).contains(&swap) => {
            return Err(Limit::SwapBelowMemory);
        }
        (None, Some(swap)) if swap > 0 => return Err(Limit::SwapAlone),
        _ => {}
    }
    if let Some(value) = asked.memory_swappiness
        && value > 100
    {
        return Err(Limit::Swappiness(value));
    }
    let limits_swap = asked.memory.is_some() && asked.memory_swap != Some(-1);
    if limits_swap && !machine.cgroups.swap {
        warnings.push(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
             Memory limited without swap."
                .to_owned(),
        );
        asked.memory_swap = Some(-1);
    }
    if asked.memory_swappiness.is_some() && !machine.cgroups.memory_swappiness {
        warnings.push(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not \
             mounted. Memory swappiness discarded."
                .to_owned(),
        );
        asked.memory_swappiness = None;
    }
    if asked.oom_kill_disable && !machine.cgroups.oom_kill_disable {
        warnings.push(
            "Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned(),
        );
        asked.oom_kill_disable = false;
    }
    if asked.oom_kill_disable && asked.memory.is_none() {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result \
             in the system running out of resources."
                .to_owned(),
        );
    }
    Ok(())
}

fn cpu(asked: &mut Resources, machine: &Machine, warnings: &mut Vec<String>) -> Result<(), Limit> {
    none_if_zero(&mut asked.nano_cpus);
    none_if_zero(&mut asked.cpu_quota);
    asked.cpu_period = asked.cpu_period.filter(|period| *period != 0);
    asked.cpu_shares = asked.cpu_shares.filter(|shares| *shares != 0);
    if let Some(nano) = asked.nano_cpus {
        if asked.cpu_period.is_some() {
            return Err(Limit::NanoCpusAndPeriod);
        }
        if asked.cpu_quota.is_some() {
            return Err(Limit::NanoCpusAndQuota);
        }
        if !machine.cgroups.cpu_quota {
            return Err(Limit::NoCpuQuota);
        }
        let most = i64::try_from(machine.cpus).unwrap_or(i64::MAX);
        if nano < 10_000_000 || nano > most.saturating_mul(1_000_000_000) {
            return Err(Limit::Cpus(machine.cpus));
        }
    }
    if asked
        .cpu_period
        .is_some_and(|p| !(1_000..=1_000_000).contains(&p))
    {
        return Err(Limit::Period);
    }
    // -1 is how the kernel spells no quota.
    if asked.cpu_quota.is_some_and(|q| q != -1 && q < 1_000) {
        return Err(Limit::Quota);
    }
    if asked.cpu_shares.is_some() && !machine.cgroups.cpu_shares {
        warnings.push(
            "Your kernel does not support CPU shares or the cgroup is not mounted. Shares \
             discarded."
                .to_owned(),
        );
        asked.cpu_shares = None;
    }
    if (asked.cpu_period.is_some() || asked.cpu_quota.is_some()) && !machine.cgroups.cpu_quota {
        warnings.push(
            "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
                .to_owned(),
        );
        (asked.cpu_period, asked.cpu_quota) = (None, None);
    }
    Ok(())
}

fn cpuset(
    asked: &mut Resources,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), Limit> {
    let (cpus, mems) = &machine.available;
    for (what, name, value, available) in [
        ("cpus", "CPUs", &mut asked.cpuset_cpus, cpus),
        ("mems", "memory nodes", &mut asked.cpuset_mems, mems),
    ] {
        let Some(text) = value.take().filter(|text| !text.is_empty()) else {
            continue;
        };
        let wanted = numbers(&text).ok_or_else(|| Limit::Cpuset {
            what,
            value: text.clone(),
        })?;
        if !machine.cgroups.cpuset {
            warnings.push(
                "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset \
                 discarded."
                    .to_owned(),
            );
            continue;
        }
        let there = numbers(available).unwrap_or_default();
        if !wanted.is_subset(&there) {
            return Err(Limit::CpusetMissing {
                what: name,
                asked: text,
                available: available.clone(),
            });
        }
        *value = Some(text);
    }
    Ok(())
}

fn realtime(asked: &Resources, machine: &Machine) -> Result<(), Limit> {
    let (period, runtime) = (asked.cpu_rt_period, asked.cpu_rt_runtime);
    if (period.is_some() || runtime.is_some()) && !machine.realtime {
        return Err(Limit::NoRealtime);
    }
    match (period, runtime.and_then(|n| u64::try_from(n).ok())) {
        (Some(period), Some(runtime)) if runtime > period => Err(Limit::RealtimeAbovePeriod),
        _ => Ok(()),
    }
}

fn block_io(asked: &mut Resources, machine: &Machine, warnings: &mut Vec<String>) {
    let io = &mut asked.block_io;
    if machine.cgroups.blkio_weight {
        return;
    }
    if io.weight.take().is_some() {
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight \
             discarded."
                .to_owned(),
        );
    }
    if !std::mem::take(&mut io.weight_device).is_empty() {
        warnings.push(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. \
             Weight-device discarded."
                .to_owned(),
        );
    }
}

fn rest(asked: &mut Resources, machine: &Machine, warnings: &mut Vec<String>) -> Result<(), Limit> {
    none_if_zero(&mut asked.pids_limit);
    if asked.pids_limit.is_some_and(|limit| limit > 0) && !machine.cgroups.pids {
        warnings.push(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. \
             PIDs limit discarded."
                .to_owned(),
        );
        asked.pids_limit = None;
    }
    if let Some(score) = asked.oom_score_adj
        && !(-1000..=1000).contains(&score)
    {
        return Err(Limit::OomScoreAdj(score));
    }
    let Bandwidth { ingress, egress } = asked.bandwidth;
    for (field, rate) in [("net-ingress", ingress), ("net-egress", egress)] {
        if let Some(reason) = rate.and_then(Rate::fault) {
            return Err(Limit::Rate { field, reason });
        }
    }
    for ulimit in &asked.ulimits {
        let unlimited = |value: i64| if value < 0 { i64::MAX } else { value };
        if unlimited(ulimit.soft) > unlimited(ulimit.hard) {
            return Err(Limit::Ulimit {
                name: ulimit.name.clone(),
                soft: ulimit.soft,
                hard: ulimit.hard,
            });
        }
    }
    Ok(())
}

/// Docker's API says 0 for "not said".
fn none_if_zero(value: &mut Option<i64>) {
    *value = value.filter(|v| *v != 0);
}

/// The numbers of a list such as `0-2,4`; none if it is no such list. Bounded, as a range of a
/// stranger's choosing would otherwise fill memory.
fn numbers(text: &str) -> Option<BTreeSet<u32>> {
    const MOST: u32 = 8192;
    let mut found = BTreeSet::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return None;
        }
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        found.extend(first..=last);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use types::Ulimit;

    use super::*;

    fn machine() -> Machine {
        Machine {
            cgroups: Capabilities {
                unified: false,
                memory: true,
                swap: true,
                memory_reservation: true,
                memory_swappiness: true,
                oom_kill_disable: true,
                cpu_shares: true,
                cpu_quota: true,
                cpuset: true,
                pids: true,
                blkio_weight: true,
                devices: true,
            },
            cpus: 2,
            realtime: false,
            available: ("0-1".into(), "0".into()),
        }
    }

    fn outcome(machine: &Machine, change: impl FnOnce(&mut Resources)) -> String {
        let mut asked = Resources::default();
        change(&mut asked);
        match limits(&mut asked, machine) {
            Ok(warnings) if warnings.is_empty() => "ok".to_owned(),
            Ok(warnings) => warnings.join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn refusals() {
        type Case = (fn(&mut Resources), &'static str);
        let cases: &[Case] = &[
            (|_| (), "ok"),
            (|r| r.memory = Some(0), "ok"),
            (|r| r.memory = Some(6 * MIB), "ok"),
            (
                |r| r.memory = Some(6 * MIB - 1),
                "Minimum memory limit allowed is 6MB",
            ),
            (
                |r| r.memory = Some(-7),
                "invalid memory: -7 is negative; a number of bytes is expected",
            ),
            (
                |r| (r.memory, r.memory_swap) = (Some(64 * MIB), Some(32 * MIB)),
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                |r| r.memory_swap = Some(32 * MIB),
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                |r| (r.memory, r.memory_swap) = (Some(64 * MIB), Some(-2)),
                "invalid memory-swap: -2 is no number of bytes; -1 means no limit",
            ),
            (
                |r| (r.memory, r.memory_swap) = (Some(64 * MIB), Some(-1)),
                "ok",
            ),
            (
                |r| (r.memory, r.memory_reservation) = (Some(64 * MIB), Some(65 * MIB)),
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                |r| r.nano_cpus = Some(2_000_000_001),
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                |r| r.nano_cpus = Some(-1),
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (|r| r.nano_cpus = Some(2_000_000_000), "ok"),
            (
                |r| (r.nano_cpus, r.cpu_quota) = (Some(10_000_000), Some(1000)),
                "Conflicting options: Nano CPUs and CPU Quota cannot both be set.",
            ),
            (
                |r| r.cpuset_cpus = Some("0-2".into()),
                "Requested CPUs are not available - requested 0-2, available: 0-1",
            ),
            (|r| r.cpuset_cpus = Some("1,0".into()), "ok"),
            (
                |r| r.cpuset_cpus = Some("1-".into()),
                "Invalid value 1- for cpuset cpus",
            ),
            (
                |r| r.cpuset_cpus = Some("0-4294967295".into()),
                "Invalid value 0-4294967295 for cpuset cpus",
            ),
            (
                |r| r.oom_score_adj = Some(1001),
                "Invalid value 1001, range for oom score adj is [-1000, 1000]",
            ),
            (
                |r| {
                    r.ulimits = vec![Ulimit {
                        name: "nofile".into(),
                        soft: -1,
                        hard: 10,
                    }];
                },
                "ulimit nofile: soft limit must be less than or equal to hard limit: -1 > 10",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(outcome(&machine(), change), *expected);
        }
    }

    #[test]
    fn what_the_kernel_cannot_keep_is_dropped() {
        let mut machine = machine();
        machine.cgroups.swap = false;
        let mut asked = Resources {
            memory: Some(64 * MIB),
            ..Resources::default()
        };
        assert_eq!(
            limits(&mut asked, &machine).unwrap(),
            [
                "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
                 Memory limited without swap."
            ]
        );
        assert_eq!(asked.memory_swap, Some(-1));
        machine.cgroups = Capabilities::default();
        let mut asked = Resources {
            memory: Some(64 * MIB),
            memory_swap: Some(128 * MIB),
            cpu_shares: Some(2),
            cpuset_mems: Some("0".into()),
            pids_limit: Some(7),
            oom_kill_disable: true,
            ..Resources::default()
        };
        assert_eq!(limits(&mut asked, &machine).unwrap().len(), 5);
        assert_eq!(asked, Resources::default());
        assert_eq!(
            limits(
                &mut Resources {
                    nano_cpus: Some(10_000_000),
                    ..Resources::default()
                },
                &machine
            )
            .unwrap_err()
            .to_string(),
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the \
             cgroup is not mounted"
        );
    }
}
