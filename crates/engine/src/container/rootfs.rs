//! A container's files, as it sees them: through its first process while it runs, otherwise mounted as
//! they would be, in a mount namespace that is nobody else's and goes with the work.
//!
//! Who works on them has the container's root as a [`Dir`] and resolves every path in that: nothing of
//! the container is ever a path of the machine, and no program or library of it is ever loaded.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use sys::dir::Dir;
use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::ns::Namespaces;
use sys::overlay::Overlay;
use sys::root::Root;
use types::{IdMaps, Lifecycle, Mount, MountKind, MountRequest};

use super::{WrongState, mounts};
use crate::table::{Container, lock};
use crate::{Engine, Error};

/// What the work does to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads, with what is mounted in it.
    Read,
    /// Writes, with what is mounted in it. A container that does not run is not started meanwhile.
    Write,
    /// Reads what its image and its own layer hold, and nothing that is mounted.
    Bare,
}

/// Calls `work` with the container's root, and with its ids where files are seen as they are outside.
/// Blocking.
pub(super) fn with<T: Send>(
    engine: &Engine,
    container: &Arc<Container>,
    access: Access,
    work: impl FnOnce(&Dir, Option<&IdMaps>) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let order = (access == Access::Write).then(|| lock(&container.writing_files));
    match container.lifecycle() {
        Lifecycle::Running { .. } if access != Access::Bare => {
            // Its start may not wait for what is done while it runs.
            drop(order);
            let ids = container.fixed.ids.as_ref();
            as_its_root(container, || work(&of_process(container)?, ids))
        }
        Lifecycle::Removing { .. } => Err(WrongState::Removing(container.id().clone()).into()),
        Lifecycle::Starting { .. } if access != Access::Bare => {
            Err(WrongState::Starting(container.id().clone()).into())
        }
        _ => of_layers(engine, container, access, order, work),
    }
}

/// Where ids are translated, nobody makes a file who is none of the container's users.
pub(crate) fn as_its_root<T>(
    container: &Container,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let root = container
        .fixed
        .ids
        .as_ref()
        .and_then(|ids| ids.outside(0, 0));
    let Some((uid, gid)) = root else {
        return work();
    };
    let what = || format!("work on the files of container {}", container.id());
    sys::process::making_files_as(uid, gid, work).map_err(Error::kernel(what()))?
}

/// The root of its first process: what that has mounted is seen, too.
fn of_process(container: &Container) -> Result<Dir, Error> {
    let gone = || WrongState::NotRunning(container.id().clone());
    let process = container.lifecycle().process().ok_or_else(gone)?;
    let what = || format!("open the root of container {}", container.id());
    let root = Dir::open(Path::new(&format!("/proc/{}/root", process.pid)));
    let root = root.map_err(Error::kernel(what()))?;
    // The number may have become somebody else's before it was opened, not after.
    match sys::proc::open(process).map_err(Error::kernel(what()))? {
        Some(_) => Ok(root),
        None => Err(gone().into()),
    }
}

