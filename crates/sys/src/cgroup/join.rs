//! Entering a cgroup.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::plan::Version;
use super::{Cgroup, Dir, Error, read};

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
    /// The version 2 directory, for CLONE_INTO_CGROUP; none on a machine without version 2.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(|d| d.directory.as_fd())
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
        Ok(Join {
            tasks: self.v1().map(door).collect::<Result<_, _>>()?,
            v2: self.v2().map(v2).transpose()?,
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

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| Error::File {
        action: "open",
        path: path.to_owned(),
        source: errno.into(),
    })
}
