//! The root and the mounts in it, as far as the host has a part in them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Mount as SpecMount, Spec};
use sys::cgroup::Cgroup;
use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::ns::Namespaces;
use sys::overlay::Overlay;
use sys::overlay_mapped::Mapped;
use sys::root::{Kind, Root};
use types::Mount;

use super::{
    CgroupView, IdMaps, MountIds, MountPlan, MountSource, NamespacePlan, Plan, RootMount,
    from_bundle, missing,
};
use crate::CreateRequest;
use crate::error::{Doing, Error};
use crate::mount_options::{FILE_SYSTEM_DECIDES, MountOptions};
use crate::warning::warn;

/// What the kernel takes unless its administrator says otherwise (fs.mount-max): known beforehand,
/// because to make them all and fail with the last takes very long.
const MOST: usize = 100_000;

/// All mounts in the order in which they are made: those of the root file system first.
pub(super) fn mounts(request: &CreateRequest<'_>) -> Result<Vec<MountPlan>, Error> {
    let more = request.rootfs.get(1..).unwrap_or_default();
    let named = |mount: &&Mount| given(request.spec, mount);
    let inside_root = more.iter().filter(|mount| !named(mount));
    let inside_root = inside_root.map(|mount| Ok(part_of_root(mount)));
    let asked = request.spec.mounts().iter().flatten();
    let count = request.spec.mounts().as_ref().map_or(0, Vec::len);
    if count > MOST {
        let reason = format!("{count} are asked for, a mount namespace holds {MOST}");
        return Err(Error::invalid("mounts", reason));
    }
    let mut all: Vec<_> = inside_root
        .chain(asked.map(|mount| {
            let is_given = |given: &Mount| given.target == *mount.destination();
            from_spec(
                request.bundle,
                mount,
                request.rootfs.iter().skip(1).any(is_given),
            )
        }))
        .collect::<Result<_, _>>()?;
    for mount in more.iter().filter(named) {
        let named = all.iter_mut().find(|plan| plan.target == mount.target);
        if let Some(plan) = named {
            plan.source = MountSource::Given(mount.clone());
        }
    }
    if let (true, Some(root)) = (request.rootfs.is_empty(), request.spec.root()) {
        look_inside(&mut all, &from_bundle(request.bundle, root.path()));
    }
    let linux = request.spec.linux().as_ref();
    if let Some(label) = linux.and_then(|linux| linux.mount_label().as_deref()) {
        label_all(&mut all, label);
    }
    Ok(all)
}

/// File systems that exist once for all who mount them, or whose labels are the kernel's own.
const WITHOUT_LABEL: [&str; 5] = ["cgroup", "cgroup2", "mqueue", "proc", "sysfs"];

/// What is new gets the label; what is bound is somebody's already, and keeps its own.
fn label_all(all: &mut [MountPlan], label: &str) {
    for mount in all.iter_mut().filter(|_| !label.is_empty()) {
        let MountSource::FileSystem { kind, .. } = &mount.source else {
            continue;
        };
        let parameters = &mut mount.options.parameters;
        let says = parameters.iter().any(|(name, _)| name == LABEL);
        if !says && !WITHOUT_LABEL.contains(&kind.as_str()) {
            parameters.push((LABEL.to_owned(), Some(label.to_owned())));
        }
    }
}

/// The parameter by which SELinux is told of the label of all files of a file system (mount(8)).
pub(crate) const LABEL: &str = "context";

/// Whether the specification has a mount in this one's place: then it says in which order and with
/// which options, and the request what is mounted.
fn given(spec: &Spec, mount: &Mount) -> bool {
    let mut asked = spec.mounts().iter().flatten();
    asked.any(|asked| *asked.destination() == mount.target)
}

/// Paths that lead into the root from outside mean what is inside: as a destination always, and as a
/// source where an earlier mount has something there that the machine does not see.
fn look_inside(all: &mut [MountPlan], root: &Path) {
    let top = Path::new("/");
    for at in 0..all.len() {
        let (earlier, rest) = all.split_at_mut(at);
        let mount = &mut rest[0];
        if let (false, Ok(inside)) = (root == top, mount.target.strip_prefix(root)) {
            mount.target = top.join(inside);
        }
        let MountSource::Path(path) = &mount.source else {
            continue;
        };
        let Ok(inside) = path.strip_prefix(root) else {
            continue;
        };
        let inside = top.join(inside);
        let meets = |earlier: &MountPlan| {
            let target = top.join(&earlier.target);
            inside.starts_with(&target) || target.starts_with(&inside)
        };
        if root != top && earlier.iter().any(meets) {
            mount.source = MountSource::Inside(inside, None);
        }
    }
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
        ids: None,
    }
}

