//! What a cgroup is to limit, in the words and units of the OCI runtime specification.

use std::collections::BTreeMap;

use super::devices::DeviceRule;

/// Limits of one cgroup. None leaves what the kernel gives a new cgroup. The empty value limits
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory.
    pub memory: Memory,
    /// Processor time and placement.
    pub cpu: Cpu,
    /// Number of processes; below zero is unlimited, and zero counts as one, as systemd has no zero.
    pub pids: Option<i64>,
    /// Block I/O.
    pub block_io: BlockIo,
    /// Huge pages: page size as in `2MB`, and bytes.
    pub hugetlb: Vec<(String, u64)>,
    /// RDMA devices and what of each may be used.
    pub rdma: Vec<Rdma>,
    /// Tag of the network packets sent, `0xAAAABBBB` for the class AAAA:BBBB. Version 1 only.
    pub network_class: Option<u32>,
    /// Network interfaces and the priority of what is sent through them. Version 1 only.
    pub network_priorities: Vec<(String, u32)>,
    /// Files of a version 2 cgroup and what is written to them, line by line, last.
    pub unified: BTreeMap<String, String>,
    /// Access to devices, in order, the last matching rule wins; what no rule matches is denied.
    /// An empty list restricts nothing.
    pub devices: Vec<DeviceRule>,
}

/// Memory limits, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The hard limit; -1 is unlimited.
    pub limit: Option<i64>,
    /// Memory and swap together; -1 is unlimited.
    pub swap: Option<i64>,
    /// Below this much, reclaim spares the cgroup.
    pub reservation: Option<i64>,
    /// The kernel's memory for TCP; -1 is unlimited. Version 1 only.
    pub kernel_tcp: Option<i64>,
    /// Willingness to swap, 0 to 100. Version 1 only.
    pub swappiness: Option<u64>,
    /// Whether the out-of-memory killer is off. Version 1 only.
    pub disable_oom_killer: bool,
    /// Whether [`super::Cgroup::update`] is to refuse a limit below what is in use. Version 1 always
    /// does; version 2 would have the out-of-memory killer make room.
    pub check_before_update: bool,
}

/// Processor limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Relative weight on version 1's scale: 2 to 262144, 1024 in the middle. Zero says nothing.
    pub shares: Option<u64>,
    /// Microseconds of processor time per period; below zero is unlimited, zero says nothing.
    pub quota: Option<i64>,
    /// Microseconds in which `quota` is counted. Zero says nothing.
    pub period: Option<u64>,
    /// Microseconds that may be saved up.
    pub burst: Option<u64>,
    /// 1 makes the cgroup run only when nothing else does.
    pub idle: Option<i64>,
    /// Real-time microseconds per real-time period. Version 1 only.
    pub realtime_runtime: Option<i64>,
    /// The real-time period. Version 1 only.
    pub realtime_period: Option<u64>,
    /// Processors, as in `0-2,4`.
    pub cpus: Option<String>,
    /// Memory nodes, as in `0-2,4`.
    pub mems: Option<String>,
}

/// Block I/O limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockIo {
    /// Relative weight on version 1's scale, 10 to 1000. Zero says nothing.
    pub weight: Option<u16>,
    /// Weights of single devices.
    pub weight_device: Vec<DeviceValue>,
    /// Weight of the cgroup's own processes against its children. Version 1 of old kernels only.
    pub leaf_weight: Option<u16>,
    /// The same, of single devices.
    pub leaf_weight_device: Vec<DeviceValue>,
    /// Bytes read per second.
    pub read_bps: Vec<DeviceValue>,
    /// Bytes written per second.
    pub write_bps: Vec<DeviceValue>,
    /// Reads per second.
    pub read_iops: Vec<DeviceValue>,
    /// Writes per second.
    pub write_iops: Vec<DeviceValue>,
}

/// What of one RDMA device may be used; none is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rdma {
    /// The device's name, as in `mlx5_1`.
    pub device: String,
    /// Handles.
    pub handles: Option<u32>,
    /// Objects.
    pub objects: Option<u32>,
}

/// A number for one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceValue {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// The weight or rate.
    pub value: u64,
}
