//! Control groups as the machine shows them.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether this is a machine with cgroup v2 only.
pub fn unified_cgroups() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The directory of a process's cgroup in the hierarchy of a controller.
pub fn cgroup_of(pid: u64, controller: &str) -> Option<PathBuf> {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    for line in table.lines() {
        let mut fields = line.splitn(3, ':');
        let (number, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        let below = path.trim_start_matches('/');
        if unified_cgroups() && number == "0" {
            return Some(Path::new("/sys/fs/cgroup").join(below));
        }
        if names.split(',').any(|name| name == controller) {
            return Some(Path::new("/sys/fs/cgroup").join(controller).join(below));
        }
    }
    None
}

/// One setting of a process's cgroup: the file's name in version 1, and in version 2.
pub fn cgroup_setting(pid: u64, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let file = if unified_cgroups() { v2 } else { v1 };
    let text = fs::read_to_string(cgroup_of(pid, controller)?.join(file)).ok()?;
    Some(text.trim().to_owned())
}
