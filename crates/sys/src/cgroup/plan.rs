//! From limits to the files that keep them: pure, so that both versions are tested as text.

mod block_io;
mod convert;
mod cpu;
mod memory;
mod rest;

pub use convert::weight_of_shares;

use super::Error;
use super::limits::Limits;

/// Which interface a controller has here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// What happens when the file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// The limit cannot be kept: an error.
    Refuse,
    /// Its absence means what was asked for.
    Ignore,
    /// Another file takes it, and this value.
    Instead(String, String),
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

impl Write {
    /// Whether a cgroup that was made this moment has this value already.
    pub(super) fn is_default(&self) -> bool {
        const DEFAULTS: [(&str, &str); 14] = [
            ("cpu.shares", "1024"),
            ("cpu.weight", "100"),
            ("cpu.idle", "0"),
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "-1"),
            ("cpu.cfs_burst_us", "0"),
            ("cpu.max", "max 100000"),
            ("cpu.max", "max"),
            ("cpu.max.burst", "0"),
            ("memory.limit_in_bytes", "-1"),
            ("memory.memsw.limit_in_bytes", "-1"),
            ("memory.max", "max"),
            ("memory.swap.max", "max"),
            ("pids.max", "max"),
        ];
        DEFAULTS.contains(&(&self.file, &self.value))
    }
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
    plan.rdma(&limits.rdma)?;
    plan.network(limits)?;
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

    /// Says what happens if the file of the last write is not there.
    fn if_missing(&mut self, missing: impl FnOnce(&Write) -> Missing) {
        if let Some(write) = self.writes.last_mut() {
            write.missing = missing(write);
        }
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

#[cfg(test)]
mod tests;
