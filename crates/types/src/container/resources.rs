//! Limits, in the units of Docker's API.

use serde::{Deserialize, Serialize};

use crate::Bandwidth;

/// What a container may use. None means no limit, or the kernel's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<i64>,
    /// Bytes of memory and swap together; -1 is unlimited swap. None with `memory` means twice it.
    pub memory_swap: Option<i64>,
    /// Bytes of memory under which reclaim spares it.
    pub memory_reservation: Option<i64>,
    /// Willingness to swap, 0 to 100 (cgroup v1 only).
    pub memory_swappiness: Option<u8>,
    /// Whether the out-of-memory killer is off (cgroup v1 only).
    pub oom_kill_disable: bool,
    /// Billionths of a processor.
    pub nano_cpus: Option<i64>,
    /// Relative weight, 2 to 262144, 1024 in the middle.
    pub cpu_shares: Option<u64>,
    /// Microseconds in which `cpu_quota` is counted.
    pub cpu_period: Option<u64>,
    /// Microseconds of processor time per period.
    pub cpu_quota: Option<i64>,
    /// Processors, as in `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, as in `0-2,4`.
    pub cpuset_mems: Option<String>,
    /// Number of processes; -1 is unlimited.
    pub pids_limit: Option<i64>,
    /// Resource limits, getrlimit(2).
    pub ulimits: Vec<Ulimit>,
    /// Devices of the host.
    pub devices: Vec<DeviceRequest>,
    /// Adjustment of the out-of-memory killer's score, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// The cgroup under which the container's own is made; none means the daemon's setting.
    pub cgroup_parent: Option<String>,
    /// Bytes a second on each of its networks.
    #[serde(skip_serializing_if = "no_limits")]
    pub bandwidth: Bandwidth,
}

fn no_limits(bandwidth: &Bandwidth) -> bool {
    *bandwidth == Bandwidth::default()
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// The name in lower case without prefix: `nofile`.
    pub name: String,
    /// -1 is unlimited.
    pub soft: i64,
    /// -1 is unlimited.
    pub hard: i64,
}

impl Ulimit {
    /// The names people may set, getrlimit(2). Docker leaves out `as`.
    pub const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
}

/// One `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Path on the host: a device, or a directory of devices.
    pub host_path: String,
    /// Path inside.
    pub container_path: String,
    /// Some of `r`, `w` and `m`.
    pub permissions: String,
}
