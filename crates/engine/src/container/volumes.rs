//! The mounts of a container: those asked for, those of other containers, those that its image asks
//! for; and the volumes and images among them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use oci_spec::image::Config;
use storage::{ANONYMOUS, Image, NewVolume, Parts, StagedVolume};
use sys::dir::Dir;
use sys::root::Root;
use types::{
    ContainerSpec, IdMap, Mount, MountKind, MountRequest, Propagation, VolumeName, VolumeRequest,
};

use super::check::Invalid;
use crate::render::{self, Placed};
use crate::table::Container;
use crate::{Engine, Error, image, volume};

/// Everything that is mounted: what other containers have, unless something else is asked for there;
/// what is asked for; and volumes of the container's own where the image wants some and nothing is.
pub(super) fn mounts(
    engine: &Engine,
    spec: &ContainerSpec,
    config: Option<&Config>,
) -> Result<Vec<MountRequest>, Error> {
    let mut all = spec.mounts.clone();
    for mount in &mut all {
        // Docker's label for what was asked for by itself; those of images and of a bare path have none.
        if let MountKind::Volume(of) = &mut mount.kind
            && of.name.is_none()
        {
            of.bind_mode.get_or_insert_with(|| "z".to_owned());
        }
    }
    let mut taken: BTreeSet<String> = all.iter().map(|m| render::plain(&m.target)).collect();
    let wanted = config.and_then(|config| config.volumes().clone());
    let wanted = wanted.unwrap_or_default();
    let mut from_others: BTreeMap<String, MountRequest> = BTreeMap::new();
    for text in &spec.volumes_from {
        for mount in of_other(engine, text)? {
            from_others.insert(render::plain(&mount.target), mount);
        }
    }
    for (target, mount) in from_others {
        if taken.insert(target) {
            all.push(mount);
        }
    }
    for path in spec.volumes.iter().chain(&wanted) {
        let target = render::plain(path);
        if target != "/" && taken.insert(target.clone()) {
            all.push(MountRequest {
                kind: MountKind::Volume(VolumeRequest::default()),
                target,
                read_only: false,
            });
        }
    }
    for mount in &mut all {
        complete(engine, spec, mount)?;
    }
    Ok(all)
}

/// What `--volumes-from` names, `CONTAINER[:MODE]`.
fn of_other(engine: &Engine, text: &str) -> Result<Vec<MountRequest>, Error> {
    let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
    let invalid = || Invalid::Mount {
        kind: "volume",
        reason: format!("invalid mode: {mode}: of ro and rw one is expected, and of z and Z"),
    };
    let read_only = is_read_only(mode).ok_or_else(invalid)?;
    let other = engine.find(name).map_err(|error| match error {
        Error::NoContainer(name) => Invalid::NoDonor(name).into(),
        error => error,
    })?;
    let mounts = other.resolved().into_owned().mounts.into_iter();
    let ours = |mut mount: MountRequest| {
        mount.read_only |= read_only;
        if let MountKind::Volume(volume) = &mut mount.kind {
            volume.no_copy = true;
        }
        mount
    };
    Ok(mounts.map(ours).collect())
}

/// What the mode of `--volumes-from` says; none where it makes no sense. `z` and `Z` change nothing.
fn is_read_only(mode: &str) -> Option<bool> {
    let (mut access, mut label) = (None, None);
    for word in mode.split(',').filter(|_| !mode.is_empty()) {
        let slot = match word {
            "ro" | "rw" => &mut access,
            "z" | "Z" => &mut label,
            _ => return None,
        };
        if slot.replace(word).is_some() {
            return None;
        }
    }
    Some(access == Some("ro"))
}

/// Gives it the name it has not been given, and an image's name the image that it means now.
pub(super) fn complete(
    engine: &Engine,
    spec: &ContainerSpec,
    mount: &mut MountRequest,
) -> Result<(), Error> {
    match &mut mount.kind {
        MountKind::Volume(of) => {
            if of.driver.is_none() {
                of.driver.clone_from(&spec.volume_driver);
            }
            volume::check_driver(of.driver.as_deref())?;
            if of.name.is_none() {
                of.name = Some(volume::anonymous()?);
                of.own = true;
                of.labels.insert(ANONYMOUS.to_owned(), String::new());
            }
        }
        MountKind::Image { source, .. } => {
            let found = engine.storage().image(source);
            let found = found.map_err(|error| Invalid::Mount {
                kind: "image",
                reason: image::missing(error, source).to_string(),
            })?;
            *source = found.id.to_string();
        }
        MountKind::Bind {
            source,
            propagation,
            read_only_force_recursive: false,
            ..
        } => with_daemon_root(engine, source, propagation)?,
        MountKind::Bind { .. } | MountKind::Tmpfs { .. } => {}
    }
    Ok(())
}

/// A bind of the daemon's own files, or of what they are in, follows the machine's mounts there: as in Docker.
fn with_daemon_root(
    engine: &Engine,
    source: &str,
    propagation: &mut Option<Propagation>,
) -> Result<(), Invalid> {
    let (source, root) = (Path::new(source), engine.config().data_root.as_path());
    if !source.starts_with(root) && !root.starts_with(source) {
        return Ok(());
    }
    match propagation.get_or_insert(Propagation::Rslave) {
        Propagation::Rslave | Propagation::Rshared => Ok(()),
        other => Err(Invalid::DaemonRoot {
            root: root.to_owned(),
            path: source.display().to_string(),
            propagation: other.as_str(),
        }),
    }
}

