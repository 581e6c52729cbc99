//! What a daemon and its containers may leave on a machine, and must not.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::processes::processes_naming;

/// Everything found that belongs to one daemon's roots and cgroup parent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Mount points on the machine's own table.
    pub mounts: Vec<String>,
    /// Directories below the cgroup parent, in any hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// Command lines.
    pub processes: Vec<String>,
    /// Containers' files below the data and the run root.
    pub files: Vec<PathBuf>,
    /// Interfaces of containers that are on this machine's side.
    pub links: Vec<String>,
}

impl Leftovers {
    /// Looks for what belongs to the directory of one test and to its cgroup parent.
    pub fn find(root: &Path, parent: &str) -> Self {
        let text = root.display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self {
            mounts: mounts
                .lines()
                .filter(|l| l.contains(&text))
                .map(str::to_owned)
                .collect(),
            cgroups: cgroups(parent)
                .iter()
                .flat_map(|top| children(top))
                .collect(),
            processes: processes_naming(&text)
                .into_iter()
                .map(|p| p.command)
                .collect(),
            files: ["data/containers", "run/containers"]
                .iter()
                .flat_map(|of| children(&root.join(of)))
                .collect(),
            links: Vec::new(),
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mount in &self.mounts {
            writeln!(f, "mount {mount}")?;
        }
        for process in &self.processes {
            writeln!(f, "process {process}")?;
        }
        for link in &self.links {
            writeln!(f, "interface {link}")?;
        }
        for path in self.cgroups.iter().chain(&self.files) {
            writeln!(f, "{}", path.display())?;
        }
        Ok(())
    }
}

/// A cgroup's directory in every hierarchy that has it.
pub fn cgroups(parent: &str) -> Vec<PathBuf> {
    let below = parent.trim_start_matches('/');
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = children(top).into_iter().chain([top.to_owned()]);
    let mut found: Vec<PathBuf> = hierarchies
        .map(|at| at.join(below))
        .filter(|at| at.is_dir())
        .collect();
    // cpu and cpuacct are names of one hierarchy.
    found.sort();
    found.dedup_by_key(|path| fs::canonicalize(path).ok());
    found
}

/// The directories in a directory.
pub(crate) fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.is_dir()).collect()
}
