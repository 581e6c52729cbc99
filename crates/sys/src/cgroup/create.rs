//! Making a cgroup.
//!
//! Most often everything but the last directory is there, so that one is made first; only what goes
//! wrong then makes the rest looked at.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode as Permissions};

use super::apply::Prepared;
use super::layout::{Hierarchy, is_missing};
use super::plan::Version;
use super::{
    Cgroup, Dir, Error, Join, Layout, Limits, Mode, V2_CONTROLLERS, all_dirs, read, relative,
};
use crate::error::retry;

/// How often making the directories starts over when somebody removes a parent meanwhile.
const RETRIES: usize = 8;

/// What is done about hierarchies in which the caller may make nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// An error.
    Refuse,
    /// The cgroup has no part in them; an error only if a limit needs one.
    LeaveOut,
}

/// A controller, or all of a hierarchy's, that cannot be used, and why.
#[derive(Debug)]
pub(super) struct Unavailable {
    controllers: Vec<String>,
    pub(super) reason: Error,
}

impl Unavailable {
    /// Whether it is about this controller, by version 2's name.
    pub(super) fn concerns(&self, controller: &str) -> bool {
        let names = [controller, super::v1_name(controller)];
        self.controllers.iter().any(|c| names.contains(&c.as_str()))
    }
}

impl Cgroup {
    /// Makes the cgroup in every hierarchy and limits it. Everything that can be refused without
    /// touching anything is; if a later step fails, what was made is removed again. A cgroup that is
    /// there already is made anew if no process is in it, and refused otherwise.
    pub fn create(layout: &Layout, path: &str, limits: &Limits) -> Result<Self, Error> {
        Self::create_where_allowed(layout, path, limits, Denied::Refuse)
    }

    /// The same, for callers without the rights of root.
    pub fn create_where_allowed(
        layout: &Layout,
        path: &str,
        limits: &Limits,
        denied: Denied,
    ) -> Result<Self, Error> {
        Self::create_with(layout, path, limits, denied, existing_is_renewed)
    }

    /// Takes part in a cgroup that somebody else, like systemd, has made and put a process in: makes
    /// what is missing of it and limits it.
    pub fn adopt(layout: &Layout, path: &str, limits: &Limits) -> Result<Self, Error> {
        Self::create_with(layout, path, limits, Denied::Refuse, |dir| {
            // Nothing would ever run in it.
            match super::freeze::is_set(dir) {
                true => Err(Error::Frozen(dir.to_owned())),
                false => Ok(false),
            }
        })
    }

    fn create_with(
        layout: &Layout,
        path: &str,
        limits: &Limits,
        denied: Denied,
        existing: fn(&Path) -> Result<bool, Error>,
    ) -> Result<Self, Error> {
        Making::new(layout, path, limits, denied, existing)?.finish()
    }

    /// The cgroup as it will be, for a process that waits until it is there.
    pub fn planned(layout: &Layout, path: &str) -> Result<Self, Error> {
        let dirs = all_dirs(layout, &relative(path)?);
        let path = path.to_owned();
        Ok(Self { path, dirs })
    }
}

/// A cgroup that is made while the process that is to enter it does something else. What was made of
/// it is removed when this is dropped unfinished: nobody may be inside then.
#[derive(Debug)]
pub struct Making {
    maker: Maker,
    path: String,
    denied: Denied,
    dirs: Vec<Dir>,
    unavailable: Vec<Unavailable>,
    made: Vec<PathBuf>,
}

impl Making {
    /// Makes of the cgroup what a process must be born in, its version 2 directory, as
    /// [`Cgroup::create`] does.
    pub fn begin(layout: &Layout, path: &str, limits: &Limits) -> Result<Self, Error> {
        let mut making = Self::new(layout, path, limits, Denied::Refuse, existing_is_renewed)?;
        making.make(Version::V2)?;
        Ok(making)
    }

    fn new(
        layout: &Layout,
        path: &str,
        limits: &Limits,
        denied: Denied,
        existing: fn(&Path) -> Result<bool, Error>,
    ) -> Result<Self, Error> {
        let maker = Maker {
            layout: layout.clone(),
            relative: relative(path)?,
            prepared: Prepared::new(layout, limits)?,
            existing,
        };
        Ok(Self {
            maker,
            path: path.to_owned(),
            denied,
            dirs: Vec::new(),
            unavailable: Vec::new(),
            made: Vec::new(),
        })
    }