fn of_layers<T: Send>(
    engine: &Engine,
    container: &Arc<Container>,
    access: Access,
    order: Option<MutexGuard<'_, ()>>,
    work: impl FnOnce(&Dir, Option<&IdMaps>) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let snapshot = engine.storage().snapshot(container.id())?;
    let mounts = mounts_of(engine, container, access)?;
    let never_ran = matches!(container.lifecycle(), Lifecycle::Created);
    let resolved = container.resolved();
    let working_dir = Path::new(&resolved.working_dir);
    let files = Files {
        working_dir: Some(working_dir).filter(|_| never_ran && access != Access::Bare),
        layers: &snapshot.mounts,
        mounts: &mounts,
        read_only: container.fixed.spec.read_only,
        access,
    };
    // It is hidden by what is mounted on it, for this thread only.
    let place = engine.config().run_root.join("containers");
    let done = std::thread::scope(|scope| {
        // A thread of its own: a mount namespace cannot be left behind by one that is used again.
        let thread = scope.spawn(|| {
            let what = || format!("mount the files of container {}", container.id());
            work(&files.mount(&place, what)?, None)
        });
        thread.join()
    });
    drop(order);
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What is mounted in a container that does not run.
struct Placed {
    what: What,
    target: PathBuf,
    read_only: bool,
}

enum What {
    /// Something of the machine.
    Bind {
        source: PathBuf,
        subpath: Option<PathBuf>,
        recursive: bool,
    },
    /// Mounted by the start only. Nothing is there, and nothing can be put there: it would be hidden.
    Nothing,
}

impl Placed {
    fn nothing(target: &str) -> Self {
        Self {
            what: What::Nothing,
            target: target.into(),
            read_only: true,
        }
    }
}

/// What is mounted in it: the machine's directories and files, and places where only a start does.
fn mounts_of(engine: &Engine, container: &Container, access: Access) -> Result<Vec<Placed>, Error> {
    let requests = &container.resolved().mounts;
    let mut placed = Vec::new();
    if access == Access::Bare {
        return Ok(placed);
    }
    if access == Access::Write {
        // As its start would.
        mounts::make_sources(requests)?;
    }
    for request in requests {
        let target = &request.target;
        placed.push(match &request.kind {
            MountKind::Bind {
                source,
                create_source: true,
                ..
            } if !Path::new(source).exists() => Placed::nothing(target),
            MountKind::Bind {
                source, recursive, ..
            } => Placed {
                what: What::Bind {
                    source: source.into(),
                    subpath: None,
                    recursive: *recursive,
                },
                target: target.into(),
                read_only: request.read_only,
            },
            MountKind::Volume(volume) => {
                let Some(name) = &volume.name else { continue };
                let mount = engine.storage().volume(name.as_str())?.mount()?;
                of_volume(mount, request, volume.subpath.as_ref())
            }
            MountKind::Image { .. } => Placed::nothing(target),
            // Memory is empty.
            MountKind::Tmpfs { .. } => continue,
        });
    }
    // Parents before what is mounted in them.
    placed.sort_by_key(|mount| mount.target.components().count());
    Ok(placed)
}

fn of_volume(mount: Mount, request: &MountRequest, subpath: Option<&String>) -> Placed {
    if mount.kind != "bind" {
        return Placed::nothing(&request.target);
    }
    let has = |names: &[&str]| {
        mount
            .options
            .iter()
            .any(|own| names.contains(&own.as_str()))
    };
    Placed {
        read_only: request.read_only || has(&["ro", "rro"]),
        what: What::Bind {
            recursive: has(&["rbind"]),
            source: mount.source,
            subpath: subpath.map(Into::into),
        },
        target: request.target.clone().into(),
    }
}

/// Whether a path leads into what only a start mounts: where that is.
pub(super) fn only_running(
    engine: &Engine,
    container: &Container,
    path: &str,
) -> Result<Option<String>, Error> {
    if container.lifecycle().is_running() {
        return Ok(None);
    }
    let mounts = mounts_of(engine, container, Access::Read)?;
    let innermost = mounts
        .into_iter()
        .rfind(|mount| Path::new(path).starts_with(&mount.target));
    Ok(innermost
        .filter(|mount| matches!(mount.what, What::Nothing))
        .map(|mount| mount.target.display().to_string()))
}

/// The files of a container that does not run.
struct Files<'a> {
    layers: &'a [Mount],
    mounts: &'a [Placed],
    /// Whether the root is not to be written to.
    read_only: bool,
    access: Access,
    /// What its first start will make: whoever copies to it before finds it, as with Docker.
    working_dir: Option<&'a Path>,
}

