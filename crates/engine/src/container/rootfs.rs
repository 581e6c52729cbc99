//! A container's files, as it sees them: through its first process while it runs, otherwise mounted as
//! they would be, in a mount namespace that is nobody else's and goes with the work.
//!
//! Who works on them has the container's root as a [`Dir`] and resolves every path in that: nothing of
//! the container is ever a path of the machine, and no program or library of it is ever loaded.

use std::path::Path;
use std::sync::{Arc, MutexGuard};

use sys::dir::Dir;
use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::ns::Namespaces;
use sys::overlay::Overlay;
use sys::root::Root;
use types::{Lifecycle, Mount, MountKind};

use super::WrongState;
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

/// Calls `work` with the container's root. Blocking.
pub(super) fn with<T: Send>(
    engine: &Engine,
    container: &Arc<Container>,
    access: Access,
    work: impl FnOnce(&Dir) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let order = (access == Access::Write).then(|| lock(&container.writing_files));
    match container.lifecycle() {
        Lifecycle::Running { .. } if access != Access::Bare => {
            // Its start may not wait for what is done while it runs.
            drop(order);
            work(&of_process(container)?)
        }
        Lifecycle::Removing { .. } => Err(WrongState::Removing(container.id().clone()).into()),
        Lifecycle::Starting { .. } if access != Access::Bare => {
            Err(WrongState::Starting(container.id().clone()).into())
        }
        _ => of_layers(engine, container, access, order, work),
    }
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
    work: impl FnOnce(&Dir) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let snapshot = engine.storage().snapshot(container.id())?;
    let mounts = binds(engine, container, access)?;
    // It is hidden by what is mounted on it, for this thread only.
    let place = engine.config().run_root.join("containers");
    let done = std::thread::scope(|scope| {
        // A thread of its own: a mount namespace cannot be left behind by one that is used again.
        let thread = scope.spawn(|| {
            let root = mounted(&snapshot.mounts, &mounts, &place, access);
            work(&root.map_err(Error::kernel(format!(
                "mount the files of container {}",
                container.id()
            )))?)
        });
        thread.join()
    });
    drop(order);
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What is mounted in it of the machine's directories and files.
fn binds(engine: &Engine, container: &Container, access: Access) -> Result<Vec<Mount>, Error> {
    let mut mounts = Vec::new();
    if access == Access::Bare {
        return Ok(mounts);
    }
    for request in &container.fixed.resolved.mounts {
        let mount = match &request.kind {
            MountKind::Bind {
                source, recursive, ..
            } => Mount {
                kind: "bind".to_owned(),
                source: source.into(),
                target: request.target.clone().into(),
                options: vec![if *recursive { "rbind" } else { "bind" }.to_owned()],
                lower: Vec::new(),
                subpath: None,
            },
            MountKind::Volume(volume) => {
                let Some(name) = &volume.name else { continue };
                let mount = engine.storage().volume(name.as_str())?.mount()?;
                Mount {
                    target: request.target.clone().into(),
                    subpath: volume.subpath.as_ref().map(Into::into),
                    ..mount
                }
            }
            // Memory is empty, and images are read-only and have archives of their own.
            MountKind::Tmpfs { .. } | MountKind::Image { .. } => continue,
        };
        if mount.kind == "bind" {
            mounts.push(mount);
        }
    }
    // Parents before what is mounted in them.
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

/// On the calling thread, which gets a mount namespace of its own.
fn mounted(layers: &[Mount], mounts: &[Mount], place: &Path, access: Access) -> sys::Result<Dir> {
    sys::ns::unshare(Namespaces::MOUNT)?;
    let untied = Change {
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    sys::mount::change_fd(Dir::open(Path::new("/"))?, untied, true)?;
    // Before there is anything of the container's: a path of the machine must not lead through that.
    let bound = mounts.iter().filter_map(bound).collect::<Vec<_>>();
    let overlay = overlay(layers, place, access)?;
    if sys::overlay::can_be_detached() {
        overlay.mount()?.attach(Dir::open(place)?)?;
    } else {
        overlay.mount_at(place)?;
    }
    let root = Root::open(place)?;
    for (bound, target) in bound {
        let target = match sys::root::kind(&bound)? {
            sys::root::Kind::Directory => root.make_dirs(target)?,
            _ => root.make_file(target)?,
        };
        bound.attach(target)?;
    }
    Dir::open(place)
}

/// A mount that is attached nowhere yet, and where it is to be. What is not there cannot be looked into.
fn bound(mount: &Mount) -> Option<(Mounted, &Path)> {
    let recursive = mount.options.iter().any(|option| option == "rbind");
    let bound = match &mount.subpath {
        None => sys::mount::bind(&mount.source, recursive),
        Some(part) => Root::open(&mount.source)
            .and_then(|source| source.open_beneath(part))
            .and_then(|part| sys::mount::bind_fd(part, recursive)),
    };
    Some((bound.ok()?, &mount.target))
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
