//! Processes, huge pages, RDMA; and how single files are read.

use std::collections::BTreeMap;

use super::{HugetlbStats, PidsStats, RdmaStats, parse};
use crate::cgroup::plan::Version;
use crate::cgroup::{Cgroup, Dir, read};

impl Dir {
    pub(super) fn read(&self, name: &str) -> Option<String> {
        read::text(&self.path.join(name)).ok()
    }

    /// The number in a file; zero without the file.
    pub(super) fn count(&self, name: &str) -> u64 {
        let line = read::line(&self.path.join(name));
        line.map_or(0, |text| parse::number(&text))
    }
}

impl Cgroup {
    pub(super) fn pids_stats(&self) -> PidsStats {
        let Some(dir) = self.controller("pids") else {
            return PidsStats::default();
        };
        PidsStats {
            current: dir.count("pids.current"),
            limit: Some(dir.count("pids.max")).filter(|limit| *limit != u64::MAX),
        }
    }

    pub(super) fn hugetlb_stats(&self) -> BTreeMap<String, HugetlbStats> {
        let Some(dir) = self.controller("hugetlb") else {
            return BTreeMap::new();
        };
        let usage = match dir.version {
            Version::V1 => ".usage_in_bytes",
            Version::V2 => ".current",
        };
        let size = |name: &str| {
            let size = name.strip_prefix("hugetlb.")?.strip_suffix(usage)?;
            (!size.contains('.')).then(|| size.to_owned())
        };
        let names = std::fs::read_dir(&dir.path).into_iter().flatten().flatten();
        names
            .filter_map(|entry| size(entry.file_name().to_str()?))
            .map(|size| (size.clone(), hugetlb(dir, &size)))
            .collect()
    }

    pub(super) fn rdma_stats(&self) -> BTreeMap<String, RdmaStats> {
        let current = self.controller("rdma").and_then(|d| d.read("rdma.current"));
        parse::rdma(&current.unwrap_or_default())
    }
}

fn hugetlb(dir: &Dir, size: &str) -> HugetlbStats {
    let count = |name: &str| dir.count(&format!("hugetlb.{size}.{name}"));
    match dir.version {
        Version::V1 => HugetlbStats {
            usage: count("usage_in_bytes"),
            max: count("max_usage_in_bytes"),
            failures: count("failcnt"),
        },
        Version::V2 => {
            let events = dir.read(&format!("hugetlb.{size}.events"));
            let events = parse::keyed(&events.unwrap_or_default());
            HugetlbStats {
                usage: count("current"),
                max: 0,
                failures: events.get("max").copied().unwrap_or(0),
            }
        }
    }
}
