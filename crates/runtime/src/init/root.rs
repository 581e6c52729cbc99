//! The root: attached, filled by others, made `/`.

use std::os::fd::AsFd;
use std::path::Path;

use sys::mount::{Attributes, Change, Propagation};
use sys::root::Root;

use super::{Init, Outcome};
use crate::prepare::RootMount;
use crate::protocol::During;

/// Before the first mount: what is mounted from here on must not appear on the host.
pub(crate) fn cut_propagation(_init: &mut Init<'_>) -> Outcome {
    let private = Change {
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    sys::mount::change(Path::new("/"), private, true)
        .during(|| "separate the mounts from the host's".to_owned())
}

/// Before all other mounts, which are attached inside. It goes on top of `/`: this process goes on
/// seeing the host's root below, so no directory of the host is covered, and needs none.
pub(crate) fn attach(init: &mut Init<'_>) -> Outcome {
    let action = || "attach the root".to_owned();
    let top = sys::fd::open_path(Path::new("/")).during(action)?;
    let dir = match &init.plan.root {
        Some(RootMount::Ready(mounted)) => {
            mounted.attach(&top).during(action)?;
            sys::fd::duplicate(mounted.as_fd()).during(action)?
        }
        Some(RootMount::Overlay(overlay, at)) => {
            let mounted = overlay
                .mount_at(at)
                .during(|| format!("mount an overlay of {} layers", overlay.lower.len()))?;
            mounted.attach(&top).during(action)?;
            mounted.into_fd()
        }
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
    if init.no_pivot {
        return super::no_pivot::switch(init.root()?);
    }
    sys::mount::switch_root(init.root()?.as_fd()).during(|| "make the root /".to_owned())
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
