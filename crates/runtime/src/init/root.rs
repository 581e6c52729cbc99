//! The root: attached, filled by others, made `/`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::ns::Namespaces;
use sys::root::Root;
use types::ErrorKind;

use super::{Init, Outcome};
use crate::prepare::RootMount;
use crate::protocol::{During, Failure};

/// Before the first mount: what is mounted from here on must not appear on the host.
pub(crate) fn cut_propagation(init: &mut Init<'_>) -> Outcome {
    if !init.plan.namespaces.has_own_mounts() {
        return Ok(());
    }
    let cut = match sys::mount::change(Path::new("/"), PRIVATE, true) {
        // The root of this process is a directory in a mount (chroot(2)).
        Err(error) if error.errno == sys::Errno::INVAL => cut_beyond_own_root(),
        answer => answer,
    };
    cut.during(|| "separate the mounts from the host's".to_owned())
}

/// From the root of the mount namespace, and back: paths go on meaning what they mean to the maker.
fn cut_beyond_own_root() -> sys::Result<()> {
    let namespace = sys::ns::open_own(Namespaces::MOUNT)?;
    let own = sys::fd::open_path(Path::new("/"))?;
    let here = sys::fd::open_path(Path::new("."))?;
    sys::ns::enter(namespace, Namespaces::MOUNT)?;
    sys::mount::change(Path::new("/"), PRIVATE, true)?;
    change_to(own.as_fd())?;
    sys::process::change_dir_to(here)
}

const PRIVATE: Change = Change {
    propagation: Some(Propagation::Private),
    set: Attributes::empty(),
    clear: Attributes::empty(),
};

fn separate(mounted: &Mounted) -> sys::Result<()> {
    mounted.change(PRIVATE, true)
}

/// Before all other mounts, which are attached inside. It goes on top of `/`: this process goes on
/// seeing the host's root below, so no directory of the host is covered, and needs none. Where hooks
/// look for it, it goes there; if that is no place to mount on, it is a root without a path.
pub(crate) fn attach(init: &mut Init<'_>) -> Outcome {
    let action = || "attach the root".to_owned();
    let shown = init.plan.shown_at.as_deref();
    let top = match shown.map(sys::fd::open_dir) {
        Some(Ok(dir)) => dir,
        // On top of the root that others see it must not go.
        Some(opened) if init.plan.shares_mounts => opened.during(action)?,
        _ => sys::fd::open_path(Path::new("/")).during(action)?,
    };
    let dir = match &init.plan.root {
        Some(RootMount::Ready(mounted)) => {
            mounted.attach(&top).during(action)?;
            if init.plan.shares_mounts {
                // Where it was attached it may have become a peer of what is around.
                separate(mounted).during(action)?;
            }
            sys::fd::duplicate(mounted.as_fd()).during(action)?
        }
        Some(RootMount::Overlay(overlay, at)) => {
            let mounted = overlay
                .mount_at(at)
                .during(|| format!("mount an overlay of {} layers", overlay.lower.len()))?;
            mounted.attach(&top).during(action)?;
            mounted.into_fd()
        }
        Some(RootMount::Directory(dir)) => sys::fd::duplicate(dir).during(action)?,
        None => sys::fd::open_path(Path::new("/")).during(action)?,
    };
    init.root = Some(Root::new(dir));
    Ok(())
}

/// Before the mounts: one of them may put a directory of the host in the place of /etc.
pub(crate) fn mount_table_link(init: &mut Init<'_>) -> Outcome {
    if !init.plan.has_layers {
        return Ok(());
    }
    link_mount_table(init.root()?).during(|| "make the link /etc/mtab".to_owned())
}

/// Makes the link by which programs find the mount table, where an image has nothing of that name.
pub fn link_mount_table(root: &Root) -> sys::Result<()> {
    let (etc, name) = root.make_parent(Path::new("/etc/mtab"))?;
    match sys::root::make_link(etc, name, "/proc/mounts") {
        Err(error) if error.errno == sys::Errno::EXIST => Ok(()),
        answer => answer,
    }
}

