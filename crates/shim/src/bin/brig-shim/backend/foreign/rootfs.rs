//! The root for a runtime that does not mount it itself.

use std::path::PathBuf;

use sys::mount::{self, Change, Propagation};
use sys::ns::{self, Namespaces};
use sys::overlay::{self, Overlay};
use sys::root::Root;
use types::{ErrorKind, Mount};

use crate::failure::Failure;

/// A root that is mounted.
#[derive(Debug)]
pub(crate) struct Mounted(PathBuf);

/// From now on the host does not see what this process mounts; what the host mounts is still seen
/// here.
pub(crate) fn enter_own_namespace() -> Result<(), Failure> {
    ns::unshare(Namespaces::MOUNT).map_err(Failure::of("make a mount namespace"))?;
    let slave = Change {
        propagation: Some(Propagation::Slave),
        ..Change::default()
    };
    mount::change("/".as_ref(), slave, true).map_err(Failure::of("keep mounts to ourselves"))
}

/// Mounts the root, which is one mount, at `target`.
pub(crate) fn mount(mounts: &[Mount], target: PathBuf) -> Result<Mounted, Failure> {
    let [root] = mounts else {
        return Err(unsupported("a root of several mounts"));
    };
    let failed = Failure::of(format!("mount the root at {target:?}"));
    match root.kind.as_str() {
        "overlay" => mount_overlay(root, &target)
            .and_then(|()| runtime::link_mount_table(&Root::open(&target)?))
            .map_err(failed)?,
        "bind" => mount::bind(&root.source, true)
            .and_then(|tree| tree.attach(sys::fd::open_path(&target)?))
            .map_err(failed)?,
        other => return Err(unsupported(&format!("a root of type {other:?}"))),
    }
    Ok(Mounted(target))
}

fn mount_overlay(root: &Mount, target: &std::path::Path) -> sys::Result<()> {
    let parameters = root
        .options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.clone(), None),
        });
    let overlay = Overlay {
        lower: root.lower.clone(),
        parameters: parameters.collect(),
        ..Overlay::default()
    };
    if overlay::can_be_detached() {
        overlay.mount()?.attach(sys::fd::open_path(target)?)
    } else {
        overlay.mount_at(target).map(drop)
    }
}

fn unsupported(what: &str) -> Failure {
    Failure::new(
        ErrorKind::Unsupported,
        format!("{what} cannot be given to another runtime"),
    )
}

impl Mounted {
    pub(crate) fn unmount(self) -> Result<(), Failure> {
        mount::detach(&self.0).map_err(Failure::of("unmount the root"))
    }
}
