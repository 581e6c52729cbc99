//! Volumes that are a file system in memory: one for all containers that run with it, as Docker's driver
//! has it. It is mounted at the volume's place on the machine while somebody runs that has the volume,
//! and empty again after that. The machine's table of mounts is the record: it outlives a daemon that
//! is killed, as the containers do.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use storage::{Backing, Volume};
use sys::dir::Dir;
use sys::mount::{Attributes, RefusedMount};
use types::{Mount, MountKind, MountRequest, VolumeName};

use super::gate;
use crate::{Engine, Error};

/// File systems of which each mount is another one.
const KINDS: [&str; 2] = ["ramfs", "tmpfs"];

/// Options of a mount and not of its file system: each container has them on its own.
const OF_MOUNTS: [&str; 16] = [
    "atime",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nosuid",
    "relatime",
    "ro",
    "rw",
    "strictatime",
    "suid",
];

/// Those that are mounted. Locked while one comes or goes.
#[derive(Debug, Default)]
pub(super) struct Mounted(Mutex<BTreeSet<VolumeName>>);

/// What a container binds of a volume, mounted on the way if nobody has it.
pub(crate) fn mount(engine: &Engine, volume: &Volume) -> Result<Mount, Error> {
    let mount = volume.mount()?;
    if !is_memory(volume) {
        return Ok(mount);
    }
    let (own, parameters): (Vec<String>, Vec<String>) = mount
        .options
        .iter()
        .cloned()
        .partition(|option| OF_MOUNTS.contains(&option.as_str()));
    let Mounted(mounted) = engine.places().memory();
    let mut mounted = mounted.lock().unwrap_or_else(PoisonError::into_inner);
    if !mounted.contains(&volume.name) {
        attach(&mount, &parameters, &volume.path)
            .map_err(Error::kernel(format!("mount the volume {}", volume.name)))?;
        mounted.insert(volume.name.clone());
    }
    Ok(Mount {
        kind: "bind".to_owned(),
        source: volume.path.clone(),
        options: [&["bind".to_owned()], own.as_slice()].concat(),
        ..mount
    })
}

fn is_memory(volume: &Volume) -> bool {
    matches!(&volume.backing, Backing::FileSystem { kind, .. } if KINDS.contains(&kind.as_str()))
}

fn attach(mount: &Mount, parameters: &[String], place: &Path) -> Result<(), RefusedMount> {
    let parameters = parameters
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option.as_str(), None),
        });
    let parameters: Vec<_> = parameters.collect();
    let source = mount.source.to_str();
    let none = Attributes::empty();
    let made = sys::mount::told_file_system(&mount.kind, source, &parameters, none)?;
    Ok(made.attach(Dir::open(place)?)?)
}

/// Takes away those of a container's volumes that nobody runs with any more.
pub(crate) fn release(engine: &Engine, mounts: &[MountRequest]) {
    let names = mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume(volume) => volume.name.as_ref(),
        _ => None,
    });
    for name in names {
        if let Err(error) = detach(engine, name) {
            tracing::warn!(volume = %name, error = %error.chain(), "cannot unmount a volume");
        }
    }
}

fn detach(engine: &Engine, name: &VolumeName) -> Result<(), Error> {
    let Mounted(mounted) = engine.places().memory();
    let lock = || mounted.lock().unwrap_or_else(PoisonError::into_inner);
    if !lock().contains(name) {
        return Ok(());
    }
    gate::unless_running(engine, name.as_str(), |place| {
        let mut mounted = lock();
        if mounted.contains(name) {
            let what = || format!("unmount the volume {name}");
            sys::mount::detach(place).map_err(Error::kernel(what()))?;
            mounted.remove(name);
        }
        Ok(())
    })
}

/// After a restart of the daemon, once it is known who runs.
pub(crate) fn recover(engine: &Engine) -> Result<(), Error> {
    for volume in engine.storage().volumes()? {
        if !is_memory(&volume) || !sys::mount::is_root(&volume.path) {
            continue;
        }
        let Mounted(mounted) = engine.places().memory();
        let mut known = mounted.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(volume.name.clone());
        drop(known);
        detach(engine, &volume.name)?;
    }
    Ok(())
}