impl Files<'_> {
    /// On the calling thread, which gets a mount namespace of its own.
    fn mount(&self, place: &Path, what: impl Fn() -> String) -> Result<Dir, Error> {
        self.leave().map_err(Error::kernel(what()))?;
        // Before there is anything of the container's: a path of the machine must not lead through that.
        let mut detached = Vec::new();
        for mount in self.mounts {
            let of = || format!("{}: mount what is at {}", what(), mount.target.display());
            let made = detach(mount).map_err(Error::kernel(of()))?;
            detached.push((made, &mount.target));
        }
        self.attach(place, detached).map_err(Error::kernel(what()))
    }

    fn leave(&self) -> sys::Result<()> {
        sys::ns::unshare(Namespaces::MOUNT)?;
        let untied = Change {
            propagation: Some(Propagation::Private),
            ..Change::default()
        };
        sys::mount::change_fd(Dir::open(Path::new("/"))?, untied, true)
    }

    fn attach(&self, place: &Path, detached: Vec<(Mounted, &PathBuf)>) -> sys::Result<Dir> {
        let overlay = overlay(self.layers, place, self.access)?;
        if sys::overlay::can_be_detached() {
            overlay.mount()?.attach(Dir::open(place)?)?;
        } else {
            overlay.mount_at(place)?;
        }
        let root = Root::open(place)?;
        for (mount, target) in detached {
            let target = match sys::root::kind(&mount)? {
                sys::root::Kind::Directory => root.make_dirs(target)?,
                _ => root.make_file(target)?,
            };
            mount.attach(target)?;
        }
        if let Some(dir) = self.working_dir {
            // What cannot be made is for the start to tell.
            let _ = root.make_dirs(dir);
        }
        let root = Dir::open(place)?;
        if self.read_only {
            // Now that all places for mounts are made.
            sys::mount::change_fd(&root, READ_ONLY, false)?;
        }
        Ok(root)
    }
}

const READ_ONLY: Change = Change {
    set: Attributes::READ_ONLY,
    clear: Attributes::empty(),
    propagation: None,
};

/// A mount that is attached nowhere yet. What is read-only is so before anybody can reach it.
fn detach(mount: &Placed) -> sys::Result<Mounted> {
    let (made, recursive) = match &mount.what {
        What::Nothing => {
            let none = sys::mount::file_system("tmpfs", Some("none"), &[], Attributes::empty())?;
            (none, false)
        }
        What::Bind {
            source,
            subpath: None,
            recursive,
        } => (sys::mount::bind(source, *recursive)?, *recursive),
        What::Bind {
            source,
            subpath: Some(part),
            recursive,
        } => {
            let part = Root::open(source)?.open_beneath(part)?;
            (sys::mount::bind_fd(part, *recursive)?, *recursive)
        }
    };
    if mount.read_only {
        made.change(READ_ONLY, recursive)?;
    }
    Ok(made)
}

/// The container's layers. Who only reads has a layer of memory above them: another mount may have
/// the container's own, and mount points are made.
fn overlay(layers: &[Mount], place: &Path, access: Access) -> sys::Result<Overlay> {
    let Some(own) = layers.first() else {
        return Err(sys::Error {
            call: "mount",
            errno: sys::Errno::INVAL,
        });
    };
    let parameter = |option: &String| match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.clone(), None),
    };
    let all: Vec<_> = own.options.iter().map(parameter).collect();
    let mut overlay = Overlay {
        lower: own.lower.clone(),
        parameters: all,
        attributes: Attributes::empty(),
    };
    if access == Access::Write {
        return Ok(overlay);
    }
    let upper = overlay
        .parameters
        .iter()
        .find(|(name, _)| name == "upperdir");
    if let Some((_, Some(upper))) = upper {
        overlay.lower.insert(0, upper.into());
    }
    let own = ["upperdir", "workdir", "volatile"];
    overlay
        .parameters
        .retain(|(name, _)| !own.contains(&name.as_str()));
    // Over the directory on which the root is mounted next.
    let memory = sys::mount::file_system("tmpfs", Some("none"), &[], Attributes::empty())?;
    memory.attach(Dir::open(place)?)?;
    let above = Dir::open(place)?;
    for name in ["upper", "work"] {
        above.make_dir(std::ffi::OsStr::new(name))?;
        let path = place.join(name).display().to_string();
        overlay.parameters.push((format!("{name}dir"), Some(path)));
    }
    above.set_mode(std::ffi::OsStr::new("upper"), 0o755)?;
    Ok(overlay)
}
