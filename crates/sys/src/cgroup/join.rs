//! Entering a cgroup.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::plan::Version;
use super::{Cgroup, Dir, Error, Layout, all_dirs, read, relative};

/// The open doors of a cgroup, for a child that is not cloned yet.
///
/// In version 1 the child, while it has one thread, writes `0` to each `tasks` file. That takes no
/// lock; writing a process' number, or to `cgroup.procs`, waits for an RCU grace period of about
/// 10 ms. In version 2 the child is cloned into [`Join::directory`] (CLONE_INTO_CGROUP).
#[derive(Debug)]
pub struct Join {
    tasks: Vec<Door>,
    v2: Option<V2Door>,
}

#[derive(Debug)]
struct Door {
    path: PathBuf,
    file: OwnedFd,
}

#[derive(Debug)]
struct V2Door {
    path: PathBuf,
    directory: OwnedFd,
}

impl Join {
    /// The doors of the cgroups that a process is in. Where programs inside a container have made
    /// cgroups of their own, version 2 takes no more processes into the container's; this is where
    /// its first process went.
    pub fn of_process(layout: &Layout, pid: i32) -> Result<Self, Error> {
        let text = read::text(Path::new(&format!("/proc/{pid}/cgroup")))?;
        let mut dirs = all_dirs(layout, Path::new(""));
        for dir in &mut dirs {
            match membership(&text, dir) {
                None | Some("/") => {}
                Some(path) => dir.path.push(relative(path)?),
            }
        }
        Self::open(&dirs)
    }

    /// The doors of cgroups below `cgroup`: one path for all hierarchies, or for those with a
    /// controller; hierarchies that are not named are entered at `cgroup` itself.
    pub fn below(cgroup: &Cgroup, subs: &[(Option<&str>, &str)]) -> Result<Self, Error> {
        let mut dirs = cgroup.dirs.clone();
        for (controller, path) in subs {
            let sub = path.trim_matches('/');
            let below = match sub {
                "" | "." => PathBuf::new(),
                sub => relative(&format!("/{sub}"))?,
            };
            let named = |dir: &Dir| match controller {
                None => true,
                Some("") => dir.version == Version::V2,
                Some(name) => dir.has(name),
            };
            let mut found = false;
            // From where the container is, because two controllers may share a hierarchy.
            for (dir, own) in dirs.iter_mut().zip(&cgroup.dirs) {
                if named(own) {
                    dir.path = own.path.join(&below);
                    found = true;
                }
            }
            if !found {
                return Err(Error::Invalid {
                    limit: "controller",
                    reason: format!("unknown controller {}", controller.unwrap_or_default()),
                });
            }
        }
        Self::open(&dirs)
    }

    pub(super) fn open(dirs: &[Dir]) -> Result<Self, Error> {
        let v1 = dirs.iter().filter(|d| d.version == Version::V1);
        let door = |dir: &Dir| {
            let path = dir.path.join("tasks");
            let file = open(&path, OFlags::WRONLY)?;
            Ok(Door { path, file })
        };
        let v2 = |dir: &Dir| {
            Ok(V2Door {
                path: dir.path.clone(),
                directory: open(&dir.path, OFlags::RDONLY | OFlags::DIRECTORY)?,
            })
        };
        let directory = dirs.iter().find(|d| d.version == Version::V2);
        Ok(Self {
            tasks: v1.map(door).collect::<Result<_, _>>()?,
            v2: directory.map(v2).transpose()?,
        })
    }

    /// The version 2 directory, for CLONE_INTO_CGROUP; none on a machine without version 2.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(|d| d.directory.as_fd())
    }

    /// The doors of version 1, for [`Cgroup::join_through`] in another process.
    pub fn v1_doors(&self) -> Vec<BorrowedFd<'_>> {
        self.tasks.iter().map(|door| door.file.as_fd()).collect()
    }

    #[cfg(test)]
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let v1 = self.tasks.iter().map(|d| d.path.clone());
        v1.chain(self.v2.iter().map(|d| d.path.clone())).collect()
    }

    /// Moves the calling process into all version 1 hierarchies. It must have one thread only: the
    /// others would stay behind. Looks up no path and allocates nothing unless it fails.
    pub fn enter_v1(&self) -> Result<(), Error> {
        self.tasks.iter().try_for_each(Door::enter)
    }

    /// Moves the calling process into the version 2 hierarchy, where it could not be cloned into it.
    pub fn enter_v2(&self) -> Result<(), Error> {
        let Some(v2) = &self.v2 else { return Ok(()) };
        let path = v2.path.join("cgroup.procs");
        let file = open(&path, OFlags::WRONLY)?;
        Door { path, file }.enter()
    }
}

impl Door {
    fn enter(&self) -> Result<(), Error> {
        match rustix::io::retry_on_intr(|| rustix::io::write(&self.file, b"0")) {
            Ok(_) => Ok(()),
            Err(errno) => Err(Error::Write {
                value: "0".to_owned(),
                path: self.path.clone(),
                source: errno.into(),
            }),
        }
    }
}

impl Cgroup {
    /// Opens what a child needs to enter.
    pub fn join_handles(&self) -> Result<Join, Error> {
        Join::open(&self.dirs)
    }

    /// What a child needs to enter version 1, where somebody else has opened it: [`Join::v1_doors`] of
    /// the same cgroup. Opens it itself where that has not come along.
    pub fn join_through(&self, doors: Vec<OwnedFd>) -> Result<Join, Error> {
        let v1 = self.dirs.iter().filter(|d| d.version == Version::V1);
        let paths: Vec<_> = v1.map(|dir| dir.path.join("tasks")).collect();
        if paths.len() != doors.len() {
            return self.join_handles();
        }
        let door = |(path, file)| Door { path, file };
        Ok(Join {
            tasks: paths.into_iter().zip(doors).map(door).collect(),
            v2: None,
        })
    }

    /// Moves the calling process, which must have one thread only, into every hierarchy.
    pub fn join_self_single_threaded(&self) -> Result<(), Error> {
        let join = self.join_handles()?;
        join.enter_v1()?;
        join.enter_v2()
    }

    /// Moves another process, all its threads, into every hierarchy. Slow in version 1.
    pub fn add(&self, pid: i32) -> Result<(), Error> {
        let value = pid.to_string();
        self.dirs
            .iter()
            .try_for_each(|dir| read::write(&dir.path.join("cgroup.procs"), &value))
    }

    /// Whether it has a part in a version 2 hierarchy.
    pub fn has_v2(&self) -> bool {
        self.dirs.iter().any(|d| d.version == Version::V2)
    }
}

/// The path after the hierarchy's line in `/proc/PID/cgroup`, cgroups(7).
fn membership<'a>(text: &'a str, dir: &Dir) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = match dir.version {
            Version::V1 => controllers
                .split(',')
                .any(|c| dir.controllers.iter().any(|own| own == c)),
            Version::V2 => controllers.is_empty(),
        };
        ours.then_some(path)
    })
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| Error::File {
        action: "open",
        path: path.to_owned(),
        source: errno.into(),
    })
}