fn warn_of_idle_options(target: &Path, asked: &[String]) {
    let idle = |option: &&String| FILE_SYSTEM_DECIDES.contains(&option.as_str());
    for option in asked.iter().filter(idle) {
        let target = target.display();
        warn(|| format!("mount {target}: {option} has no effect: its file system alone decides"));
    }
}

fn from_spec(bundle: &Path, mount: &SpecMount, is_given: bool) -> Result<MountPlan, Error> {
    let target = mount.destination().clone();
    let field = |name: &str| format!("mounts[{}].{name}", target.display());
    if target
        .components()
        .all(|part| !matches!(part, Component::Normal(_)))
    {
        let reason = "is the root, which root.path is for";
        return Err(Error::invalid(field("destination"), reason));
    }
    let asked = mount.options().as_deref().unwrap_or_default();
    warn_of_idle_options(&target, asked);
    let mut options = MountOptions::parse(asked);
    let kind = mount.typ().as_deref().unwrap_or_default();
    let is_bind = options.bind.is_some() || kind == "bind";
    let ids = ids(mount, &options, is_bind || is_given)?;
    let source = match (is_bind, kind, mount.source()) {
        (true, _, None) => return Err(Error::invalid(field("source"), "is missing")),
        (true, _, Some(source)) => MountSource::Path(from_bundle(bundle, source)),
        (false, ..) if options.remount => MountSource::Existing,
        (false, "", _) => return Err(Error::invalid(field("type"), "is missing")),
        (false, "cgroup", _) => MountSource::CgroupViews(Vec::new()),
        (false, kind, source) => {
            // A device that cannot be written is mounted only if nobody wants to.
            let is_path = source.as_ref().is_some_and(|source| source.is_absolute());
            if is_path && options.attributes().contains(Attributes::READ_ONLY) {
                options.parameters.push(("ro".to_owned(), None));
            }
            MountSource::FileSystem {
                kind: kind.to_owned(),
                source: source
                    .as_ref()
                    .map(|source| source.to_string_lossy().into_owned()),
            }
        }
    };
    Ok(MountPlan {
        target,
        source,
        options,
        ids,
    })
}

/// How ids are translated. Mappings say it, with or without an option; the option alone means those
/// of the container.
fn ids(mount: &SpecMount, options: &MountOptions, can_be: bool) -> Result<Option<MountIds>, Error> {
    let maps = IdMaps::new(mount.uid_mappings().as_ref(), mount.gid_mappings().as_ref());
    let field = || format!("mounts[{}].uidMappings", mount.destination().display());
    let ids = match (maps.uids.is_empty(), maps.gids.is_empty()) {
        (false, false) => MountIds::Own(maps),
        (true, true) if options.map_ids.is_some() => MountIds::Container,
        (true, true) => return Ok(None),
        _ => {
            let reason = "and gidMappings go together: one of them is missing";
            return Err(Error::invalid(field(), reason));
        }
    };
    if can_be {
        Ok(Some(ids))
    } else {
        let reason = "only a bind mount translates ids";
        Err(Error::unsupported(field(), reason))
    }
}

