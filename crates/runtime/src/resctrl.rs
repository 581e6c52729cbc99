//! `linux.intelRdt`: groups of the resctrl file system, which share caches and memory bandwidth.
//!
//! A group that the configuration does not name is the container's own and goes with it; one that it
//! names belongs to whoever thought of the name, and stays.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxIntelRdt, Spec};

use crate::error::{Doing, Error};

/// What is asked for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResctrlPlan {
    /// The group's directory, from the root of the file system; empty for the root itself.
    group: String,
    /// Whether the configuration names it.
    named: bool,
    /// The lines to write, in order.
    schemata: Vec<String>,
    /// The name of a group of its own to be watched by.
    monitor: Option<String>,
}

/// Nothing if nothing is asked for.
pub(crate) fn plan(spec: &Spec, id: &str) -> Result<Option<ResctrlPlan>, Error> {
    let linux = spec.linux().as_ref();
    let Some(asked) = linux.and_then(|linux| linux.intel_rdt().as_ref()) else {
        return Ok(None);
    };
    let given = asked.clos_id().as_deref().filter(|name| !name.is_empty());
    Ok(Some(ResctrlPlan {
        group: check_group(given.unwrap_or(id))?,
        named: given.is_some(),
        schemata: schemata(asked)?,
        monitor: (asked.enable_monitoring() == &Some(true)).then(|| id.to_owned()),
    }))
}

/// Directories of the file system that are no groups.
const RESERVED: [&str; 3] = ["info", "mon_data", "mon_groups"];

fn check_group(name: &str) -> Result<String, Error> {
    match name {
        "/" => Ok(String::new()),
        "." | ".." => Err(bad_group(name)),
        name if name.contains(['/', '\n', '\0']) || RESERVED.contains(&name) => {
            Err(bad_group(name))
        }
        name => Ok(name.to_owned()),
    }
}

fn bad_group(name: &str) -> Error {
    let reason = format!("{name:?} is no name of a group: one directory, or / for the root's");
    Error::invalid("linux.intelRdt.closID", reason)
}

fn schemata(asked: &LinuxIntelRdt) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let bandwidth = asked.mem_bw_schema().as_deref().filter(|s| !s.is_empty());
    if let Some(cache) = asked.l3_cache_schema().as_deref() {
        let is_bandwidth = |line: &&str| line.trim_start().starts_with("MB:");
        let kept = cache.lines().filter(|line| !line.trim().is_empty());
        // The line that the other property gives counts.
        lines.extend(
            kept.filter(|line| bandwidth.is_none() || !is_bandwidth(line))
                .map(str::to_owned),
        );
    }
    if let Some(bandwidth) = bandwidth {
        if !bandwidth.starts_with("MB:") || bandwidth.contains('\n') {
            let reason = "must be one line that begins with MB:";
            return Err(Error::invalid("linux.intelRdt.memBwSchema", reason));
        }
        lines.push(bandwidth.to_owned());
    }
    lines.extend(asked.schemata().iter().flatten().cloned());
    Ok(lines)
}

/// Makes and fills the groups. What a process writes `0` to, one after the other, to be in them.
pub(crate) fn make(plan: &ResctrlPlan) -> Result<Vec<OwnedFd>, Error> {
    make_in(&mount_point()?, plan)
}

/// What a process that joins writes to.
pub(crate) fn open(plan: &ResctrlPlan) -> Result<Vec<OwnedFd>, Error> {
    open_in(&mount_point()?, plan)
}

/// Writes other schemas to the group of a container whose processes these are. One that had no group
/// gets its own, and they go there.
pub(crate) fn update(plan: &ResctrlPlan, pids: &[i32]) -> Result<(), Error> {
    update_in(&mount_point()?, plan, pids)
}

/// Removes what is the container's own. Nothing if it is gone.
pub(crate) fn remove(plan: &ResctrlPlan) -> Result<(), Error> {
    remove_in(&mount_point()?, plan)
}

fn mount_point() -> Result<PathBuf, Error> {
    let table = sys::fd::open_read(Path::new("/proc/self/mountinfo"))
        .and_then(|file| sys::fd::read_to_end(file, 64 << 20));
    let table = table.doing(|| "read the mount table".to_owned())?;
    let table = String::from_utf8_lossy(&table);
    find_mount(&table).ok_or_else(|| {
        let reason = "no resctrl file system is mounted: this machine has no such thing, or \
                      nobody has mounted it (mount -t resctrl resctrl /sys/fs/resctrl)";
        Error::unsupported("linux.intelRdt", reason)
    })
}