    /// What is there to be born in.
    pub fn join_handles(&self) -> Result<Join, Error> {
        Join::open(&self.dirs)
    }

    /// Makes the directories of the hierarchies of one version.
    fn make(&mut self, version: Version) -> Result<(), Error> {
        let layout = &self.maker.layout;
        let hierarchies = layout.v1.iter().chain(&layout.v2);
        let dirs = all_dirs(layout, &self.maker.relative);
        for (mut dir, hierarchy) in dirs.into_iter().zip(hierarchies) {
            if dir.version != version {
                continue;
            }
            match self.maker.make(&mut dir, hierarchy, &mut self.made) {
                Ok(list) => {
                    self.unavailable.extend(list);
                    self.dirs.push(dir);
                }
                Err(reason) if self.denied == Denied::LeaveOut && is_denied(&reason) => {
                    let controllers = dir.controllers;
                    self.unavailable.push(Unavailable {
                        controllers,
                        reason,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the rest and limits it. After a failure what was made is removed when this is dropped.
    pub fn finish(&mut self) -> Result<Cgroup, Error> {
        let born_in = std::mem::take(&mut self.dirs);
        self.make(Version::V1)?;
        match born_in.is_empty() {
            true => self.make(Version::V2)?,
            false => self.dirs.extend(born_in),
        }
        let dirs = std::mem::take(&mut self.dirs);
        let path = match dirs.is_empty() {
            true => String::new(),
            false => std::mem::take(&mut self.path),
        };
        let cgroup = Cgroup { path, dirs };
        let unavailable = std::mem::take(&mut self.unavailable);
        match self.maker.prepared.apply(&cgroup, unavailable) {
            // Who may not load programs cannot use devices that are not his either.
            Err(error @ Error::DeviceFilter { .. })
                if self.denied == Denied::LeaveOut && is_denied(&error) => {}
            applied => applied?,
        }
        self.made.clear();
        Ok(cgroup)
    }
}

impl Drop for Making {
    /// The last made first.
    fn drop(&mut self) {
        for dir in self.made.iter().rev() {
            // A parent may meanwhile be another container's too; then it stays.
            let _ = std::fs::remove_dir(dir);
        }
    }
}

/// Makes directories.
#[derive(Debug)]
struct Maker {
    layout: Layout,
    relative: PathBuf,
    prepared: Prepared,
    /// What is done when the last directory is there; tells whether it is new then.
    existing: fn(&Path) -> Result<bool, Error>,
}

impl Maker {
    /// Makes one directory with what it needs of its parents; returns what cannot be used in it.
    fn make(
        &self,
        dir: &mut Dir,
        hierarchy: &Hierarchy,
        made: &mut Vec<PathBuf>,
    ) -> Result<Vec<Unavailable>, Error> {
        let mut tries = 0;
        loop {
            match self.make_once(dir, hierarchy, made) {
                // A parent was removed between its making and its child's.
                Err(Error::File { source, .. }) if is_gone(&source) && tries < RETRIES => {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    fn make_once(
        &self,
        dir: &mut Dir,
        hierarchy: &Hierarchy,
        made: &mut Vec<PathBuf>,
    ) -> Result<Vec<Unavailable>, Error> {
        dir.fresh = match mkdir(&dir.path) {
            Ok(made) => made,
            Err(Error::File { source, .. }) if is_missing(&source) => {
                self.make_parents(hierarchy, made)?;
                mkdir(&dir.path)?
            }
            Err(error) => return Err(error),
        };
        if !dir.fresh {
            dir.fresh = (self.existing)(&dir.path)?;
        }
        if dir.fresh {
            made.push(dir.path.clone());
        }
        match dir.version {
            Version::V1 => {
                if hierarchy.has("cpuset") {
                    inherit_cpuset(&hierarchy.mount, &dir.path, dir.fresh)?;
                }
                Ok(Vec::new())
            }
            Version::V2 => self.enable(dir, hierarchy),
        }
    }

    fn make_parents(&self, hierarchy: &Hierarchy, made: &mut Vec<PathBuf>) -> Result<(), Error> {
        let mut dir = hierarchy.mount.clone();
        let parents = self.relative.parent().unwrap_or(Path::new(""));
        for part in parents {
            dir.push(part);
            if mkdir(&dir)? {
                made.push(dir.clone());
                if hierarchy.has("cpuset") {
                    inherit_cpuset(&hierarchy.mount, &dir, true)?;
                    // What is made in this one then begins with its processors.
                    let _ = read::write(&dir.join("cgroup.clone_children"), "1");
                }
            }
        }
        Ok(())
    }

    /// Enables version 2 controllers from the root down to the parent, unless the cgroup has them.
    fn enable(&self, leaf: &Dir, hierarchy: &Hierarchy) -> Result<Vec<Unavailable>, Error> {
        let wanted = wanted_controllers(&self.layout, hierarchy, &self.prepared);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let has = read::line(&leaf.path.join("cgroup.controllers"))?;
        if wanted.iter().all(|c| has.split(' ').any(|h| h == *c)) {
            return Ok(Vec::new());
        }
        let mut unavailable = Vec::new();
        let mut dir = hierarchy.mount.clone();
        for part in &self.relative {
            unavailable.extend(enable_for_children(&dir, &wanted));
            dir.push(part);
        }
        self.check_type(leaf)?;
        Ok(unavailable)
    }

    /// In a threaded subtree only some controllers work, and a new cgroup must say that it is a part
    /// of it, cgroups(7).
    fn check_type(&self, leaf: &Dir) -> Result<(), Error> {
        let kind = match read::line(&leaf.path.join("cgroup.type")) {
            Ok(kind) if kind == "domain" => return Ok(()),
            // Kernels before 4.14 have no threads.
            Err(Error::File { source, .. }) if is_missing(&source) => return Ok(()),
            other => other?,
        };
        if self.prepared.needs_domain(&self.layout) {
            let path = leaf.path.clone();
            return Err(Error::Threaded { path, kind });
        }
        match kind.as_str() {
            "domain invalid" => read::write(&leaf.path.join("cgroup.type"), "threaded"),
            _ => Ok(()),
        }
    }
}

/// Whether a parent went: before its file was opened, or while it was open.
fn is_gone(error: &io::Error) -> bool {
    is_missing(error) || error.raw_os_error() == Some(libc::ENODEV)
}

/// Whether the caller may not do this here.
fn is_denied(error: &Error) -> bool {
    let (Error::File { source, .. }
    | Error::Write { source, .. }
    | Error::DeviceFilter { source, .. }) = error
    else {
        return false;
    };
    matches!(
        source.raw_os_error(),
        Some(libc::EACCES | libc::EPERM | libc::EROFS)
    )
}

/// Makes one directory; tells whether it is new.
fn mkdir(dir: &Path) -> Result<bool, Error> {
    match retry(|| rustix::fs::mkdirat(CWD, dir, Permissions::from_raw_mode(0o755))) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(errno) => Err(Error::File {
            action: "make cgroup",
            path: dir.to_owned(),
            source: errno.into(),
        }),
    }
}

/// Makes a cgroup that was there afresh, so that old limits and counts do not pass for its own.
/// False if it had to be left as it was: empty, but with others made inside.
fn existing_is_renewed(dir: &Path) -> Result<bool, Error> {
    let processes = read::procs_of(dir)?.len();
    if processes > 0 {
        let path = dir.to_owned();
        return Err(Error::Busy { path, processes });
    }
    // Whoever froze it will not expect a container in it, which would never start.
    if super::freeze::is_set(dir) {
        return Err(Error::Frozen(dir.to_owned()));
    }
    match std::fs::remove_dir(dir) {
        Ok(()) => mkdir(dir),
        Err(_) => Ok(false),
    }
}

/// A new version 1 cpuset is empty and takes no process until it has processors and memory nodes,
/// unless its parent hands its own down, both at once.
fn inherit_cpuset(mount: &Path, dir: &Path, fresh: bool) -> Result<(), Error> {
    let mut is_empty = true;
    for (at, name) in ["cpuset.cpus", "cpuset.mems"].into_iter().enumerate() {
        let file = dir.join(name);
        if at == 0 || !fresh {
            is_empty = read::line(&file)?.is_empty();
        }
        if !is_empty {
            continue;
        }
        let parent = dir.parent().unwrap_or(dir);
        let mut value = read::line(&parent.join(name))?;
        if value.is_empty() && parent != mount {
            // Somebody has made it, and nothing of it.
            inherit_cpuset(mount, parent, false)?;
            value = read::line(&parent.join(name))?;
        }
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
fn enable_for_children(dir: &Path, wanted: &[&'static str]) -> Vec<Unavailable> {
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
    let single = |controller: &str| {
        let reason = read::write(&file, &format!("+{controller}")).err()?;
        Some(Unavailable {
            controllers: vec![controller.to_owned()],
            reason,
        })
    };
    off.into_iter().filter_map(single).collect()
}
