//! Processor time.

use super::{CpuStats, CpusetStats, parse};
use crate::cgroup::plan::Version;
use crate::cgroup::{Cgroup, Dir};

const SWITCHES: [&str; 9] = [
    "cpu_exclusive",
    "mem_exclusive",
    "mem_hardwall",
    "memory_migrate",
    "memory_pressure",
    "memory_spread_page",
    "memory_spread_slab",
    "sched_load_balance",
    "sched_relax_domain_level",
];

impl Cgroup {
    pub(super) fn cpu_stats(&self) -> CpuStats {
        let mut stats = CpuStats::default();
        if let Some(dir) = self.controller("cpuacct") {
            times_v1(dir, &mut stats);
        } else if let Some(dir) = self.v2() {
            // Counted in every cgroup, with and without the controller.
            let text = dir.read("cpu.stat").unwrap_or_default();
            let counts = parse::keyed(&text);
            let nanoseconds = |name: &str| counts.get(name).copied().unwrap_or(0) * 1000;
            stats.total = nanoseconds("usage_usec");
            stats.user = nanoseconds("user_usec");
            stats.kernel = nanoseconds("system_usec");
        }
        if let Some(dir) = self.controller("cpu") {
            let text = dir.read("cpu.stat").unwrap_or_default();
            let counts = parse::keyed(&text);
            let count = |name: &str| counts.get(name).copied().unwrap_or(0);
            stats.periods = count("nr_periods");
            stats.throttled_periods = count("nr_throttled");
            stats.throttled_time = match dir.version {
                Version::V1 => count("throttled_time"),
                Version::V2 => count("throttled_usec") * 1000,
            };
        }
        stats.pressure = self.pressure("cpu.pressure");
        stats
    }

    pub(super) fn cpuset_stats(&self) -> CpusetStats {
        let Some(dir) = self.controller("cpuset") else {
            return CpusetStats::default();
        };
        let list = |name: &str| parse::list(&dir.read(name).unwrap_or_default());
        match dir.version {
            Version::V1 => CpusetStats {
                cpus: list("cpuset.cpus"),
                mems: list("cpuset.mems"),
                switches: SWITCHES.iter().filter_map(|s| switch(dir, s)).collect(),
            },
            Version::V2 => CpusetStats {
                cpus: list("cpuset.cpus.effective"),
                mems: list("cpuset.mems.effective"),
                ..CpusetStats::default()
            },
        }
    }
}

fn times_v1(dir: &Dir, stats: &mut CpuStats) {
    stats.total = dir.count("cpuacct.usage");
    stats.user = dir.count("cpuacct.usage_user");
    stats.kernel = dir.count("cpuacct.usage_sys");
    let read = |name: &str| dir.read(name).unwrap_or_default();
    stats.per_cpu = parse::numbers(&read("cpuacct.usage_percpu"));
    (stats.per_cpu_user, stats.per_cpu_kernel) = parse::usage_all(&read("cpuacct.usage_all"));
}

fn switch(dir: &Dir, name: &'static str) -> Option<(&'static str, i64)> {
    let text = dir.read(&format!("cpuset.{name}"))?;
    Some((name, text.trim().parse().ok()?))
}
