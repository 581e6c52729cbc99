//! From limits to the files that keep them: pure, so that both versions are tested as text.

mod convert;

use std::fmt::Write as _;

use super::Error;
use super::limits::{BlockIo, Cpu, DeviceValue, Limits, Memory};

/// Which interface a controller has here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// What happens when the file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The limit cannot be kept: an error.
    Refuse,
    /// Its absence means what was asked for.
    Ignore,
}

/// One value for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// The controller by version 2's name; empty means any version 2 cgroup.
    pub(super) controller: &'static str,
    /// The limit in a user's words.
    pub(super) limit: &'static str,
    pub(super) file: String,
    pub(super) value: String,
    pub(super) missing: Missing,
}

/// Collects writes and knows which interface each controller has.
struct Plan<F> {
    version: F,
    writes: Vec<Write>,
}

/// All writes for these limits but the device rules, in order. `version` tells where a controller,
/// by version 2's name, lives; none means the machine has it nowhere.
pub(super) fn plan(
    limits: &Limits,
    version: impl Fn(&str) -> Option<Version>,
) -> Result<Vec<Write>, Error> {
    let mut plan = Plan {
        version,
        writes: Vec::new(),
    };
    plan.memory(&limits.memory)?;
    plan.cpu(&limits.cpu)?;
    plan.cpuset(&limits.cpu)?;
    plan.pids(limits.pids)?;
    plan.block_io(&limits.block_io)?;
    plan.hugetlb(&limits.hugetlb)?;
    plan.unified(limits)?;
    Ok(plan.writes)
}

impl<F: Fn(&str) -> Option<Version>> Plan<F> {
    /// Plans a write; `files` are version 1's and version 2's names, an empty one means that this
    /// version has no such limit.
    fn put(
        &mut self,
        (controller, limit): (&'static str, &'static str),
        files: [&str; 2],
        value: impl FnOnce(Version) -> String,
    ) -> Result<(), Error> {
        let unsupported = |file: &str| Error::Unsupported {
            limit,
            file: file.to_owned(),
        };
        let [v1, v2] = files;
        let Some(version) = (self.version)(controller) else {
            return Err(unsupported(&format!("{controller} controller")));
        };
        let file = match version {
            Version::V1 => v1,
            Version::V2 => v2,
        };
        if file.is_empty() {
            let other = if v1.is_empty() { v2 } else { v1 };
            return Err(unsupported(&format!("{other} in this cgroup version")));
        }
        self.writes.push(Write {
            controller,
            limit,
            file: file.to_owned(),
            value: value(version),
            missing: Missing::Refuse,
        });
        Ok(())
    }

    fn memory(&mut self, memory: &Memory) -> Result<(), Error> {
        if let Some(limit) = memory.limit.filter(|l| *l != 0) {
            let files = ["memory.limit_in_bytes", "memory.max"];
            self.put(("memory", "memory"), files, |v| amount(limit, v))?;
        }
        self.swap(memory)?;
        if let Some(reservation) = memory.reservation.filter(|r| *r != 0) {
            let files = ["memory.soft_limit_in_bytes", "memory.low"];
            self.put(("memory", "memory reservation"), files, |v| {
                amount(reservation, v)
            })?;
        }
        if let Some(swappiness) = memory.swappiness {
            let files = ["memory.swappiness", ""];
            self.put(("memory", "memory swappiness"), files, |_| {
                swappiness.to_string()
            })?;
        }
        if memory.disable_oom_killer {
            let files = ["memory.oom_control", ""];
            self.put(("memory", "the out-of-memory killer"), files, |_| {
                "1".to_owned()
            })?;
        }
        Ok(())
    }