/// The fifth field of a line of /proc/PID/mountinfo whose file system is resctrl.
fn find_mount(table: &str) -> Option<PathBuf> {
    let line = table.lines().find(|line| line.contains(" - resctrl "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

fn make_in(root: &Path, plan: &ResctrlPlan) -> Result<Vec<OwnedFd>, Error> {
    let group = root.join(&plan.group);
    let there = group.is_dir();
    match (there, plan.named, plan.schemata.is_empty()) {
        (true, true, true) => {}
        (true, true, false) => compare(&group, plan)?,
        (false, true, true) => {
            let reason = format!(
                "there is no group {:?}, and no schema to make it by",
                plan.group
            );
            return Err(Error::invalid("linux.intelRdt.closID", reason));
        }
        (_, false, _) | (false, true, false) => {
            let made = make_group(&group).and_then(|()| write_schemata(root, &group, plan));
            if made.is_err() && !there {
                // Ours, and of no use.
                let _ = std::fs::remove_dir(&group);
            }
            made?;
        }
    }
    if let Some(monitor) = &plan.monitor {
        make_group(&group.join("mon_groups").join(monitor))?;
    }
    open_in(root, plan)
}

fn make_group(path: &Path) -> Result<(), Error> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::Resctrl {
            action: format!("make the group {}", path.display()),
            reason: error.to_string(),
        }),
        _ => Ok(()),
    }
}

fn write_schemata(root: &Path, group: &Path, plan: &ResctrlPlan) -> Result<(), Error> {
    if plan.schemata.is_empty() {
        return Ok(());
    }
    let text = plan.schemata.join("\n") + "\n";
    let written = sys::fd::open_write(&group.join("schemata"))
        .and_then(|file| sys::fd::write_once(file, text.as_bytes()));
    written.map_err(|error| {
        // The kernel's own words, which are more than an errno.
        let status = std::fs::read_to_string(root.join("info/last_cmd_status"));
        let status = status.unwrap_or_default();
        Error::Resctrl {
            action: format!("write {text:?} to the schemata of {}", group.display()),
            reason: format!("{error} {}", status.trim()).trim_end().to_owned(),
        }
    })
}

fn update_in(root: &Path, plan: &ResctrlPlan, pids: &[i32]) -> Result<(), Error> {
    let group = root.join(&plan.group);
    if group.is_dir() {
        return write_schemata(root, &group, plan);
    }
    make_group(&group)?;
    let filled = write_schemata(root, &group, plan).and_then(|()| fill(&group, pids));
    if filled.is_err() {
        // Whoever is in it by now goes back to the root's group.
        let _ = std::fs::remove_dir(&group);
    }
    filled
}

