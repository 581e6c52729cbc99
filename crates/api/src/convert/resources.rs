//! Limits: what needs no look at the machine is checked here.

use types::{Bandwidth, Rate, Resources, RestartPolicy, Ulimit};

use super::create::said;
use super::{Refusal, block_io, devices, refuse};
use crate::wire::{self, HostConfig, NetRate};

const LEAST_MEMORY: i64 = 6 << 20;

pub(super) fn resources(host: &HostConfig) -> Result<Resources, Refusal> {
    memory(host)?;
    cpu(host)?;
    Ok(Resources {
        memory: set(host.memory),
        memory_swap: set(host.memory_swap),
        memory_reservation: set(host.memory_reservation),
        memory_swappiness: swappiness(host.memory_swappiness)?,
        oom_kill_disable: host.oom_kill_disable.unwrap_or(false),
        nano_cpus: set(host.nano_cpus),
        cpu_shares: cpu_shares(host.cpu_shares)?,
        cpu_period: unsigned("HostConfig.CpuPeriod", host.cpu_period)?,
        cpu_quota: set(host.cpu_quota),
        cpuset_cpus: cpu_list("cpuset cpus", &host.cpuset_cpus)?,
        cpuset_mems: cpu_list("cpuset mems", &host.cpuset_mems)?,
        pids_limit: host.pids_limit.filter(|n| *n > 0),
        ulimits: ulimits(host.ulimits.as_deref().unwrap_or_default())?,
        devices: devices::devices(host.devices.as_deref().unwrap_or_default())?,
        device_rules: devices::rules(host.device_cgroup_rules.as_deref().unwrap_or_default())?,
        cdi: devices::requests(host.device_requests.as_deref().unwrap_or_default())?,
        block_io: block_io::block_io(host)?,
        cpu_rt_period: unsigned("HostConfig.CpuRealtimePeriod", host.cpu_realtime_period)?,
        cpu_rt_runtime: set(host.cpu_realtime_runtime),
        oom_score_adj: oom_score_adj(host.oom_score_adj)?,
        cgroup_parent: said(host.cgroup_parent.clone()),
        bandwidth: Bandwidth::default().changed(bandwidth(host)?),
    })
}

/// `POST /containers/{id}/update`: what is not said stays as it is.
pub(super) fn resources_change(host: &HostConfig) -> Result<Resources, Refusal> {
    refuse::host_config(host)?;
    // Swap alone is well if there is a limit of memory already.
    let alone = HostConfig {
        memory_swap: if host.memory == 0 {
            0
        } else {
            host.memory_swap
        },
        ..host.clone()
    };
    Ok(Resources {
        memory_swap: set(host.memory_swap),
        // Zero lifts the limit here.
        pids_limit: host.pids_limit.map(|n| if n > 0 { n } else { -1 }),
        bandwidth: bandwidth(host)?,
        ..resources(&alone)?
    })
}

/// The same of the restart policy; none if nothing is said of it.
pub(super) fn restart_change(host: &HostConfig) -> Result<Option<RestartPolicy>, Refusal> {
    let asked = &host.restart_policy;
    if asked.name.is_empty() && asked.maximum_retry_count == 0 {
        return Ok(None);
    }
    RestartPolicy::from_parts(&asked.name, asked.maximum_retry_count)
        .map(Some)
        .map_err(|error| Refusal::invalid("HostConfig.RestartPolicy", error.to_string()))
}

fn bandwidth(host: &HostConfig) -> Result<Bandwidth, Refusal> {
    Ok(Bandwidth {
        ingress: rate("HostConfig.NetIngress", host.net_ingress.as_ref())?,
        egress: rate("HostConfig.NetEgress", host.net_egress.as_ref())?,
    })
}

fn rate(field: &'static str, asked: Option<&NetRate>) -> Result<Option<Rate>, Refusal> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    let rate = Rate {
        bytes: asked.rate,
        burst: Some(asked.burst).filter(|burst| *burst != 0),
    };
    match rate.fault() {
        Some(reason) => Err(Refusal::invalid(field, reason)),
        None => Ok(Some(rate)),
    }
}

/// Zero is not said.
fn set(number: i64) -> Option<i64> {
    Some(number).filter(|n| *n != 0)
}

fn cpu_shares(number: i64) -> Result<Option<u64>, Refusal> {
    let invalid = "value must be a positive integer";
    unsigned("HostConfig.CpuShares", number)
        .map_err(|_| Refusal::Said(format!("invalid CPU shares ({number}): {invalid}")))
}

fn unsigned(field: &'static str, number: i64) -> Result<Option<u64>, Refusal> {
    match u64::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Refusal::invalid(
            field,
            format!("{number} is less than nothing"),
        )),
    }
}

