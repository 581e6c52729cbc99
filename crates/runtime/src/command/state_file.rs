//! The record of a container between two commands: `ROOT/ID/state.json`, replaced atomically. It is
//! lost with the machine's uptime, as the container is, so nothing waits for the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::Spec;
use runtime::{Container, Saved};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, OnFile};

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record {
    /// Of this layout.
    pub(crate) version: u32,
    pub(crate) saved: Saved,
    /// The configuration the container was made with, whatever the bundle holds now.
    pub(crate) spec: Spec,
    pub(crate) created: String,
    pub(crate) started: bool,
    pub(crate) paused: bool,
    /// Whether its processes have a session keyring of the container's own.
    #[serde(default)]
    pub(crate) new_keyring: bool,
    /// Whether its maker had no rights and entered a user namespace first.
    #[serde(default)]
    pub(crate) nested: bool,
}

/// Of [`Record`].
pub(crate) const VERSION: u32 = 1;

/// A container's place in the state directory.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
}

/// How things stand, in the specification's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl Record {
    /// What the record says, corrected by what the kernel says.
    pub(crate) fn status(&self) -> Status {
        self.status_if(sys::proc::is_alive(self.saved.process))
    }

    /// The same for who has the container in hand.
    pub(crate) fn status_of(&self, container: Option<&Container>) -> Status {
        let ended = |container: &Container| {
            sys::pidfd::ended_within(container.pidfd(), Duration::ZERO).unwrap_or(false)
        };
        self.status_if(container.is_some_and(|container| !ended(container)))
    }

    fn status_if(&self, is_alive: bool) -> Status {
        match (is_alive, self.started, self.paused) {
            (false, ..) => Status::Stopped,
            (true, _, true) => Status::Paused,
            (true, true, false) => Status::Running,
            (true, false, false) => Status::Created,
        }
    }

    /// The container, if its process is still there.
    pub(crate) fn container(&self) -> Result<Option<Container>, Failure> {
        Ok(Container::load(&self.saved, &self.spec)?)
    }
}

impl Place {
    /// Of a container by id; the id is checked, because it becomes a path.
    pub(crate) fn of(root: &Path, id: &str) -> Result<Self, Failure> {
        runtime::check_id(id).map_err(|_| Failure::Id(id.to_owned()))?;
        Ok(Self {
            id: id.to_owned(),
            dir: root.join(id),
        })
    }

    /// Takes the place for a new container.
    pub(crate) fn claim(&self) -> Result<(), Failure> {
        let make = |path: &Path| {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().mode(0o700).create(path)
        };
        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        match make(&self.dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Failure::Exists(self.id.clone()));
            }
            Err(_) => {}
        }
        make_root(parent)
            .and_then(|()| make(&self.dir))
            .on_file("make", &self.dir)
    }

    /// Leaves word of the cgroup that is going to be made, so that it can be removed even if this
    /// program is killed before the record is written. As a symbolic link, because that is there
    /// whole or not at all, by one system call.
    pub(crate) fn intend(&self, cgroup: &str) -> Result<(), Failure> {
        let path = self.intention();
        std::os::unix::fs::symlink(cgroup, &path).on_file("make", &path)
    }

    /// What [`Place::intend`] left.
    pub(crate) fn intended(&self) -> Result<Option<String>, Failure> {
        let path = self.intention();
        match std::fs::read_link(&path) {
            Ok(text) => Ok(Some(text.to_string_lossy().into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).on_file("read", &path),
        }
    }

    fn intention(&self) -> PathBuf {
        self.dir.join("cgroup")
    }

    /// Gives the place up, with all files in it.
    pub(crate) fn release(&self) -> Result<(), Failure> {
        // Only if it is empty and no mount point: a restoration has the container's root there.
        let root = self.root();
        match std::fs::remove_dir(&root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).on_file("remove", &root);
            }
            _ => {}
        }
        // What there is most often: to look for more costs as much as a removal.
        for file in [self.file(), self.intention()] {
            let _ = std::fs::remove_file(file);
        }
        if std::fs::remove_dir(&self.dir).is_ok() {
            return Ok(());
        }
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).on_file("remove", &self.dir)
            }
            _ => Ok(()),
        }
    }

    /// Where a restoration mounts the container's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Where a created container waits.
    pub(crate) fn gate(&self) -> PathBuf {
        self.dir.join("gate.sock")
    }

    pub(crate) fn write(&self, record: &Record) -> Result<(), Failure> {
        let path = self.file();
        let text = serde_json::to_vec(record).map_err(|source| Failure::Malformed {
            path: path.clone(),
            source,
        })?;
        sys::file::replace_unsynced(&path, &text, 0o600).on_file("write", &path)
    }

    pub(crate) fn read(&self) -> Result<Record, Failure> {
        let path = self.file();
        let text = match sys::fd::open_read(&path) {
            Err(error) if error.errno == sys::Errno::NOENT => {
                return Err(Failure::NoContainer(self.id.clone()));
            }
            opened => opened
                .and_then(|file| sys::fd::read_to_end(file, 64 << 20))
                .on_file("read", &path)?,
        };
        serde_json::from_slice(&text).map_err(|source| Failure::Malformed { path, source })
    }

    /// The record of a container that is in one of these states.
    pub(crate) fn read_in(&self, states: &[Status], verb: &'static str) -> Result<Record, Failure> {
        let record = self.read()?;
        let status = record.status();
        if states.contains(&status) {
            return Ok(record);
        }
        Err(Failure::State {
            id: self.id.clone(),
            status: status.name(),
            verb,
        })
    }

    fn file(&self) -> PathBuf {
        self.dir.join("state.json")
    }
}

/// A user's own has the sticky bit, so that whoever tidies the runtime directory up leaves it alone
/// (XDG base directory specification).
fn make_root(root: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let new = !root.exists();
    std::fs::create_dir_all(root)?;
    let of_user = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|dir| root.starts_with(dir));
    if new && of_user {
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o1700))?;
    }
    Ok(())
}

/// Every container of a state directory, by id.
pub(crate) fn all(root: &Path) -> Result<Vec<Place>, Failure> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Ok(Vec::new());
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut places: Vec<_> = names
        .filter_map(|name| Place::of(root, &name).ok())
        .collect();
    places.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(places)
}
