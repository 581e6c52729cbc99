//! Making a cgroup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::apply::Prepared;
use super::layout::{Hierarchy, is_missing};
use super::plan::Version;
use super::{Cgroup, Dir, Error, Layout, Limits, Mode, V2_CONTROLLERS, all_dirs, read, relative};

/// How often making the directories starts over when somebody removes a parent meanwhile.
const RETRIES: usize = 8;

impl Cgroup {
    /// Makes the cgroup in every hierarchy and limits it. Everything that can be refused without
    /// touching anything is; if a later step fails, what was made is removed again. A cgroup that is
    /// there already is made anew if no process is in it, and refused otherwise.
    pub fn create(layout: &Layout, path: &str, limits: &Limits) -> Result<Self, Error> {
        let relative = relative(path)?;
        let prepared = Prepared::new(layout, limits)?;
        let mut made = Made::default();
        let mut unavailable = Vec::new();
        let dirs = all_dirs(layout, &relative);
        for (dir, hierarchy) in dirs.iter().zip(layout.v1.iter().chain(&layout.v2)) {
            let wanted = match dir.version {
                Version::V1 => Vec::new(),
                Version::V2 => wanted_controllers(layout, hierarchy, &prepared),
            };
            let line = Line {
                hierarchy,
                relative: &relative,
                wanted: &wanted,
            };
            unavailable.extend(line.make(dir, &mut made)?);
        }
        let cgroup = Self {
            path: path.to_owned(),
            dirs,
        };
        prepared.apply(&cgroup, unavailable)?;
        made.keep();
        Ok(cgroup)
    }
}

/// Directories made so far; removed, the last first, when this is dropped before [`Made::keep`].
#[derive(Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // A parent may meanwhile be another container's too; then it stays.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// The directories from a hierarchy's root down to the cgroup.
struct Line<'a> {
    hierarchy: &'a Hierarchy,
    relative: &'a Path,
    /// Controllers to enable on the way.
    wanted: &'a [&'static str],
}

impl Line<'_> {
    /// Makes what is missing; returns the controllers that could not be enabled.
    fn make(&self, leaf: &Dir, made: &mut Made) -> Result<Vec<(&'static str, Error)>, Error> {
        let mut tries = 0;
        loop {
            match self.make_once(leaf, made) {
                // A parent was removed between its making and its child's.
                Err(Error::File { source, .. }) if is_gone(&source) && tries < RETRIES => {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    fn make_once(&self, leaf: &Dir, made: &mut Made) -> Result<Vec<(&'static str, Error)>, Error> {
        let mut unavailable = Vec::new();
        let mut dir = self.hierarchy.mount.clone();
        for part in self.relative {
            unavailable.extend(enable(&dir, self.wanted));
            dir.push(part);
            let mut existed = mkdir(&dir)?;
            if existed && dir == leaf.path {
                existed = renew(&dir)?;
            }
            if !existed {
                made.0.push(dir.clone());
            }
            if self.hierarchy.has("cpuset") && leaf.version == Version::V1 {
                inherit_cpuset(&dir)?;
            }
        }
        Ok(unavailable)
    }
}

/// Whether a parent went: before its file was opened, or while it was open.
fn is_gone(error: &io::Error) -> bool {
    is_missing(error) || error.raw_os_error() == Some(libc::ENODEV)
}

/// Makes one directory; tells whether it was there.
fn mkdir(dir: &Path) -> Result<bool, Error> {
    match fs::create_dir(dir) {
        Ok(()) => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        Err(source) => Err(Error::File {
            action: "make cgroup",
            path: dir.to_owned(),
            source,
        }),
    }
}

/// Makes a cgroup that was there afresh, so that old limits and counts do not pass for its own.
/// Tells whether it had to be left as it was: empty, but with others made inside.
fn renew(dir: &Path) -> Result<bool, Error> {
    if !read::procs_of(dir)?.is_empty() {
        return Err(Error::Busy(dir.to_owned()));
    }
    match fs::remove_dir(dir) {
        Ok(()) => mkdir(dir),
        Err(_) => Ok(true),
    }
}

/// A new version 1 cpuset is empty and takes no process until it has processors and memory nodes.
fn inherit_cpuset(dir: &Path) -> Result<(), Error> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let file = dir.join(name);
        if !read::line(&file)?.is_empty() {
            continue;
        }
        let parent = dir.parent().unwrap_or(dir).join(name);
        let value = read::line(&parent)?;
        if !value.is_empty() {
            read::write(&file, &value)?;
        }
    }
    Ok(())
}

/// On a unified machine all controllers, so that usage is counted for whatever is not limited; on a
/// hybrid one only those a limit needs: its version 2 hierarchy is somebody else's.
fn wanted_controllers(layout: &Layout, v2: &Hierarchy, prepared: &Prepared) -> Vec<&'static str> {
    V2_CONTROLLERS
        .into_iter()
        .filter(|c| v2.has(c))
        .filter(|c| layout.mode() == Mode::Unified || prepared.needs(c, layout))
        .collect()
}

/// Enables controllers for the children of a version 2 cgroup. A controller that cannot be enabled
/// is an error only for a limit that needs it.
fn enable(dir: &Path, wanted: &[&'static str]) -> Vec<(&'static str, Error)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let file = dir.join("cgroup.subtree_control");
    let enabled = read::line(&file).unwrap_or_default();
    let off: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|c| !enabled.split(' ').any(|e| e == *c))
        .collect();
    let all: Vec<String> = off.iter().map(|c| format!("+{c}")).collect();
    if off.is_empty() || read::write(&file, &all.join(" ")).is_ok() {
        return Vec::new();
    }
    let single = |controller: &&'static str| {
        off.contains(controller)
            .then(|| read::write(&file, &format!("+{controller}")).err())
            .flatten()
            .map(|error| (*controller, error))
    };
    wanted.iter().filter_map(single).collect()
}
