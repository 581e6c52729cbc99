//! runc's words for what a container uses (its `types/events.go` documents them). Counts that are
//! zero are mostly left out, as there.

use std::collections::BTreeMap;

use serde::Serialize;
use sys::cgroup::{
    BlockIoStats, CpuStats, CpusetStats, DeviceCount, HugetlbStats, MemoryStats, MemoryUsage,
    PidsStats, Pressure, PressureShare,
};

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, Hugetlb>,
    /// Of groups that this runtime does not make.
    intel_rdt: BTreeMap<String, u64>,
    /// Networks are not the runtime's.
    network_interfaces: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Serialize)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_user: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Debug, Serialize)]
struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpus: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mems: Vec<u16>,
    cpu_exclusive: i64,
    mem_hardwall: i64,
    mem_exclusive: i64,
    memory_migrate: i64,
    memory_spread_page: i64,
    memory_spread_slab: i64,
    memory_pressure: i64,
    sched_load_balance: i64,
    sched_relax_domain_level: i64,
}

#[derive(Debug, Serialize)]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: MemoryEntry,
    swap: MemoryEntry,
    kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Serialize)]
struct MemoryEntry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    io_queued_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sectors_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Serialize)]
struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    op: String,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

#[derive(Debug, Serialize)]
struct Hugetlb {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Serialize)]
struct Psi {
    some: PsiShare,
    full: PsiShare,
}

#[derive(Debug, Serialize)]
struct PsiShare {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total: u64,
}

impl From<sys::cgroup::Stats> for Stats {
    fn from(stats: sys::cgroup::Stats) -> Self {
        let hugetlb = stats.hugetlb.into_iter();
        Self {
            cpu: stats.cpu.into(),
            cpuset: stats.cpuset.into(),
            memory: stats.memory.into(),
            pids: stats.pids.into(),
            blkio: stats.block_io.into(),
            hugetlb: hugetlb.map(|(size, one)| (size, one.into())).collect(),
            intel_rdt: BTreeMap::new(),
            network_interfaces: None,
        }
    }
}

impl From<CpuStats> for Cpu {
    fn from(cpu: CpuStats) -> Self {
        Self {
            usage: CpuUsage {
                total: cpu.total,
                percpu: cpu.per_cpu,
                percpu_kernel: cpu.per_cpu_kernel,
                percpu_user: cpu.per_cpu_user,
                kernel: cpu.kernel,
                user: cpu.user,
            },
            throttling: Throttling {
                periods: cpu.periods,
                throttled_periods: cpu.throttled_periods,
                throttled_time: cpu.throttled_time,
            },
            psi: cpu.pressure.map(Psi::from),
        }
    }
}

impl From<CpusetStats> for Cpuset {
    fn from(set: CpusetStats) -> Self {
        let switch = |name: &str| set.switches.get(name).copied().unwrap_or(0);
        Self {
            cpu_exclusive: switch("cpu_exclusive"),
            mem_hardwall: switch("mem_hardwall"),
            mem_exclusive: switch("mem_exclusive"),
            memory_migrate: switch("memory_migrate"),
            memory_spread_page: switch("memory_spread_page"),
            memory_spread_slab: switch("memory_spread_slab"),
            memory_pressure: switch("memory_pressure"),
            sched_load_balance: switch("sched_load_balance"),
            sched_relax_domain_level: switch("sched_relax_domain_level"),
            cpus: set.cpus,
            mems: set.mems,
        }
    }
}

impl From<MemoryStats> for Memory {
    fn from(memory: MemoryStats) -> Self {
        Self {
            cache: memory.cache,
            usage: memory.usage.into(),
            swap: memory.with_swap.into(),
            kernel: memory.kernel.into(),
            kernel_tcp: memory.kernel_tcp.into(),
            raw: memory.details,
            psi: memory.pressure.map(Psi::from),
        }
    }
}

impl From<MemoryUsage> for MemoryEntry {
    fn from(memory: MemoryUsage) -> Self {
        Self {
            limit: memory.limit,
            usage: memory.usage,
            max: memory.max,
            failcnt: memory.failures,
        }
    }
}

impl From<PidsStats> for Pids {
    fn from(pids: PidsStats) -> Self {
        Self {
            current: pids.current,
            limit: pids.limit.unwrap_or(0),
        }
    }
}

impl From<BlockIoStats> for Blkio {
    fn from(io: BlockIoStats) -> Self {
        let entries = |counts: Vec<DeviceCount>| counts.into_iter().map(BlkioEntry::from).collect();
        Self {
            io_service_bytes_recursive: entries(io.service_bytes),
            io_serviced_recursive: entries(io.serviced),
            io_queued_recursive: entries(io.queued),
            io_service_time_recursive: entries(io.service_time),
            io_wait_time_recursive: entries(io.wait_time),
            io_merged_recursive: entries(io.merged),
            io_time_recursive: entries(io.time),
            sectors_recursive: entries(io.sectors),
            psi: io.pressure.map(Psi::from),
        }
    }
}

impl From<DeviceCount> for BlkioEntry {
    fn from(count: DeviceCount) -> Self {
        Self {
            major: count.major,
            minor: count.minor,
            op: count.operation,
            value: count.value,
        }
    }
}

impl From<HugetlbStats> for Hugetlb {
    fn from(pages: HugetlbStats) -> Self {
        Self {
            usage: pages.usage,
            max: pages.max,
            failcnt: pages.failures,
        }
    }
}

impl From<Pressure> for Psi {
    fn from(pressure: Pressure) -> Self {
        Self {
            some: pressure.some.into(),
            full: pressure.full.into(),
        }
    }
}

impl From<PressureShare> for PsiShare {
    fn from(share: PressureShare) -> Self {
        Self {
            avg10: share.avg10,
            avg60: share.avg60,
            avg300: share.avg300,
            total: share.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_are_runcs() {
        let mut stats = sys::cgroup::Stats::default();
        stats.cpu.total = 5;
        stats.cpu.throttled_periods = 2;
        stats.memory.usage.limit = u64::MAX;
        stats.memory.details.insert("anon".to_owned(), 7);
        stats.pids.current = 3;
        stats.block_io.serviced.push(DeviceCount {
            major: 8,
            minor: 0,
            operation: "Read".to_owned(),
            value: 1,
        });
        stats.block_io.pressure = Some(Pressure::default());
        stats
            .hugetlb
            .insert("2MB".to_owned(), HugetlbStats::default());
        let entry = json!({"limit": 0, "failcnt": 0});
        let share = json!({"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0});
        assert_eq!(
            serde_json::to_value(Stats::from(stats)).unwrap(),
            json!({
                "cpu": {
                    "usage": {"total": 5, "kernel": 0, "user": 0},
                    "throttling": {"throttledPeriods": 2},
                },
                "cpuset": {
                    "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0,
                    "memory_migrate": 0, "memory_spread_page": 0, "memory_spread_slab": 0,
                    "memory_pressure": 0, "sched_load_balance": 0, "sched_relax_domain_level": 0,
                },
                "memory": {
                    "usage": {"limit": u64::MAX, "failcnt": 0},
                    "swap": entry, "kernel": entry, "kernelTCP": entry,
                    "raw": {"anon": 7},
                },
                "pids": {"current": 3},
                "blkio": {
                    "ioServicedRecursive": [{"major": 8, "op": "Read", "value": 1}],
                    "psi": {"some": share, "full": share},
                },
                "hugetlb": {"2MB": {"failcnt": 0}},
                "intel_rdt": {},
                "network_interfaces": null,
            })
        );
    }
}
