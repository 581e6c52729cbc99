//! Limits, in the units of Docker's API.

use std::str::FromStr;

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
    /// Devices that may be used beside those that are there, should somebody make them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_rules: Vec<DeviceRule>,
    /// Devices that others describe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cdi: Vec<CdiRequest>,
    /// Block I/O.
    #[serde(skip_serializing_if = "BlockIo::is_default")]
    pub block_io: BlockIo,
    /// Microseconds in which `cpu_rt_runtime` is counted (cgroup v1 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_rt_period: Option<u64>,
    /// Microseconds of real-time scheduling per period (cgroup v1 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_rt_runtime: Option<i64>,
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

/// What a container may have of block devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockIo {
    /// Relative weight, 10 to 1000.
    pub weight: Option<u16>,
    /// The same for one device.
    pub weight_device: Vec<BlockRate>,
    /// Bytes a second read from a device.
    pub read_bps: Vec<BlockRate>,
    /// Bytes a second written to a device.
    pub write_bps: Vec<BlockRate>,
    /// Operations a second that read from a device.
    pub read_iops: Vec<BlockRate>,
    /// Operations a second that write to a device.
    pub write_iops: Vec<BlockRate>,
}

impl BlockIo {
    /// Whether nothing is limited.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// All devices that are named.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        [
            &self.weight_device,
            &self.read_bps,
            &self.write_bps,
            &self.read_iops,
            &self.write_iops,
        ]
        .into_iter()
        .flatten()
        .map(|rate| rate.path.as_str())
    }
}

/// A number for one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRate {
    /// The device's path on the host.
    pub path: String,
    /// The rate or weight.
    pub value: u64,
}

/// One `--device-cgroup-rule`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `a` for all, `c` or `b`.
    pub kind: char,
    /// None is any.
    pub major: Option<u32>,
    /// None is any.
    pub minor: Option<u32>,
    /// Some of `r`, `w` and `m`.
    pub permissions: String,
}

impl DeviceRule {
    /// Reads `c 42:* rmw`, as cgroup v1's devices.allow takes it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, numbers, permissions) = (words.next()?, words.next()?, words.next()?);
        let kind = kind.chars().next().filter(|_| kind.len() == 1)?;
        let (major, minor) = numbers.split_once(':')?;
        let number = |text: &str| match text {
            "*" => Some(None),
            _ => text.parse().ok().map(Some),
        };
        let sound =
            (1..=3).contains(&permissions.len()) && permissions.chars().all(|c| "rwm".contains(c));
        let rule = Self {
            kind,
            major: number(major)?,
            minor: number(minor)?,
            permissions: permissions.to_owned(),
        };
        (sound && "acb".contains(kind) && words.next().is_none()).then_some(rule)
    }
}

impl std::fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let (major, minor) = (number(self.major), number(self.minor));
        write!(f, "{} {major}:{minor} {}", self.kind, self.permissions)
    }
}

/// Devices that somebody else describes: by the names of the Container Device Interface, or by what
/// they can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CdiRequest {
    /// `cdi`, or the driver whose devices are meant.
    pub driver: String,
    /// How many; -1 is all.
    pub count: i64,
    /// The devices' names: `vendor.com/class=name`.
    pub ids: Vec<String>,
    /// One of these lists must be fulfilled.
    pub capabilities: Vec<Vec<String>>,
    /// Options of the driver.
    pub options: std::collections::BTreeMap<String, String>,
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

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUlimit(String);

impl FromStr for Ulimit {
    type Err = InvalidUlimit;

    /// `name=soft[:hard]`, refused in Docker's words.
    fn from_str(text: &str) -> Result<Self, InvalidUlimit> {
        let bad = || InvalidUlimit(format!("invalid ulimit argument: {text}"));
        let (name, limits) = text.split_once('=').ok_or_else(bad)?;
        if !Self::NAMES.contains(&name) {
            return Err(InvalidUlimit(format!("invalid ulimit type: {name}")));
        }
        let (soft, hard) = match limits.split_once(':') {
            None => (limit(limits)?, limit(limits)?),
            Some((_, hard)) if hard.contains(':') => {
                return Err(InvalidUlimit(format!(
                    "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
                )));
            }
            Some((soft, hard)) => (limit(soft)?, limit(hard)?),
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            return Err(InvalidUlimit(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            soft,
            hard,
        })
    }
}

fn limit(text: &str) -> Result<i64, InvalidUlimit> {
    let number = text.parse::<i64>().ok().filter(|n| *n >= -1);
    let wrong = || format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
    number.ok_or_else(|| InvalidUlimit(wrong()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_devices_are_read_as_they_are_shown() {
        for text in ["c 42:* rmw", "a *:* rwm", "b 8:16 r"] {
            assert_eq!(DeviceRule::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "c 42 r",
            "d 1:2 r",
            "c 1:2",
            "c 1:2 x",
            "c 1:2 rwmr",
            "c  1:2 r",
            "c 1:2 r w",
            "",
        ] {
            assert_eq!(DeviceRule::parse(text), None, "{text}");
        }
    }
}