/// Threads that come meanwhile are in the group of who makes them.
fn fill(group: &Path, pids: &[i32]) -> Result<(), Error> {
    let tasks = group.join("tasks");
    for pid in pids {
        let written = sys::fd::open_write(&tasks)
            .and_then(|file| sys::fd::write_once(file, format!("{pid}\n").as_bytes()));
        match written {
            Err(error) if error.errno != sys::Errno::SRCH => {
                return Err(Error::Resctrl {
                    action: format!("write {pid} to {}", tasks.display()),
                    reason: error.to_string(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Somebody else's group must already be what is asked for.
fn compare(group: &Path, plan: &ResctrlPlan) -> Result<(), Error> {
    let path = group.join("schemata");
    let is = std::fs::read_to_string(&path).map_err(|error| Error::Resctrl {
        action: format!("read {}", path.display()),
        reason: error.to_string(),
    })?;
    let is: Vec<_> = is.lines().flat_map(parts).collect();
    let wanted = plan.schemata.iter().flat_map(|line| parts(line));
    for part in wanted {
        if !is.contains(&part) {
            let (kind, number, value) = part;
            let reason = format!(
                "the group {:?} is there and does not have {kind}:{number}={value}",
                plan.group
            );
            return Err(Error::invalid("linux.intelRdt.closID", reason));
        }
    }
    Ok(())
}

/// `L3:0=0ff;1=f` as ("L3", "0", "ff") and ("L3", "1", "f").
fn parts(line: &str) -> Vec<(String, String, String)> {
    let Some((kind, rest)) = line.trim().split_once(':') else {
        return Vec::new();
    };
    let values = rest
        .split(';')
        .filter_map(|part| part.trim().split_once('='));
    values
        .map(|(number, value)| {
            let value = value.trim().to_lowercase();
            let bare = value.trim_start_matches('0');
            let bare = if bare.is_empty() { "0" } else { bare };
            (kind.to_owned(), number.trim().to_owned(), bare.to_owned())
        })
        .collect()
}

fn open_in(root: &Path, plan: &ResctrlPlan) -> Result<Vec<OwnedFd>, Error> {
    let group = root.join(&plan.group);
    let mut tasks = vec![group.join("tasks")];
    if let Some(monitor) = &plan.monitor {
        tasks.push(group.join("mon_groups").join(monitor).join("tasks"));
    }
    tasks
        .iter()
        .map(|path| sys::fd::open_write(path).doing(|| format!("open {}", path.display())))
        .collect()
}

fn remove_in(root: &Path, plan: &ResctrlPlan) -> Result<(), Error> {
    let group = root.join(&plan.group);
    let own = (!plan.named).then(|| group.clone());
    let monitor = plan.monitor.as_ref();
    let monitor = monitor.map(|name| group.join("mon_groups").join(name));
    for path in monitor.into_iter().chain(own) {
        match std::fs::remove_dir(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Resctrl {
                    action: format!("remove the group {}", path.display()),
                    reason: error.to_string(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn planned(asked: Value) -> Result<ResctrlPlan, String> {
        let spec = json!({"ociVersion": "1.3.0", "linux": {"intelRdt": asked}});
        let spec = serde_json::from_value(spec).unwrap();
        plan(&spec, "id")
            .map(Option::unwrap)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn schemas_are_combined() {
        let plan = planned(
            json!({"l3CacheSchema": "L3:0=f\nMB:0=10", "memBwSchema": "MB:0=20",
            "schemata": ["L2:0=3"]}),
        );
        assert_eq!(plan.unwrap().schemata, ["L3:0=f", "MB:0=20", "L2:0=3"]);
        let plan = planned(json!({"l3CacheSchema": "L3:0=f\nMB:0=10"})).unwrap();
        assert_eq!(plan.schemata, ["L3:0=f", "MB:0=10"]);
        let wrong = planned(json!({"memBwSchema": "MB:0=20\nL3:0=1"})).unwrap_err();
        assert!(wrong.contains("one line that begins with MB:"), "{wrong}");
    }

    #[test]
    fn groups_are_one_directory() {
        assert_eq!(planned(json!({})).unwrap().group, "id");
        assert_eq!(planned(json!({"closID": "/"})).unwrap().group, "");
        assert_eq!(planned(json!({"closID": "gold"})).unwrap().group, "gold");
        for name in ["..", ".", "a/b", "info", "mon_groups"] {
            let wrong = planned(json!({"closID": name})).unwrap_err();
            assert!(wrong.contains("is no name of a group"), "{wrong}");
        }
    }

    #[test]
    fn the_file_system_is_found() {
        let table = "22 1 0:20 / /proc rw - proc proc rw\n\
            23 1 0:21 / /sys/fs/resctrl rw,relatime - resctrl resctrl rw\n";
        assert_eq!(find_mount(table), Some("/sys/fs/resctrl".into()));
        assert_eq!(find_mount("22 1 0:20 / /proc rw - proc proc rw\n"), None);
    }

    /// A directory like one of the file system's, which this needs no kernel for.
    #[test]
    fn groups_of_others_are_compared_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let missing = planned(json!({"closID": "gold"})).unwrap();
        let told = make_in(root.path(), &missing).unwrap_err().to_string();
        assert!(told.contains("there is no group \"gold\""), "{told}");
        let gold = root.path().join("gold");
        std::fs::create_dir(&gold).unwrap();
        let text = "    MB:0=100\n    L3:0=00f;1=0ff\n";
        sys::file::replace_unsynced(&gold.join("schemata"), text.as_bytes(), 0o644).unwrap();
        sys::file::replace_unsynced(&gold.join("tasks"), b"", 0o644).unwrap();
        assert_eq!(make_in(root.path(), &missing).unwrap().len(), 1);
        let same = planned(json!({"closID": "gold", "l3CacheSchema": "L3:1=FF"})).unwrap();
        make_in(root.path(), &same).unwrap();
        let other = planned(json!({"closID": "gold", "l3CacheSchema": "L3:1=f"})).unwrap();
        let told = make_in(root.path(), &other).unwrap_err().to_string();
        assert!(told.contains("does not have L3:1=f"), "{told}");
        remove_in(root.path(), &same).unwrap();
        assert!(gold.is_dir());
    }

    #[test]
    fn an_update_writes_to_the_group_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("id");
        std::fs::create_dir(&group).unwrap();
        let schemata = group.join("schemata");
        sys::file::replace_unsynced(&schemata, b"", 0o644).unwrap();
        let plan = planned(json!({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20"}));
        update_in(root.path(), &plan.unwrap(), &[1]).unwrap();
        let written = std::fs::read_to_string(&schemata).unwrap();
        assert_eq!(written, "L3:0=f\nMB:0=20\n");
    }

    /// The file system makes the files of a group; here there are none, so it cannot be filled.
    #[test]
    fn a_group_that_cannot_be_filled_is_taken_away() {
        let root = tempfile::tempdir().unwrap();
        let plan = planned(json!({"l3CacheSchema": "L3:0=f"})).unwrap();
        let told = update_in(root.path(), &plan, &[1]).unwrap_err().to_string();
        assert!(told.contains("schemata of"), "{told}");
        assert!(!root.path().join("id").exists());
    }

    #[test]
    fn an_own_group_goes_and_may_be_gone() {
        let root = tempfile::tempdir().unwrap();
        let plan = planned(json!({})).unwrap();
        make_group(&root.path().join("id")).unwrap();
        remove_in(root.path(), &plan).unwrap();
        assert!(!root.path().join("id").exists());
        remove_in(root.path(), &plan).unwrap();
    }
}
