//! The root and the mounts in it, as far as the host has a part in them.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount as SpecMount;
use sys::cgroup::Cgroup;
use sys::mount::{Change, Mounted, Propagation};
use sys::overlay::Overlay;
use sys::root::Kind;
use types::Mount;

use super::{CgroupView, MountPlan, MountSource, RootMount, from_bundle, missing};
use crate::CreateRequest;
use crate::error::{Doing, Error};
use crate::mount_options::MountOptions;

/// All mounts in the order in which they are made: those of the root file system first.
pub(super) fn mounts(request: &CreateRequest<'_>) -> Result<Vec<MountPlan>, Error> {
    let inside_root = request
        .rootfs
        .iter()
        .skip(1)
        .map(|mount| Ok(part_of_root(mount)));
    let asked = request.spec.mounts().iter().flatten();
    inside_root
        .chain(asked.map(|mount| from_spec(request.bundle, mount)))
        .collect()
}

fn part_of_root(mount: &Mount) -> MountPlan {
    let options = MountOptions::parse(&mount.options);
    let source = match mount.kind.as_str() {
        "bind" => MountSource::Path(mount.source.clone()),
        kind => MountSource::FileSystem {
            kind: kind.to_owned(),
            source: Some(mount.source.to_string_lossy().into_owned()),
        },
    };
    MountPlan {
        target: mount.target.clone(),
        source,
        options,
    }
}

fn from_spec(bundle: &Path, mount: &SpecMount) -> Result<MountPlan, Error> {
    let target = mount.destination().clone();
    let field = |name: &str| format!("mounts[{}].{name}", target.display());
    let options = MountOptions::parse(mount.options().as_deref().unwrap_or_default());
    let mapped = mount.uid_mappings().is_some() || mount.gid_mappings().is_some();
    if options.map_ids || mapped {
        return Err(Error::unsupported(
            field("uidMappings"),
            "this runtime maps no ids of mounts",
        ));
    }
    let kind = mount.typ().as_deref().unwrap_or_default();
    let is_bind = options.bind.is_some() || kind == "bind";
    let source = match (is_bind, kind, mount.source()) {
        (true, _, None) => return Err(Error::invalid(field("source"), "is missing")),
        (true, _, Some(source)) => MountSource::Path(from_bundle(bundle, source)),
        (false, "", _) => return Err(Error::invalid(field("type"), "is missing")),
        (false, "cgroup", _) => MountSource::CgroupViews(Vec::new()),
        (false, kind, source) => MountSource::FileSystem {
            kind: kind.to_owned(),
            source: source
                .as_ref()
                .map(|source| source.to_string_lossy().into_owned()),
        },
    };
    Ok(MountPlan {
        target,
        source,
        options,
    })
}

/// Mounts the root, detached, or says what to mount where this kernel cannot.
pub(crate) fn root(request: &CreateRequest<'_>) -> Result<RootMount, Error> {
    let Some(first) = request.rootfs.first() else {
        let root = request
            .spec
            .root()
            .as_ref()
            .ok_or_else(|| missing("root"))?;
        return bind_root(&from_bundle(request.bundle, root.path()));
    };
    if first.target != Path::new("/") {
        let reason = format!("its target is {} and not /", first.target.display());
        return Err(Error::invalid(
            "the first mount of the root file system",
            reason,
        ));
    }
    let options = MountOptions::parse(&first.options);
    match first.kind.as_str() {
        "bind" => bind_root(&first.source),
        "overlay" => overlay_root(first, options, request.bundle),
        kind => {
            let source = first.source.to_str();
            let parameters = borrowed(&options);
            let mounted = sys::mount::file_system(kind, source, &parameters, options.attributes());
            mounted
                .doing(|| format!("mount {kind} as the root"))
                .map(RootMount::Ready)
        }
    }
}

fn bind_root(path: &Path) -> Result<RootMount, Error> {
    let action = || format!("use {} as the root", path.display());
    let mounted = sys::mount::bind(path, true).doing(action)?;
    // A clone is still tied to the host's mount: what is mounted in it would appear there.
    let alone = Change {
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    mounted.change(alone, true).doing(action)?;
    match sys::root::kind(&mounted).doing(action)? {
        Kind::Directory => Ok(RootMount::Ready(mounted)),
        _ => Err(Error::invalid(
            "root.path",
            format!("{} is no directory", path.display()),
        )),
    }
}

fn overlay_root(mount: &Mount, options: MountOptions, bundle: &Path) -> Result<RootMount, Error> {
    let attributes = options.attributes();
    let overlay = Overlay {
        lower: mount.lower.clone(),
        parameters: options.parameters,
        attributes,
    };
    if !sys::overlay::can_be_detached() {
        return Ok(RootMount::Overlay(overlay, bundle.to_owned()));
    }
    let layers = overlay.lower.len();
    overlay
        .mount()
        .doing(|| format!("mount an overlay of {layers} layers as the root"))
        .map(RootMount::Ready)
}

/// The file system's parameters as `sys` takes them.
pub(crate) fn borrowed(options: &MountOptions) -> Vec<sys::mount::Parameter<'_>> {
    options
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect()
}

/// Clones what is bound from the host. Here and not in the container, because only the host's view
/// has these paths, and because a clone of the host's mount keeps its ties to it, which propagation
/// options are about.
pub(crate) fn sources(mounts: &mut [MountPlan]) -> Result<(), Error> {
    for mount in mounts {
        let MountSource::Path(path) = &mount.source else {
            continue;
        };
        let recursive = mount.options.bind.unwrap_or(false);
        let action = || format!("bind {} to {}", path.display(), mount.target.display());
        let cloned = sys::mount::bind(path, recursive).doing(action)?;
        let is_dir = sys::root::kind(&cloned).doing(action)? == Kind::Directory;
        mount.source = MountSource::Bind(cloned, is_dir);
    }
    Ok(())
}

/// Clones the container's directories of the version 1 hierarchies, now that they exist. Where
/// there is only version 2 its file system is mounted instead: the namespace makes the container's
/// cgroup its root.
pub(crate) fn cgroup_views(mounts: &mut [MountPlan], cgroup: &Cgroup) -> Result<(), Error> {
    for mount in mounts {
        if !matches!(mount.source, MountSource::CgroupViews(_)) {
            continue;
        }
        let directories = cgroup.directories();
        mount.options.parameters.clear();
        mount.source = if directories.iter().all(|directory| directory.version == 2) {
            MountSource::FileSystem {
                kind: "cgroup2".to_owned(),
                source: Some("cgroup".to_owned()),
            }
        } else {
            let views: Result<_, _> = directories.iter().map(cgroup_view).collect();
            MountSource::CgroupViews(views?)
        };
    }
    Ok(())
}

fn cgroup_view(directory: &sys::cgroup::Directory) -> Result<CgroupView, Error> {
    let path: &PathBuf = &directory.path;
    let mount: Mounted =
        sys::mount::bind(path, false).doing(|| format!("bind {}", path.display()))?;
    let links = directory
        .controllers
        .iter()
        .filter(|name| directory.version == 1 && **name != directory.name && !name.contains('='));
    Ok(CgroupView {
        name: directory.name.clone(),
        links: links.cloned().collect(),
        mount,
    })
}
