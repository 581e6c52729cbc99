//! Memory.

use super::{MemoryStats, MemoryUsage, parse};
use crate::cgroup::plan::Version;
use crate::cgroup::{Cgroup, Dir};

impl Cgroup {
    pub(super) fn memory_stats(&self) -> MemoryStats {
        let mut stats = match self.controller("memory") {
            Some(dir) if dir.version == Version::V1 => v1(dir),
            Some(dir) => v2(dir),
            None => MemoryStats::default(),
        };
        stats.pressure = self.pressure("memory.pressure");
        stats
    }
}

fn v1(dir: &Dir) -> MemoryStats {
    let usage = |kind: &str| MemoryUsage {
        usage: dir.count(&format!("memory.{kind}usage_in_bytes")),
        max: dir.count(&format!("memory.{kind}max_usage_in_bytes")),
        limit: dir.count(&format!("memory.{kind}limit_in_bytes")),
        failures: dir.count(&format!("memory.{kind}failcnt")),
    };
    let details = parse::keyed(&dir.read("memory.stat").unwrap_or_default());
    MemoryStats {
        usage: usage(""),
        with_swap: usage("memsw."),
        kernel: usage("kmem."),
        kernel_tcp: usage("kmem.tcp."),
        cache: details.get("cache").copied().unwrap_or(0),
        details,
        pressure: None,
    }
}

fn v2(dir: &Dir) -> MemoryStats {
    let details = parse::keyed(&dir.read("memory.stat").unwrap_or_default());
    let events = parse::keyed(&dir.read("memory.events").unwrap_or_default());
    let usage = MemoryUsage {
        usage: dir.count("memory.current"),
        max: dir.count("memory.peak"),
        limit: dir.count("memory.max"),
        failures: events.get("max").copied().unwrap_or(0),
    };
    let swap_limit = dir.read("memory.swap.max").map(|text| parse::number(&text));
    let with_swap = swap_limit.map(|limit| MemoryUsage {
        usage: usage.usage + dir.count("memory.swap.current"),
        max: 0,
        limit: usage.limit.saturating_add(limit),
        failures: 0,
    });
    MemoryStats {
        usage,
        with_swap: with_swap.unwrap_or_default(),
        cache: details.get("file").copied().unwrap_or(0),
        details,
        ..MemoryStats::default()
    }
}
