//! What a cgroup has used, as data.

mod block_io;
mod cpu;
mod memory;
mod parse;
mod rest;

use std::collections::BTreeMap;

use super::{Cgroup, Error};

/// All counts of one cgroup. What the machine does not count is zero, empty or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Processors and memory nodes.
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes.
    pub pids: PidsStats,
    /// Block I/O.
    pub block_io: BlockIoStats,
    /// Huge pages, by size as in `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    /// RDMA resources in use, by device.
    pub rdma: BTreeMap<String, RdmaStats>,
}

/// Processor time, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CpuStats {
    /// User and kernel together.
    pub total: u64,
    /// In user mode.
    pub user: u64,
    /// In kernel mode.
    pub kernel: u64,
    /// Total of each processor. Version 1 only, as the next two.
    pub per_cpu: Vec<u64>,
    /// User mode of each processor.
    pub per_cpu_user: Vec<u64>,
    /// Kernel mode of each processor.
    pub per_cpu_kernel: Vec<u64>,
    /// Periods in which the quota was counted.
    pub periods: u64,
    /// Those in which it was used up.
    pub throttled_periods: u64,
    /// How long the cgroup had to wait for that.
    pub throttled_time: u64,
    /// How much the processes waited for processors.
    pub pressure: Option<Pressure>,
}

/// Processors and memory nodes that can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpusetStats {
    /// Processors.
    pub cpus: Vec<u16>,
    /// Memory nodes.
    pub mems: Vec<u16>,
    /// Version 1's switches, by the name of the file after `cpuset.`.
    pub switches: BTreeMap<&'static str, i64>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryStats {
    /// Memory alone.
    pub usage: MemoryUsage,
    /// Memory and swap together.
    pub with_swap: MemoryUsage,
    /// The kernel's. Version 1 only.
    pub kernel: MemoryUsage,
    /// The kernel's for TCP. Version 1 only.
    pub kernel_tcp: MemoryUsage,
    /// Of files.
    pub cache: u64,
    /// All numbers of memory.stat by their names, which differ between the versions.
    pub details: BTreeMap<String, u64>,
    /// How much the processes waited for memory.
    pub pressure: Option<Pressure>,
}

/// One kind of memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// In use.
    pub usage: u64,
    /// The most that was in use; zero where that is not counted.
    pub max: u64,
    /// The limit; `u64::MAX` is none in version 2, a very large number in version 1.
    pub limit: u64,
    /// How often the limit was reached.
    pub failures: u64,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// How many there are.
    pub current: u64,
    /// How many may be; none is no limit.
    pub limit: Option<u64>,
}

/// Block I/O by device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlockIoStats {
    /// Bytes moved.
    pub service_bytes: Vec<DeviceCount>,
    /// Operations done.
    pub serviced: Vec<DeviceCount>,
    /// Operations waiting. Version 1 with a scheduler that counts only, as all that follow.
    pub queued: Vec<DeviceCount>,
    /// Nanoseconds from dispatch to completion.
    pub service_time: Vec<DeviceCount>,
    /// Nanoseconds in queues.
    pub wait_time: Vec<DeviceCount>,
    /// Operations merged into others.
    pub merged: Vec<DeviceCount>,
    /// Milliseconds of the device's time.
    pub time: Vec<DeviceCount>,
    /// Sectors moved.
    pub sectors: Vec<DeviceCount>,
    /// How much the processes waited for I/O.
    pub pressure: Option<Pressure>,
}

/// One count of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCount {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// What is counted: `Read`, `Write`, `Total` and others; empty where there is only one.
    pub operation: String,
    /// The count.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HugetlbStats {
    /// In use.
    pub usage: u64,
    /// The most that was in use; zero in version 2.
    pub max: u64,
    /// How often the limit was reached.
    pub failures: u64,
}

/// One RDMA device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RdmaStats {
    /// Handles in use.
    pub handles: u64,
    /// Objects in use.
    pub objects: u64,
}

/// How much of the time processes waited (pressure stall information, the kernel's psi.rst).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// At least one of them.
    pub some: PressureShare,
    /// All of them at once.
    pub full: PressureShare,
}

/// A share of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PressureShare {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Microseconds in all.
    pub total: u64,
}

impl Cgroup {
    /// Reads all counts. One that cannot be read, for instance because the cgroup is being removed
    /// meanwhile, counts as missing.
    pub fn stats(&self) -> Result<Stats, Error> {
        if !self.dirs.iter().any(|dir| dir.path.is_dir()) {
            return Err(Error::File {
                action: "read the counts of cgroup",
                path: self.path.clone().into(),
                source: std::io::ErrorKind::NotFound.into(),
            });
        }
        Ok(Stats {
            cpu: self.cpu_stats(),
            cpuset: self.cpuset_stats(),
            memory: self.memory_stats(),
            pids: self.pids_stats(),
            block_io: self.block_io_stats(),
            hugetlb: self.hugetlb_stats(),
            rdma: self.rdma_stats(),
        })
    }

    fn pressure(&self, file: &str) -> Option<Pressure> {
        parse::pressure(&self.v2()?.read(file)?)
    }
}
