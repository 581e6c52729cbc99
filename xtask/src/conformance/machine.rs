//! What this machine's kernel has; the suite's own view, not the runtime's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::suite::skip;

/// What tests ask for before they try.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Where the cgroup hierarchies are.
    pub(crate) cgroups: Cgroups,
    /// The processors that this process may use.
    pub(crate) processors: Vec<u32>,
}

/// The cgroup hierarchies.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// Version 1: the mount point of each controller. Empty on a machine with version 2 only.
    v1: BTreeMap<String, PathBuf>,
    /// Version 2's mount point, if it is what controllers are on.
    v2: Option<PathBuf>,
}

impl Machine {
    /// Looks around.
    pub(crate) fn look() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("no /proc")?;
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Ok(Self {
            cgroups: Cgroups::look()?,
            processors: numbers(allowed.unwrap_or("0").trim()),
        })
    }

    /// Skips unless this path is there: `what` is missing otherwise.
    pub(crate) fn need(&self, path: &str, what: &str) -> Result<()> {
        match Path::new(path).exists() {
            true => Ok(()),
            false => skip(format!("{what}: no {path}")),
        }
    }

    /// Skips unless this process has the capability with this number.
    pub(crate) fn need_capability(&self, number: u32, name: &str) -> Result<()> {
        let status = fs::read_to_string("/proc/self/status")?;
        let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let set = u64::from_str_radix(set.unwrap_or("0").trim(), 16)?;
        match set & (1 << number) {
            0 => skip(format!("this machine does not give {name}")),
            _ => Ok(()),
        }
    }
}

impl Cgroups {
    fn look() -> Result<Self> {
        let top = PathBuf::from("/sys/fs/cgroup");
        if top.join("cgroup.controllers").exists() {
            return Ok(Self {
                v1: BTreeMap::new(),
                v2: Some(top),
            });
        }
        let text = fs::read_to_string("/proc/self/mountinfo")?;
        let mut v1 = BTreeMap::new();
        for line in text.lines() {
            let Some((mount, source)) = line.split_once(" - cgroup ") else {
                continue;
            };
            let point = mount.split(' ').nth(4).unwrap_or_default();
            let options = source.rsplit(' ').next().unwrap_or_default();
            for option in options.split(',') {
                v1.entry(option.to_owned()).or_insert_with(|| point.into());
            }
        }
        Ok(Self { v1, v2: None })
    }

    /// Whether controllers are on version 2.
    pub(crate) fn is_v2(&self) -> bool {
        self.v2.is_some()
    }

    /// Where a cgroup is in the hierarchy of a controller. Skips if nothing has that controller.
    pub(crate) fn directory(&self, controller: &str, cgroup: &str) -> Result<PathBuf> {
        let cgroup = cgroup.trim_start_matches('/');
        let Some(top) = &self.v2 else {
            let top = self.v1.get(controller);
            return match top {
                Some(top) => Ok(top.join(cgroup)),
                None => skip(format!("no {controller} controller on cgroup v1 here")),
            };
        };
        // What is no controller there is part of every cgroup, or a program attached to it.
        let always = ["freezer", "devices"];
        let there = fs::read_to_string(top.join("cgroup.controllers"))?;
        if !always.contains(&controller) && !there.split_whitespace().any(|c| c == controller) {
            return skip(format!("no {controller} controller on cgroup v2 here"));
        }
        Ok(top.join(cgroup))
    }

    /// A cgroup that shows which files a controller has, made below `name` if it is not there yet.
    pub(crate) fn sample(&self, controller: &str, name: &str) -> Result<PathBuf> {
        let above = self.directory(controller, name)?;
        let below = above.join(controller);
        fs::create_dir_all(&below)?;
        if let Some(top) = &self.v2 {
            for directory in [top, &above] {
                let enable = format!("+{controller}");
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .open(directory.join("cgroup.subtree_control"))?;
                std::io::Write::write_all(&mut file, enable.as_bytes())
                    .with_context(|| format!("cannot enable {controller}"))?;
            }
        }
        Ok(below)
    }

    /// Makes a cgroup in all hierarchies that no runtime removes with the last of its containers.
    pub(crate) fn keep(&self, cgroup: &str) -> Result<()> {
        for top in self.v1.values().chain(self.v2.iter()) {
            let directory = top.join(cgroup.trim_start_matches('/'));
            fs::create_dir_all(directory.join("keep"))
                .with_context(|| format!("cannot make {}", directory.display()))?;
            // A new cpuset of version 1 is empty, and nobody can be in it.
            for name in ["cpuset.cpus", "cpuset.mems"] {
                if self.v2.is_none() && directory.join(name).exists() {
                    fs::copy(top.join(name), directory.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// The directories of a cgroup in all hierarchies that have it.
    pub(crate) fn all(&self, cgroup: &str) -> Vec<PathBuf> {
        let cgroup = cgroup.trim_start_matches('/');
        let tops = self.v1.values().chain(self.v2.iter());
        let mut found: Vec<_> = tops.map(|top| top.join(cgroup)).collect();
        // A hybrid machine has version 2 too, without controllers.
        found.push(Path::new("/sys/fs/cgroup/unified").join(cgroup));
        found.retain(|path| path.is_dir());
        found.sort();
        found.dedup();
        found
    }

    /// Removes a cgroup of the suite's and those below it, everywhere. Any other path is left: it may
    /// hold what is not the suite's.
    pub(crate) fn remove(&self, cgroup: &str) {
        if !is_ours(cgroup) {
            return;
        }
        for directory in self.all(cgroup) {
            remove_below(&directory);
        }
    }
}

/// Whether a path is below a cgroup that only this suite makes.
fn is_ours(cgroup: &str) -> bool {
    let mut parts = cgroup.trim_start_matches('/').split('/');
    let first = parts.next().unwrap_or_default();
    let named =
        first.starts_with("brig-conformance-") || first.starts_with("relative-brig-conformance-");
    named && !parts.any(|part| part == "..")
}

/// Depth first; what is in use stays.
fn remove_below(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_below(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// The numbers of a list as `0-2,5`.
pub(crate) fn numbers(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.trim().parse().ok()?;
        let last: u32 = last.trim().parse().ok()?;
        Some(first..=last)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_suites_cgroups_is_removed() {
        for ours in ["/brig-conformance-x/c1", "relative-brig-conformance-x"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "",
            "/",
            "/system.slice",
            "/brig-conformance-x/../y",
            "/a/brig-conformance-x",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn lists_of_numbers() {
        assert_eq!(numbers("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(numbers("3"), [3]);
        assert!(numbers("").is_empty());
    }
}