/// After the mounts, of which the directory may be a part, and before the root may become
/// read-only. A missing one is made, as runc does.
pub(crate) fn working_directory(init: &mut Init<'_>) -> Outcome {
    let cwd = &init.plan.process.cwd;
    if init.root()?.open_path(cwd).is_ok() {
        return Ok(());
    }
    let made = init.root()?.make_dirs(cwd);
    made.during(|| format!("make the working directory {}", cwd.display()))
        .map(drop)
}

/// After the last file and directory was made in it.
pub(crate) fn read_only(init: &mut Init<'_>) -> Outcome {
    if !init.plan.root_read_only {
        return Ok(());
    }
    let change = Change {
        set: Attributes::READ_ONLY,
        ..Change::default()
    };
    sys::mount::change_fd(init.root()?.as_fd(), change, false)
        .during(|| "make the root read-only".to_owned())
}

/// The last that needs the host's root has happened. From here on every path is the container's.
pub(crate) fn switch(init: &mut Init<'_>) -> Outcome {
    if !init.plan.namespaces.has_own_mounts() {
        return change_to(init.root()?.as_fd()).during(|| "change to the root".to_owned());
    }
    let namespace = sys::ns::open_own(Namespaces::MOUNT);
    let namespace = namespace.during(|| "open the own mount namespace".to_owned())?;
    let root = init.root()?;
    if init.no_pivot {
        super::no_pivot::switch(root)?;
    } else {
        match sys::mount::switch_root(root.as_fd()) {
            Err(error) if error.errno == sys::Errno::INVAL => switch_all(&namespace, root)?,
            answer => answer.during(|| "make the root /".to_owned())?,
        }
    }
    init.mounts = Some(namespace);
    Ok(())
}

/// The same from the root of the mount namespace, where the maker has another one (chroot(2)): all
/// that is mounted there goes.
fn switch_all(namespace: &OwnedFd, root: &Root) -> Outcome {
    let switched = sys::ns::enter(namespace, Namespaces::MOUNT)
        .and_then(|()| sys::mount::change(Path::new("/"), PRIVATE, true))
        .and_then(|()| sys::mount::switch_root(root.as_fd()));
    match switched {
        Err(error) if error.errno == sys::Errno::INVAL => Err(confined()),
        answer => answer.during(|| "make the root that of its mount namespace".to_owned()),
    }
}

/// Makes a directory the root of this process only.
pub(crate) fn change_to(dir: BorrowedFd<'_>) -> sys::Result<()> {
    sys::process::change_dir_to(dir)?;
    sys::process::change_root_here()
}

/// Whoever joins the container comes to the root of its mount namespace. If the maker has another
/// root than the one of its own namespace (chroot(2)), that may not be the container's yet but the
/// host's. Entering the own namespace again leads this process there, to look.
pub(crate) fn own(init: &mut Init<'_>) -> Outcome {
    let Some(namespace) = &init.mounts else {
        return Ok(());
    };
    let root = init.root()?;
    if is_own(namespace, root)? {
        return Ok(());
    }
    if !init.no_pivot {
        switch_all(namespace, root)?;
    }
    if is_own(namespace, root)? {
        Ok(())
    } else {
        Err(confined())
    }
}

fn is_own(namespace: &OwnedFd, root: &Root) -> Result<bool, Failure> {
    let action = || "look at the root of the mount namespace".to_owned();
    sys::ns::enter(namespace, Namespaces::MOUNT).during(action)?;
    let top = sys::fd::open_path(Path::new("/")).during(action)?;
    Ok(sys::mount::id(&top).during(action)? == sys::mount::id(root).during(action)?)
}

fn confined() -> Failure {
    let message = "the container's root cannot become the root of its mount namespace, so that \
                   processes that join it would land outside: in an initial ramdisk use --no-pivot, \
                   and in a changed root (chroot) do not";
    Failure::new(ErrorKind::Unsupported, message)
}

/// After pivot_root(2), which refuses shared mounts.
pub(crate) fn set_propagation(init: &mut Init<'_>) -> Outcome {
    let Some((propagation, recursive)) = init.plan.root_propagation else {
        return Ok(());
    };
    let change = Change {
        propagation: Some(propagation),
        ..Change::default()
    };
    sys::mount::change(Path::new("/"), change, recursive)
        .during(|| format!("make the root's propagation {propagation:?}"))
}