    /// After the memory limit, which version 1 does not let exceed this one.
    fn swap(&mut self, memory: &Memory) -> Result<(), Error> {
        let limit = memory.limit.unwrap_or(0);
        let swap = match memory.swap.unwrap_or(0) {
            0 if limit == -1 => -1,
            swap => swap,
        };
        if swap == 0 {
            return Ok(());
        }
        let alone = convert::swap_alone(limit, swap)?;
        let files = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
        self.put(("memory", "swap"), files, |version| match version {
            Version::V1 => swap.to_string(),
            Version::V2 => amount(alone, version),
        })?;
        // Without swap there is nothing to limit: none and unlimited are kept by doing nothing.
        let trivial = alone == -1 || alone == 0;
        if let Some(write) = self.writes.last_mut()
            && trivial
            && (write.file == "memory.swap.max" || swap == -1)
        {
            write.missing = Missing::Ignore;
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu) -> Result<(), Error> {
        if let Some(shares) = cpu.shares.filter(|s| *s != 0) {
            let files = ["cpu.shares", "cpu.weight"];
            self.put(("cpu", "CPU shares"), files, |version| match version {
                Version::V1 => shares.to_string(),
                Version::V2 => convert::weight_of_shares(shares).to_string(),
            })?;
        }
        if let Some(idle) = cpu.idle {
            self.put(("cpu", "CPU idle"), ["cpu.idle"; 2], |_| idle.to_string())?;
        }
        self.real_time(cpu)?;
        self.bandwidth(cpu)?;
        if let Some(burst) = cpu.burst {
            let files = ["cpu.cfs_burst_us", "cpu.max.burst"];
            self.put(("cpu", "CPU burst"), files, |_| burst.to_string())?;
        }
        Ok(())
    }

    fn real_time(&mut self, cpu: &Cpu) -> Result<(), Error> {
        if let Some(period) = cpu.realtime_period.filter(|p| *p != 0) {
            let files = ["cpu.rt_period_us", ""];
            self.put(("cpu", "CPU real-time period"), files, |_| {
                period.to_string()
            })?;
        }
        if let Some(runtime) = cpu.realtime_runtime.filter(|r| *r != 0) {
            let files = ["cpu.rt_runtime_us", ""];
            self.put(("cpu", "CPU real-time runtime"), files, |_| {
                runtime.to_string()
            })?;
        }
        Ok(())
    }

    fn bandwidth(&mut self, cpu: &Cpu) -> Result<(), Error> {
        let quota = cpu.quota.filter(|q| *q != 0);
        let period = cpu.period.filter(|p| *p != 0);
        if quota.is_none() && period.is_none() {
            return Ok(());
        }
        if (self.version)("cpu") != Some(Version::V1) {
            return self.put(("cpu", "CPU quota"), ["", "cpu.max"], |version| {
                let quota = amount(quota.unwrap_or(-1), version);
                match period {
                    Some(period) => format!("{quota} {period}"),
                    None => quota,
                }
            });
        }
        // The period first: a quota is checked against it.
        if let Some(period) = period {
            self.put(
                ("cpu", "CPU period"),
                ["cpu.cfs_period_us", "cpu.max"],
                |_| period.to_string(),
            )?;
        }
        if let Some(quota) = quota {
            self.put(
                ("cpu", "CPU quota"),
                ["cpu.cfs_quota_us", "cpu.max"],
                |_| quota.max(-1).to_string(),
            )?;
        }
        Ok(())
    }

    fn cpuset(&mut self, cpu: &Cpu) -> Result<(), Error> {
        let sets = [
            ("CPU set", "cpuset.cpus", &cpu.cpus),
            ("memory node set", "cpuset.mems", &cpu.mems),
        ];
        for (limit, file, set) in sets {
            if let Some(set) = set.as_ref().filter(|s| !s.is_empty()) {
                self.put(("cpuset", limit), [file; 2], |_| set.clone())?;
            }
        }
        Ok(())
    }

    fn pids(&mut self, pids: Option<i64>) -> Result<(), Error> {
        let Some(limit) = pids else { return Ok(()) };
        if limit <= 0 && (self.version)("pids").is_none() {
            return Ok(());
        }
        self.put(("pids", "number of processes"), ["pids.max"; 2], |_| {
            amount(if limit <= 0 { -1 } else { limit }, Version::V2)
        })
    }

    fn block_io(&mut self, io: &BlockIo) -> Result<(), Error> {
        let (weight, device) = (
            ("io", "block I/O weight"),
            ("io", "block I/O weight of a device"),
        );
        if let Some(w) = io.weight.filter(|w| *w != 0) {
            self.put(weight, ["blkio.bfq.weight", "io.weight"], |version| {
                io_weight(u64::from(w), version)
            })?;
        }
        for d in &io.weight_device {
            let files = ["blkio.bfq.weight_device", "io.weight"];
            self.put(device, files, |version| {
                format!("{}:{} {}", d.major, d.minor, io_weight(d.value, version))
            })?;
        }
        let rates: [(&'static str, &str, &str, &[DeviceValue]); 4] = [
            ("read rate", "read_bps", "rbps", &io.read_bps),
            ("write rate", "write_bps", "wbps", &io.write_bps),
            ("read operations", "read_iops", "riops", &io.read_iops),
            ("write operations", "write_iops", "wiops", &io.write_iops),
        ];
        for (limit, v1, key, devices) in rates {
            let v1 = format!("blkio.throttle.{v1}_device");
            for d in devices {
                self.put(("io", limit), [&v1, "io.max"], |version| {
                    rate(key, d, version)
                })?;
            }
        }
        Ok(())
    }

    fn hugetlb(&mut self, limits: &[(String, u64)]) -> Result<(), Error> {
        for (size, bytes) in limits {
            if size.is_empty() || !size.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(Error::Invalid {
                    limit: "huge page size",
                    reason: format!("{size:?} is not a size as in 2MB"),
                });
            }
            let (v1, v2) = (
                format!("hugetlb.{size}.limit_in_bytes"),
                format!("hugetlb.{size}.max"),
            );
            self.put(("hugetlb", "huge pages"), [&v1, &v2], |_| bytes.to_string())?;
        }
        Ok(())
    }

    fn unified(&mut self, limits: &Limits) -> Result<(), Error> {
        for (file, value) in &limits.unified {
            if file.is_empty() || file.contains('/') || !file.contains('.') {
                return Err(Error::Invalid {
                    limit: "unified resource",
                    reason: format!("{file:?} is not a file as in memory.high"),
                });
            }
            let controller = file.split('.').next().unwrap_or_default();
            let known = super::V2_CONTROLLERS.iter().find(|c| **c == controller);
            let controller = known.copied().unwrap_or_default();
            self.put((controller, "unified resource"), ["", file], |_| {
                value.clone()
            })?;
        }
        Ok(())
    }
}

/// Below zero is unlimited: version 1 takes -1, version 2 the word.
fn amount(value: i64, version: Version) -> String {
    match (value < 0, version) {
        (true, Version::V1) => "-1".to_owned(),
        (true, Version::V2) => "max".to_owned(),
        (false, _) => value.to_string(),
    }
}

fn io_weight(weight: u64, version: Version) -> String {
    match version {
        Version::V1 => weight.to_string(),
        Version::V2 => convert::io_weight_of_blkio(weight).to_string(),
    }
}

fn rate(key: &str, device: &DeviceValue, version: Version) -> String {
    let mut text = format!("{}:{} ", device.major, device.minor);
    if version == Version::V2 {
        // Writing to a String cannot fail.
        let _ = write!(text, "{key}=");
    }
    // Zero takes the limit away in version 1; version 2 has a word for that.
    match (version, device.value) {
        (Version::V2, 0) => text.push_str("max"),
        (_, value) => text.push_str(&value.to_string()),
    }
    text
}

#[cfg(test)]
mod tests;