fn memory(host: &HostConfig) -> Result<(), Refusal> {
    let HostConfig {
        memory,
        memory_swap: swap,
        memory_reservation: reservation,
        ..
    } = *host;
    let refuse = |field, text: &str| Err(Refusal::invalid(field, text));
    let (field, swap_field) = ("HostConfig.Memory", "HostConfig.MemorySwap");
    if memory != 0 && memory < LEAST_MEMORY {
        return refuse(field, "Minimum memory limit allowed is 6MB");
    }
    if swap < -1 {
        return refuse(swap_field, "bytes, 0 or -1 (unlimited) are expected");
    }
    if memory > 0 && swap > 0 && swap < memory {
        return refuse(
            swap_field,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        );
    }
    if memory == 0 && swap > 0 {
        return refuse(
            swap_field,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    if reservation != 0 && reservation < LEAST_MEMORY {
        return refuse(
            "HostConfig.MemoryReservation",
            "Minimum memory reservation allowed is 6MB",
        );
    }
    if memory > 0 && memory < reservation {
        return refuse(
            "HostConfig.MemoryReservation",
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    Ok(())
}

/// -1 is not said.
fn swappiness(value: Option<i64>) -> Result<Option<u8>, Refusal> {
    match value {
        None | Some(-1) => Ok(None),
        Some(number @ 0..=100) => Ok(u8::try_from(number).ok()),
        Some(number) => Err(Refusal::invalid(
            "HostConfig.MemorySwappiness",
            format!("{number}: valid memory swappiness range is 0-100"),
        )),
    }
}

fn cpu(host: &HostConfig) -> Result<(), Refusal> {
    let HostConfig {
        nano_cpus,
        cpu_period: period,
        cpu_quota: quota,
        ..
    } = *host;
    let refuse = |field, text: &str| Err(Refusal::invalid(field, text));
    let conflict = |text| Err(Refusal::Said(format!("Conflicting options: {text}")));
    if nano_cpus < 0 {
        return refuse("HostConfig.NanoCpus", "it is less than nothing");
    }
    if nano_cpus > 0 && nano_cpus < 10_000_000 {
        return refuse("HostConfig.NanoCpus", "CPUs start at 0.01");
    }
    if nano_cpus > 0 && period > 0 {
        return conflict("Nano CPUs and CPU Period cannot both be set");
    }
    if nano_cpus > 0 && quota > 0 {
        return conflict("Nano CPUs and CPU Quota cannot both be set");
    }
    if period != 0 && !(1_000..=1_000_000).contains(&period) {
        return refuse(
            "HostConfig.CpuPeriod",
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if quota > 0 && quota < 1_000 {
        return refuse(
            "HostConfig.CpuQuota",
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        );
    }
    Ok(())
}

/// `0-2,4`. Whether the machine has them is seen when the container is made.
fn cpu_list(field: &'static str, text: &str) -> Result<Option<String>, Refusal> {
    let number = |n: &str| n.trim().parse::<u16>().ok();
    let is_range = |range: &str| match range.split_once('-') {
        Some((first, last)) => number(first)
            .zip(number(last))
            .is_some_and(|(first, last)| first <= last),
        None => number(range).is_some(),
    };
    match text {
        "" => Ok(None),
        _ if text.split(',').all(is_range) => Ok(Some(text.to_owned())),
        _ => Err(Refusal::Said(format!(
            "Invalid value {text} for {field}: numbers and ranges are expected, as in 0-2,4"
        ))),
    }
}

fn ulimits(asked: &[wire::Ulimit]) -> Result<Vec<Ulimit>, Refusal> {
    const FIELD: &str = "HostConfig.Ulimits";
    let convert = |limit: &wire::Ulimit| {
        let wire::Ulimit { name, hard, soft } = limit;
        if !Ulimit::NAMES.contains(&name.as_str()) {
            return Err(Refusal::invalid(
                FIELD,
                format!(
                    "invalid ulimit type: {name}; one of {} is expected",
                    Ulimit::NAMES.join(", ")
                ),
            ));
        }
        if *hard < -1 || *soft < -1 {
            return Err(Refusal::invalid(
                FIELD,
                format!("{name}: a number or -1 (unlimited) is expected"),
            ));
        }
        if *hard != -1 && (soft > hard || *soft == -1) {
            return Err(Refusal::invalid(
                FIELD,
                format!(
                    "{name}: ulimit soft limit must be less than or equal to hard limit: \
                     {soft} > {hard}"
                ),
            ));
        }
        Ok(Ulimit {
            name: name.clone(),
            soft: *soft,
            hard: *hard,
        })
    };
    asked.iter().map(convert).collect()
}

fn oom_score_adj(value: i64) -> Result<Option<i32>, Refusal> {
    match i32::try_from(value) {
        Ok(0) => Ok(None),
        Ok(score @ -1000..=1000) => Ok(Some(score)),
        _ => Err(Refusal::Said(format!(
            "Invalid value {value}, range for oom score adj is [-1000, 1000]"
        ))),
    }
}
