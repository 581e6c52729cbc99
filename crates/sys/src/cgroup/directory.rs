//! Where a cgroup's directories are, for those who show them to the container.

use std::path::{Path, PathBuf};

use super::{Cgroup, Version};

/// A cgroup's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Of the hierarchy: 1 or 2.
    pub version: u8,
    /// The name of the hierarchy's mount point: `memory`, `cpu,cpuacct`, `unified`.
    pub name: String,
    /// The hierarchy's controllers by its version's names; `name=...` for one without any.
    pub controllers: Vec<String>,
    /// The directory.
    pub path: PathBuf,
}

impl Cgroup {
    /// The cgroup with these directories, as [`Cgroup::directories`] told them, without a look at the
    /// machine.
    pub fn known(path: &str, directories: impl Iterator<Item = Directory>) -> Self {
        let dir = |known: Directory| super::Dir {
            version: match known.version {
                1 => Version::V1,
                _ => Version::V2,
            },
            controllers: known.controllers,
            path: known.path,
            fresh: false,
        };
        Self {
            path: path.to_owned(),
            dirs: directories.map(dir).collect(),
        }
    }

    /// Its directories, one a hierarchy.
    pub fn directories(&self) -> Vec<Directory> {
        let depth = Path::new(&self.path).iter().skip(1).count();
        let directory = |dir: &super::Dir| Directory {
            version: match dir.version {
                Version::V1 => 1,
                Version::V2 => 2,
            },
            name: mount_name(&dir.path, depth),
            controllers: dir.controllers.clone(),
            path: dir.path.clone(),
        };
        self.dirs.iter().map(directory).collect()
    }
}

/// The last component of the mount point, `depth` directories up.
fn mount_name(path: &Path, depth: usize) -> String {
    let mount = path.ancestors().nth(depth).and_then(Path::file_name);
    mount.unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_point_is_above_the_cgroup() {
        let name = |path: &str, depth| mount_name(Path::new(path), depth);
        assert_eq!(name("/sys/fs/cgroup/memory/brig/x", 2), "memory");
        assert_eq!(name("/sys/fs/cgroup/cpu,cpuacct/x", 1), "cpu,cpuacct");
    }
}
