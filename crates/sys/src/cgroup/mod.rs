//! Control groups: version 1, version 2, and version 1 with a version 2 hierarchy beside it.
//!
//! [`Layout`] is what the machine has, [`Limits`] what is wanted. [`Cgroup::create`] makes a
//! directory of the same path in every hierarchy and writes the limits; a child enters through the
//! descriptors of [`Join`], opened before it is cloned. Nothing outside the given path is touched
//! but its parents, which are made and, in version 2, have their controllers enabled.

mod apply;
mod create;
mod delegate;
mod devices;
mod directory;
mod error;
mod freeze;
mod join;
mod kill;
mod layout;
mod limits;
mod oom;
mod plan;
mod read;
mod remove;
mod stats;

use std::path::{Path, PathBuf};

pub use create::{Denied, Making};
pub use devices::{DeviceAccess, DeviceRule, DeviceType};
pub use directory::Directory;
pub use error::Error;
pub use join::Join;
pub use layout::{Capabilities, Layout, Mode};
pub use limits::{BlockIo, Cpu, DeviceValue, Limits, Memory, Rdma};
pub use oom::OomWatch;
pub use plan::weight_of_shares;
pub use remove::remove_if_empty;
pub use stats::{
    BlockIoStats, CpuStats, CpusetStats, DeviceCount, HugetlbStats, MemoryStats, MemoryUsage,
    PidsStats, Pressure, PressureShare, RdmaStats, Stats,
};

use layout::Hierarchy;
use plan::Version;

/// Controllers of version 2 that are enabled for containers.
const V2_CONTROLLERS: [&str; 9] = [
    "cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma", "dmem",
];

/// One cgroup: the same path in every hierarchy.
#[derive(Debug, Clone)]
pub struct Cgroup {
    path: String,
    dirs: Vec<Dir>,
}

/// Its directory in one hierarchy.
#[derive(Debug, Clone)]
struct Dir {
    version: Version,
    controllers: Vec<String>,
    path: PathBuf,
    /// Whether it was made just now, so that it has what the kernel gives to new ones.
    fresh: bool,
}

impl Dir {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

impl Cgroup {
    /// The cgroup that is there at `path`, in whichever hierarchies have it.
    pub fn open(layout: &Layout, path: &str) -> Result<Self, Error> {
        let relative = relative(path)?;
        let mut dirs = all_dirs(layout, &relative);
        dirs.retain(|d| d.path.is_dir());
        match dirs.is_empty() {
            false => Ok(Self {
                path: path.to_owned(),
                dirs,
            }),
            true => Err(Error::File {
                action: "open cgroup",
                path: path.into(),
                source: std::io::ErrorKind::NotFound.into(),
            }),
        }
    }

    /// A cgroup without part in any hierarchy, as [`Denied::LeaveOut`] may make it.
    pub fn nowhere() -> Self {
        Self {
            path: String::new(),
            dirs: Vec::new(),
        }
    }

    /// Its path from the root of the hierarchies; empty if it has part in none.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn v2(&self) -> Option<&Dir> {
        self.dirs.iter().find(|d| d.version == Version::V2)
    }

    /// The directory of a controller by version 1's or version 2's name.
    fn controller(&self, name: &str) -> Option<&Dir> {
        self.dirs.iter().find(|d| d.has(name))
    }

    /// The directory that tells which processes are inside: of all hierarchies one that no process
    /// was moved out of, as far as one can know.
    fn census(&self) -> Option<&Dir> {
        ["freezer", "pids", "devices", "memory"]
            .iter()
            .find_map(|c| self.controller(c))
            .or_else(|| self.v2())
            .or_else(|| self.dirs.first())
    }
}

impl Layout {
    /// Which interface a controller, by version 2's name, has here. The empty name stands for the
    /// files every version 2 cgroup has.
    fn version_of(&self, controller: &str) -> Option<Version> {
        if controller.is_empty() {
            return self.v2.as_ref().map(|_| Version::V2);
        }
        let v1 = v1_name(controller);
        if self.v1.iter().any(|h| h.has(v1)) {
            Some(Version::V1)
        } else if self.v2.as_ref().is_some_and(|h| h.has(controller)) {
            Some(Version::V2)
        } else {
            None
        }
    }
}

/// Version 1's name of a controller of version 2.
fn v1_name(controller: &str) -> &str {
    match controller {
        "io" => "blkio",
        other => other,
    }
}

/// The path below a mount point; refuses what could lead elsewhere.
fn relative(path: &str) -> Result<PathBuf, Error> {
    let invalid = || Error::InvalidPath(path.to_owned());
    let inner = path.strip_prefix('/').ok_or_else(invalid)?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let sound = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if inner.split('/').all(sound) {
        Ok(inner.into())
    } else {
        Err(invalid())
    }
}

fn all_dirs(layout: &Layout, relative: &Path) -> Vec<Dir> {
    let dir = |version: Version, h: &Hierarchy| Dir {
        version,
        controllers: h.controllers.clone(),
        path: h.mount.join(relative),
        fresh: false,
    };
    let v1 = layout.v1.iter().map(|h| dir(Version::V1, h));
    let v2 = layout.v2.iter().map(|h| dir(Version::V2, h));
    v1.chain(v2).collect()
}

#[cfg(test)]
mod tests;