/// Mounts the root, detached, or says what to mount where this kernel cannot.
pub(crate) fn root(request: &mut CreateRequest<'_>, plan: &Plan) -> Result<RootMount, Error> {
    // What the host mounts below the root's directory comes in only where that was asked for.
    let ties = match plan.root_propagation {
        Some((Propagation::Slave, _)) => Propagation::Slave,
        _ => Propagation::Private,
    };
    let Some(first) = request.rootfs.first() else {
        let root = request
            .spec
            .root()
            .as_ref()
            .ok_or_else(|| missing("root"))?;
        if root.path().as_os_str().is_empty() {
            return Err(Error::invalid("root.path", "is empty"));
        }
        return bind_root(&from_bundle(request.bundle, root.path()), ties);
    };
    if first.target != Path::new("/") {
        let reason = format!("its target is {} and not /", first.target.display());
        return Err(Error::invalid(
            "the first mount of the root file system",
            reason,
        ));
    }
    let laid = request.groundwork.as_mut();
    if let Some(mounted) = laid.and_then(|laid| laid.take_root(first)) {
        return Ok(RootMount::Ready(mounted));
    }
    let options = MountOptions::parse(&first.options);
    match first.kind.as_str() {
        "bind" => bind_root(&first.source, ties),
        "overlay" if options.map_ids.is_some() => {
            let mut translators = Translators::default();
            let namespace =
                translators.of(&MountIds::Container, Some(&plan.namespaces), &first.target)?;
            let overlay = overlay_of_root(first, options);
            translated(&overlay, None, namespace, request.bundle)
                .doing(|| {
                    "give the root's layers the container's ids, for which their file system must \
                     allow idmapped mounts"
                        .to_owned()
                })
                .map(RootMount::Ready)
        }
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

/// The root of a container that has no mounts of its own, as its path says it.
pub(crate) fn directory(bundle: &Path, spec: &Spec) -> Result<OwnedFd, Error> {
    let root = spec.root().as_ref().ok_or_else(|| missing("root"))?;
    let path = from_bundle(bundle, root.path());
    sys::fd::open_dir(&path).doing(|| format!("use {} as the root", path.display()))
}

fn bind_root(path: &Path, ties: Propagation) -> Result<RootMount, Error> {
    let action = || format!("use {} as the root", path.display());
    let mounted = sys::mount::bind(path, true).doing(action)?;
    // A clone is still tied to the host's mount: what is mounted in it would appear there.
    let untied = Change {
        propagation: Some(ties),
        ..Change::default()
    };
    mounted.change(untied, true).doing(action)?;
    match sys::root::kind(&mounted).doing(action)? {
        Kind::Directory => Ok(RootMount::Ready(mounted)),
        _ => Err(Error::invalid(
            "root.path",
            format!("{} is no directory", path.display()),
        )),
    }
}

/// Layers as they are, mounted before there is a configuration; none of another kind of root, nor where
/// they cannot be mounted so.
pub(crate) fn layers_ahead(root: &Mount) -> Option<Mounted> {
    let options = MountOptions::parse(&root.options);
    let is_plain = root.kind == "overlay" && options.map_ids.is_none();
    if !is_plain || root.target != Path::new("/") || !sys::overlay::can_be_detached() {
        return None;
    }
    overlay_of_root(root, options).mount().ok()
}

fn overlay_of_root(mount: &Mount, mut options: MountOptions) -> Overlay {
    let attributes = options.attributes();
    // A layer that somebody else made must not be able to say where the rest of it is.
    if !options.parameters.iter().any(|(name, _)| name == REDIRECT) {
        let never = (REDIRECT.to_owned(), Some("nofollow".to_owned()));
        options.parameters.push(never);
    }
    Overlay {
        lower: mount.lower.clone(),
        parameters: options.parameters,
        attributes,
    }
}

/// Where the layers' files have the ids of a user namespace, detached. What lies on the disk stays as it
/// is.
fn translated(
    overlay: &Overlay,
    part: Option<&Path>,
    namespace: BorrowedFd<'_>,
    place: &Path,
) -> sys::Result<Mounted> {
    let mapped = Mapped {
        overlay,
        part,
        namespace,
        place,
    };
    mapped.mount()
}

fn overlay_root(mount: &Mount, options: MountOptions, bundle: &Path) -> Result<RootMount, Error> {
    let overlay = overlay_of_root(mount, options);
    if !sys::overlay::can_be_detached() {
        return Ok(RootMount::Overlay(overlay, bundle.to_owned()));
    }
    let layers = overlay.lower.len();
    overlay
        .mount()
        .doing(|| format!("mount an overlay of {layers} layers as the root"))
        .map(RootMount::Ready)
}

/// Whether directories of an overlay may have been moved from elsewhere (overlayfs).
const REDIRECT: &str = "redirect_dir";

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
pub(crate) fn sources(plan: &mut Plan, bundle: &Path) -> Result<(), Error> {
    let mut translators = Translators::default();
    for mount in &mut plan.mounts {
        source(mount, (&mut translators, Some(&plan.namespaces)), bundle)?;
    }
    Ok(())
}

/// The same of one that is mounted in a container that runs: as the specification says it, or what is given
/// in its place.
pub(crate) fn later(
    bundle: &Path,
    mount: &SpecMount,
    (given, label): (Option<&Mount>, Option<&str>),
) -> Result<MountPlan, Error> {
    let mut plan = from_spec(bundle, mount, given.is_some())?;
    let field = || format!("mounts[{}]", plan.target.display());
    if plan.ids == Some(MountIds::Container) {
        let reason = "ids as the container's user namespace has them are for a start to translate";
        return Err(Error::unsupported(field(), reason));
    }
    if matches!(
        plan.source,
        MountSource::Existing | MountSource::CgroupViews(_)
    ) {
        return Err(Error::unsupported(field(), "only a start can mount this"));
    }
    if let Some(given) = given {
        plan.source = MountSource::Given(given.clone());
    }
    label_all(std::slice::from_mut(&mut plan), label.unwrap_or_default());
    source(&mut plan, (&mut Translators::default(), None), bundle)?;
    match &plan.source {
        MountSource::Layers(..) => Err(Error::unsupported(
            format!("mounts[{}]", plan.target.display()),
            "of an image that is mounted while a container runs, this kernel has no part",
        )),
        _ => Ok(plan),
    }
}

fn source(
    mount: &mut MountPlan,
    (translators, namespaces): (&mut Translators, Option<&NamespacePlan>),
    bundle: &Path,
) -> Result<(), Error> {
    if let (MountSource::Inside(_, translator), Some(ids)) = (&mut mount.source, &mount.ids) {
        let namespace = translators.of(ids, namespaces, &mount.target)?;
        let kept = sys::fd::duplicate(namespace);
        *translator = Some(kept.doing(|| "keep a user namespace".to_owned())?);
    }
    if let MountSource::Given(given) = &mount.source {
        mount.source = match &mount.ids {
            None => made(given, &mount.options, bundle)?,
            Some(ids) => {
                let namespace = translators.of(ids, namespaces, &mount.target)?;
                made_translated(given, &mount.options, bundle, namespace)?
            }
        };
        return Ok(());
    }
    let MountSource::Path(path) = &mount.source else {
        return Ok(());
    };
    let recursive = mount.options.bind.unwrap_or(false);
    let action = || format!("bind {} to {}", path.display(), mount.target.display());
    let cloned = sys::mount::bind(path, recursive).doing(action)?;
    if let Some(ids) = &mount.ids {
        let namespace = translators.of(ids, namespaces, &mount.target)?;
        let recursive = mount.options.map_ids == Some(true);
        cloned
            .map_ids(namespace, recursive)
            .doing(|| format!("translate the ids of {}", path.display()))?;
    }
    let is_dir = sys::root::kind(&cloned).doing(action)? == Kind::Directory;
    mount.source = MountSource::Bind(cloned, is_dir);
    Ok(())
}

/// The same with other ids than its files have.
fn made_translated(
    given: &Mount,
    options: &MountOptions,
    bundle: &Path,
    namespace: BorrowedFd<'_>,
) -> Result<MountSource, Error> {
    let action = || format!("translate the ids of {}", given.source.display());
    if given.kind == "overlay" {
        let part = given.subpath.as_deref();
        let mounted = translated(&overlay_of(given), part, namespace, bundle).doing(action)?;
        let is_dir = sys::root::kind(&mounted).doing(action)? == Kind::Directory;
        return Ok(MountSource::Bind(mounted, is_dir));
    }
    let source = made(given, options, bundle)?;
    if let MountSource::Bind(mounted, _) = &source {
        let below = options.map_ids == Some(true);
        mounted.map_ids(namespace, below).doing(action)?;
    }
    Ok(source)
}

/// Mounts what the request gave: here, where its devices, directories and servers are the machine's.
fn made(given: &Mount, options: &MountOptions, bundle: &Path) -> Result<MountSource, Error> {
    let action = || {
        let (source, target) = (given.source.display(), given.target.display());
        match &given.subpath {
            Some(path) => format!("mount {} of {source} on {target}", path.display()),
            None => format!("mount {source} on {target}"),
        }
    };
    let recursive = options.bind.unwrap_or(false);
    let mounted = match given.kind.as_str() {
        "overlay" => return layers(given, bundle),
        "bind" => match &given.subpath {
            None => sys::mount::bind(&given.source, recursive).doing(action)?,
            Some(path) => {
                let root = Root::open(&given.source).doing(action)?;
                let part = part(&root, path, recursive);
                let refused = refused(path, &part);
                part.doing(|| format!("{}{refused}", action()))?
            }
        },
        kind => {
            let own = MountOptions::parse(&given.options);
            let parameters = borrowed(&own);
            let source = given.source.to_str();
            let mounted = sys::mount::told_file_system(kind, source, &parameters, own.attributes());
            let mounted = mounted.map_err(|refused| Error::System {
                action: format!("{}{}", action(), refused.behind()),
                source: refused.error,
            })?;
            match &given.subpath {
                None => mounted,
                Some(path) => {
                    let part = part(&Root::new(mounted.into_fd()), path, false);
                    let refused = refused(path, &part);
                    part.doing(|| format!("{}{refused}", action()))?
                }
            }
        }
    };
    let is_dir = sys::root::kind(&mounted).doing(action)? == Kind::Directory;
    Ok(MountSource::Bind(mounted, is_dir))
}

/// A part of what is mounted: its path is looked up now, and leads nowhere outside.
pub(crate) fn part(root: &Root, path: &Path, recursive: bool) -> sys::Result<Mounted> {
    sys::mount::bind_fd(root.open_beneath(path)?, recursive)
}

/// What is wrong with the path of a part, in Docker's words; empty if nothing is.
pub(crate) fn refused<T>(path: &Path, part: &sys::Result<T>) -> String {
    match part {
        Err(error) if error.errno == sys::Errno::XDEV => {
            ": path concatenation escapes the base directory".to_owned()
        }
        Err(_) => format!(": cannot access path {}", path.display()),
        Ok(_) => String::new(),
    }
}

fn overlay_of(given: &Mount) -> Overlay {
    let options = MountOptions::parse(&given.options);
    Overlay {
        lower: given.lower.clone(),
        attributes: options.attributes(),
        parameters: options.parameters,
    }
}

fn layers(given: &Mount, bundle: &Path) -> Result<MountSource, Error> {
    let overlay = overlay_of(given);
    if given.subpath.is_some() || !sys::overlay::can_be_detached() {
        let path = given.subpath.clone();
        return Ok(MountSource::Layers(overlay, path, bundle.to_owned()));
    }
    let count = overlay.lower.len();
    let target = given.target.display();
    let mounted = overlay
        .mount()
        .doing(|| format!("mount an image of {count} layers on {target}"))?;
    Ok(MountSource::Bind(mounted, true))
}

/// The user namespaces by which mounts translate ids, one for the same mappings.
#[derive(Default)]
struct Translators(Vec<(IdMaps, OwnedFd)>);

impl Translators {
    fn of<'a>(
        &'a mut self,
        ids: &'a MountIds,
        namespaces: Option<&'a NamespacePlan>,
        target: &Path,
    ) -> Result<BorrowedFd<'a>, Error> {
        let of_container = namespaces.and_then(|all| all.id_maps.as_ref());
        let maps = match (ids, of_container) {
            (MountIds::Own(maps), _) | (MountIds::Container, Some(maps)) => maps,
            (MountIds::Container, None) => {
                let joined = namespaces.and_then(|all| all.joined(Namespaces::USER));
                return joined.map(AsFd::as_fd).ok_or_else(|| {
                    let field = format!("mounts[{}].options", target.display());
                    let reason = "idmap needs uidMappings and gidMappings, or a user namespace";
                    Error::invalid(field, reason)
                });
            }
        };
        let known = self.0.iter().position(|(known, _)| known == maps);
        let at = known.map_or_else(|| self.make(maps), Ok)?;
        Ok(self.0[at].1.as_fd())
    }

    fn make(&mut self, maps: &IdMaps) -> Result<usize, Error> {
        let made = sys::idmap::user_namespace(&maps.uids, &maps.gids);
        let action = || {
            format!(
                "map the ids {:?} and {:?}",
                maps.uids.trim_end(),
                maps.gids.trim_end()
            )
        };
        self.0.push((maps.clone(), made.doing(action)?));
        Ok(self.0.len() - 1)
    }
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
            MountSource::CgroupViews(views(cgroup)?)
        };
    }
    Ok(())
}

/// The container's directory of each hierarchy, cloned.
pub(crate) fn views(cgroup: &Cgroup) -> Result<Vec<CgroupView>, Error> {
    cgroup.directories().iter().map(cgroup_view).collect()
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
