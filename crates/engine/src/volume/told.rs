//! What is told of volumes as it happens, in Docker's words.

use types::{MountKind, MountRequest, VolumeName};

use super::LOCAL;
use crate::Engine;
use crate::event::{self, Kind};
use crate::table::Container;

/// Of a volume itself: `create`, `destroy`.
pub(super) fn of_volume(engine: &Engine, name: &str, action: &'static str) {
    let driver = [("driver", LOCAL.to_owned())];
    event::emit(engine, Kind::Volume, action, name, driver);
}

/// Of all volumes that a run has, as it begins.
pub(crate) fn mounted(engine: &Engine, container: &Container) {
    let resolved = container.resolved();
    for (name, driver, mount) in volumes(&resolved.mounts) {
        let attributes = [
            ("container", container.id().to_string()),
            ("destination", mount.target.clone()),
            ("driver", driver.to_owned()),
            ("propagation", String::new()),
            ("read/write", (!mount.read_only).to_string()),
        ];
        event::emit(engine, Kind::Volume, "mount", name.as_str(), attributes);
    }
}

/// The same, as it has ended.
pub(crate) fn unmounted(engine: &Engine, container: &Container) {
    let resolved = container.resolved();
    for (name, driver, _) in volumes(&resolved.mounts) {
        let attributes = [
            ("container", container.id().to_string()),
            ("driver", driver.to_owned()),
        ];
        event::emit(engine, Kind::Volume, "unmount", name.as_str(), attributes);
    }
}

/// That unused volumes were removed.
pub(super) fn pruned(engine: &Engine, reclaimed: u64) {
    let reclaimed = [("reclaimed", reclaimed.to_string())];
    event::emit(engine, Kind::Volume, "prune", "", reclaimed);
}

/// The volumes among mounts, with who keeps each.
fn volumes(mounts: &[MountRequest]) -> impl Iterator<Item = (&VolumeName, &str, &MountRequest)> {
    mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume(volume) => {
            let driver = volume.driver.as_deref().unwrap_or(LOCAL);
            Some((volume.name.as_ref()?, driver, mount))
        }
        _ => None,
    })
}