/// Volumes and images that the container is about to have. Volumes that are empty are given what the
/// image has at their place, and so are empty directories of volumes that are mounted by themselves.
pub(super) fn stage(
    engine: &Engine,
    mounts: &[MountRequest],
    image: &Image,
) -> Result<Parts, Error> {
    let mut parts = Parts::default();
    let mut files = None;
    for mount in mounts {
        match &mount.kind {
            MountKind::Volume(of) => {
                if let Some(volume) = wanting(engine, of, &mut parts.volumes)? {
                    let root = match files.take() {
                        Some(root) => root,
                        None => image::mount::open(engine, image)?,
                    };
                    copy_up(&root, &mount.target, volume, of.subpath.as_deref())?;
                    files = Some(root);
                }
            }
            MountKind::Image { source, .. } => {
                parts.images.push(engine.storage().image(source)?.id);
            }
            MountKind::Bind { .. } | MountKind::Tmpfs { .. } => {}
        }
    }
    Ok(parts)
}

/// The volume, staged by now, if it may want what the image has.
fn wanting<'a>(
    engine: &Engine,
    of: &VolumeRequest,
    staged: &'a mut Vec<StagedVolume>,
) -> Result<Option<&'a mut StagedVolume>, Error> {
    let Some(name) = &of.name else {
        return Ok(None);
    };
    let known = staged.iter().position(|volume| volume.name() == name);
    if known.is_none() {
        let new = NewVolume {
            name: name.clone(),
            options: of.options.clone(),
            labels: of.labels.clone(),
        };
        staged.push(engine.storage().stage_volume(new, of.own)?);
    }
    let place = known.unwrap_or(staged.len() - 1);
    let volume = &mut staged[place];
    // Containers that run see their volume change by nobody's hand but their own.
    let wants = !of.no_copy && volume::busy(engine, volume.users()).is_none();
    let wants = wants
        && match &of.subpath {
            Some(_) => true,
            None => known.is_none() && volume.wants_content()?,
        };
    Ok(wants.then_some(volume))
}

/// The path is resolved by the kernel inside the image, whose links lead nowhere else.
fn copy_up(
    image: &Root,
    target: &str,
    volume: &mut StagedVolume,
    part: Option<&str>,
) -> Result<(), Error> {
    let from = match image.open_dir(target) {
        Ok(dir) => Dir::from(dir),
        // There is nothing, or no directory.
        Err(_) => return Ok(()),
    };
    match part {
        None => volume.fill(&from)?,
        Some(part) => volume.fill_part(part, &from)?,
    };
    Ok(())
}

/// Remembers where the volumes of a new container are.
pub(super) fn remember(engine: &Engine, names: &[VolumeName]) {
    for name in names {
        // One that somebody has removed already has no place.
        if let Ok(volume) = engine.storage().volume(name.as_str()) {
            volume::known(engine, &volume);
        }
    }
}

/// Forgets the volumes that have gone with a container.
pub(super) fn forget(engine: &Engine, container: &Container) {
    for mount in &container.resolved().mounts {
        if let MountKind::Volume(volume) = &mount.kind
            && let Some(name) = volume.name.as_ref().filter(|_| volume.own)
            && let Err(storage::Error::NoSuchVolume(_)) = engine.storage().volume(name.as_str())
        {
            volume::gone(engine, name.as_str());
        }
    }
}

/// Where everything is that is mounted now, and whose it is, as far as the request does not say.
pub(super) fn place(engine: &Engine, mounts: &[MountRequest]) -> Result<Placed, Error> {
    let mut placed = Placed::default();
    let _held = engine.places().hold();
    for mount in mounts {
        let target = render::plain(&mount.target);
        match &mount.kind {
            MountKind::Volume(of) => {
                let found = place_volume(engine, of, &target)?;
                placed.mounts.insert(target, found);
            }
            MountKind::Image { source, subpath } => {
                let image = engine.storage().image(source)?;
                let found = engine.storage().mount_image(&image)?;
                let found = put(found, &target, subpath.as_ref());
                placed.mounts.insert(target, found);
            }
            MountKind::Bind {
                source,
                id_map: Some(IdMap::Owner),
                ..
            } => {
                let what = || format!("look at the bind source {source}");
                let status = std::fs::metadata(source).map_err(Error::io(what()))?;
                placed.owners.insert(target, (status.uid(), status.gid()));
            }
            MountKind::Bind { .. } | MountKind::Tmpfs { .. } => {}
        }
    }
    Ok(placed)
}

fn place_volume(engine: &Engine, of: &VolumeRequest, target: &str) -> Result<Mount, Error> {
    let name = of.name.as_ref().map(VolumeName::as_str).unwrap_or_default();
    let found = engine.storage().volume(name)?;
    let mount = volume::memory::mount(engine, &found)?;
    Ok(put(mount, target, of.subpath.as_ref()))
}

fn put(mount: Mount, target: &str, subpath: Option<&String>) -> Mount {
    Mount {
        target: target.into(),
        subpath: subpath.map(PathBuf::from),
        ..mount
    }
}

/// Those of them that a runtime's configuration cannot say.
pub(super) fn beyond_configuration(
    runtime: Option<&Path>,
    placed: &Placed,
) -> Result<Vec<Mount>, Error> {
    let more = placed.mounts.values();
    let more: Vec<Mount> = more
        .filter(|mount| mount.subpath.is_some() || mount.kind != "bind")
        .cloned()
        .collect();
    if let (Some(mount), Some(runtime)) = (more.first(), runtime) {
        return Err(Invalid::Mount {
            kind: "volume",
            reason: format!(
                "{}: a part of a volume, an image, or a volume with a device is mounted by Brig's \
                 own runtime only, not by {}",
                mount.target.display(),
                runtime.display()
            ),
        }
        .into());
    }
    Ok(more)
}
