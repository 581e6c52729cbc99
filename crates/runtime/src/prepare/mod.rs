//! The configuration checked and turned into a plan: what the process-to-be needs, in the order in
//! which it needs it, with everything that only the host's view can name already opened.
//!
//! Nothing here leaves a trace: what is opened closes by itself.

mod devices;
mod environment;
mod mounts;
mod namespaces;
mod net_devices;
mod process;
mod scheduling;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, Spec};
use sys::caps::Sets;
use sys::mount::{Attributes, Mounted, Propagation};
use sys::ns::Namespaces;
use sys::overlay::Overlay;
use sys::root::Node;
use types::Mount;

use crate::error::Error;
use crate::mount_options::MountOptions;
use crate::resctrl::ResctrlPlan;
use crate::{CreateRequest, SharedRoot};

use environment::Environment;
pub(crate) use mounts::{
    LABEL, borrowed, cgroup_views, later, layers_ahead, part, refused, sources, views,
};
use mounts::{directory, root};
pub(crate) use namespaces::{IdMaps, NamespacePlan};
pub(crate) use net_devices::NetDevice;
use net_devices::net_devices;
pub(crate) use process::{first_process, joining_process, warn_of_ambient};
pub(crate) use scheduling::{DEADLINE, SchedulingPlan};

/// All that [`crate::init`] does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) namespaces: NamespacePlan,
    pub(crate) host_name: Option<String>,
    pub(crate) domain_name: Option<String>,
    /// Made last, because the mounts in it hold file systems; see [`Plan::open_root`].
    pub(crate) root: Option<RootMount>,
    /// Where hooks of the host expect to see the root with all that is mounted in it. None: there
    /// are no such hooks.
    pub(crate) shown_at: Option<PathBuf>,
    /// Whether what is mounted is mounted where the caller is, because the container has no mount
    /// namespace of its own.
    pub(crate) shares_mounts: bool,
    /// The root that is mounted so; from [`Plan::open_root`].
    pub(crate) shared_root: Option<SharedRoot>,
    /// Whether the root is an image's, with a layer of the container's own on top.
    pub(crate) has_layers: bool,
    pub(crate) root_read_only: bool,
    pub(crate) root_propagation: Option<(Propagation, bool)>,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) devices: Vec<DevicePlan>,
    pub(crate) masked: Vec<PathBuf>,
    /// SELinux's, of what is mounted anew.
    pub(crate) mount_label: Option<String>,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) sysctl: Vec<(String, String)>,
    pub(crate) devices_to_move: Vec<NetDevice>,
    pub(crate) resctrl: Option<ResctrlPlan>,
    /// What processes write to, to be in its groups; see [`crate::resctrl::make`].
    pub(crate) resource_groups: Vec<OwnedFd>,
    pub(crate) process: ProcessPlan,
}

/// Where the root comes from.
#[derive(Debug)]
pub(crate) enum RootMount {
    /// A mount that only has to be attached.
    Ready(Mounted),
    /// A directory to change to, where nothing may be mounted.
    Directory(OwnedFd),
    /// An overlay that this kernel mounts only at a path: on this directory, in a mount namespace
    /// of one's own.
    Overlay(Overlay, PathBuf),
}

/// One mount inside the root.
#[derive(Debug)]
pub(crate) struct MountPlan {
    pub(crate) target: PathBuf,
    pub(crate) source: MountSource,
    pub(crate) options: MountOptions,
    /// How ids are translated, for [`sources`].
    pub(crate) ids: Option<MountIds>,
}

/// How a mount translates ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountIds {
    /// As the container's user namespace does.
    Container,
    /// By mappings of its own.
    Own(IdMaps),
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum MountSource {
    /// A new file system of this type and source.
    FileSystem {
        kind: String,
        source: Option<String>,
    },
    /// A path of the host, to be cloned by [`sources`].
    Path(PathBuf),
    /// The clone; whether it is of a directory.
    Bind(Mounted, bool),
    /// What the request says instead of the specification, to be mounted by [`sources`].
    Given(Mount),
    /// Layers of which a part is mounted, or that this kernel mounts only where paths lead, which is
    /// at this one for a moment.
    Layers(Overlay, Option<PathBuf>, PathBuf),
    /// A path in the container, where an earlier mount is in the way to it or below it, and by which
    /// user namespace its ids are translated.
    Inside(PathBuf, Option<OwnedFd>),
    /// What is mounted there already, to be changed.
    Existing,
    /// The container's own directories of the version 1 hierarchies, by [`cgroup_views`].
    CgroupViews(Vec<CgroupView>),
}

/// One hierarchy as the container is to see it.
#[derive(Debug)]
pub(crate) struct CgroupView {
    /// The name of the directory it is mounted on.
    pub(crate) name: String,
    /// Names of its controllers that are not the directory's: links to it.
    pub(crate) links: Vec<String>,
    pub(crate) mount: Mounted,
}

/// A device file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePlan {
    pub(crate) path: PathBuf,
    pub(crate) node: Node,
}

/// What becomes of the process in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessPlan {
    pub(crate) args: Vec<String>,
    pub(crate) env: Environment,
    pub(crate) cwd: PathBuf,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) umask: Option<u32>,
    /// Name, soft, hard.
    pub(crate) rlimits: Vec<(String, u64, u64)>,
    pub(crate) capabilities: Sets,
    pub(crate) no_new_privileges: bool,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) terminal: bool,
    pub(crate) scheduling: SchedulingPlan,
    /// What to write to which file of /proc/self/attr, for AppArmor or SELinux.
    pub(crate) label: Option<Label>,
}

/// A security module's word for the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The file, from /proc/thread-self on.
    pub(crate) file: &'static str,
    pub(crate) value: String,
}

impl Label {
    /// AppArmor's, which takes a word before the name; of no other module's.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.value.strip_prefix("exec ")
    }

    /// SELinux's, which is for keys as well.
    pub(crate) fn of_keys(&self) -> Option<&str> {
        self.profile().is_none().then_some(&self.value)
    }
}

/// Checks the configuration and plans. Everything that can be refused without touching anything is
/// refused here.
pub(crate) fn plan(request: &CreateRequest<'_>) -> Result<Plan, Error> {
    let spec = request.spec;
    check_version(spec)?;
    check_annotations(spec)?;
    check_id(request.id)?;
    crate::hooks::check(spec)?;
    let linux = spec.linux().as_ref().ok_or_else(|| missing("linux"))?;
    let namespaces = namespaces::namespaces(linux)?;
    check_hooks(spec, &namespaces)?;
    let shares_mounts = !namespaces.has_own_mounts() && shares_mounts(request)?;
    let source = spec.process().as_ref().ok_or_else(|| missing("process"))?;
    let has_uts = namespaces.has(Namespaces::UTS);
    let process = first_process(source, linux)?;
    warn_of_ambient(&process);
    Ok(Plan {
        host_name: in_uts("hostname", spec.hostname(), has_uts)?,
        domain_name: in_uts("domainname", spec.domainname(), has_uts)?,
        root: None,
        shown_at: shown_at(request, shares_mounts),
        shares_mounts,
        shared_root: None,
        has_layers: request.rootfs.first().is_some_and(|m| m.kind == "overlay"),
        root_read_only: spec
            .root()
            .as_ref()
            .and_then(|root| root.readonly())
            .unwrap_or(false),
        root_propagation: root_propagation(linux)?,
        mounts: mounts::mounts(request)?,
        devices: devices::devices(linux)?,
        masked: absolute("linux.maskedPaths", linux.masked_paths())?,
        mount_label: process::mount_label(linux)?,
        read_only: absolute("linux.readonlyPaths", linux.readonly_paths())?,
        sysctl: namespaces::sysctl(linux, &namespaces)?,
        devices_to_move: net_devices(linux, &namespaces)?,
        resctrl: crate::resctrl::plan(spec, request.id)?,
        resource_groups: Vec::new(),
        process,
        namespaces,
    })
}

/// Refuses what is no container id: it becomes a name in the cgroup hierarchies and in the state directory.
pub fn check_id(id: &str) -> Result<(), Error> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    if !id.is_empty() && id.len() <= 1024 && id != "." && id != ".." && id.chars().all(sound) {
        Ok(())
    } else {
        Err(Error::invalid(
            "container id",
            format!("{id:?} is none: letters, digits, and _ + - . are accepted"),
        ))
    }
}

fn check_version(spec: &Spec) -> Result<(), Error> {
    let version = spec.version();
    match numbers(version) {
        Some([1, _, _]) => Ok(()),
        Some(_) => {
            let reason = format!("{version:?} is not known, 1.0.0 to 1.3.0 are");
            Err(Error::unsupported("ociVersion", reason))
        }
        None => {
            let reason = format!("{version:?} is no version like 1.3.0 (SemVer 2.0.0)");
            Err(Error::invalid("ociVersion", reason))
        }
    }
}

/// The three numbers before any mark of a pre-release or a build.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Option<Vec<u32>> = core.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Hooks of that kind run in the container's namespaces, with the machine's rights and its files.
fn check_hooks(spec: &Spec, namespaces: &NamespacePlan) -> Result<(), Error> {
    let hooks = crate::hooks::list(spec, |hooks| hooks.create_container());
    if hooks.is_empty() || namespaces.joined(Namespaces::MOUNT).is_none() {
        return Ok(());
    }
    let reason = "their programs are the machine's files, and in the mount namespace that is joined \
                  they would be another container's; createRuntime hooks run outside";
    Err(Error::unsupported("hooks.createContainer", reason))
}

fn check_annotations(spec: &Spec) -> Result<(), Error> {
    let annotations = spec.annotations().as_ref();
    if annotations.is_some_and(|all| all.contains_key("")) {
        return Err(Error::invalid("annotations", "a key must not be empty"));
    }
    Ok(())
}

impl Plan {
    /// Opens or mounts the root, detached.
    pub(crate) fn open_root(&mut self, request: &mut CreateRequest<'_>) -> Result<(), Error> {
        if !self.namespaces.has_own_mounts() && !self.shares_mounts {
            let dir = directory(request.bundle, request.spec)?;
            self.root = Some(RootMount::Directory(dir));
            return Ok(());
        }
        let root = root(request, self)?;
        if let (true, Some(path), RootMount::Ready(mounted)) =
            (self.shares_mounts, &self.shown_at, &root)
        {
            self.shared_root = Some(SharedRoot::new(path.clone(), mounted)?);
        }
        self.root = Some(root);
        Ok(())
    }

    /// Whether the cgroup is shown to be written to, in a namespace that makes it the uppermost.
    pub(crate) fn owns_cgroup(&self) -> bool {
        let is_open = |mount: &MountPlan| {
            let shows = match &mount.source {
                MountSource::CgroupViews(_) => true,
                MountSource::FileSystem { kind, .. } => kind == "cgroup2",
                _ => false,
            };
            shows && !mount.options.attributes().contains(Attributes::READ_ONLY)
        };
        self.namespaces.new.contains(Namespaces::CGROUP) && self.mounts.iter().any(is_open)
    }

    /// Whether the process may have to ask for what it has no rights for ([`MountSource::Inside`]).
    pub(crate) fn may_ask(&self) -> bool {
        let translated =
            |mount: &MountPlan| matches!(mount.source, MountSource::Inside(_, Some(_)));
        self.namespaces.names(Namespaces::USER) && self.mounts.iter().any(translated)
    }
}

/// Whether anything is mounted in a mount namespace that others are in. Who asks for that has it
/// seen there, as with runc. In the caller's it goes with the container, in one that is joined by
/// its path with that namespace.
fn shares_mounts(request: &CreateRequest<'_>) -> Result<bool, Error> {
    let Some(field) = needs_mounts(request) else {
        return Ok(false);
    };
    if request.rootfs.is_empty() {
        return Ok(true);
    }
    let reason = "needs a new mount namespace in linux.namespaces: the root is made in it";
    Err(Error::invalid(field, reason))
}

/// What of the configuration takes a mount.
fn needs_mounts(request: &CreateRequest<'_>) -> Option<&'static str> {
    let spec = request.spec;
    let linux = spec.linux().as_ref()?;
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let asked = [
        (
            "mounts",
            spec.mounts().as_ref().is_some_and(|all| !all.is_empty()),
        ),
        ("linux.maskedPaths", some(linux.masked_paths())),
        ("linux.readonlyPaths", some(linux.readonly_paths())),
        (
            "linux.rootfsPropagation",
            linux
                .rootfs_propagation()
                .as_ref()
                .is_some_and(|text| !text.is_empty()),
        ),
        (
            "root.readonly",
            spec.root().as_ref().and_then(|root| root.readonly()) == Some(true),
        ),
        (
            "process.terminal",
            matches!(request.stdio, crate::Stdio::Terminal { .. }),
        ),
        (
            "the mounts of the root file system",
            !request.rootfs.is_empty(),
        ),
    ];
    let mut asked = asked.iter();
    asked.find(|(_, asked)| *asked).map(|(field, _)| *field)
}

fn in_uts(field: &str, name: &Option<String>, has_uts: bool) -> Result<Option<String>, Error> {
    match name.as_deref() {
        None | Some("") => Ok(None),
        Some(_) if !has_uts => {
            let reason = "would change the host's: it needs a UTS namespace in linux.namespaces";
            Err(Error::invalid(field, reason))
        }
        Some(name) if name.contains('\0') => {
            Err(Error::invalid(field, "must not hold a NUL character"))
        }
        Some(name) => Ok(Some(name.to_owned())),
    }
}

fn root_propagation(linux: &Linux) -> Result<Option<(Propagation, bool)>, Error> {
    let Some(text) = linux
        .rootfs_propagation()
        .as_deref()
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let options = MountOptions::parse(&[text]);
    match options.propagation.as_slice() {
        [one] => Ok(Some(*one)),
        _ => {
            let reason = format!("{text:?} is none of (r)shared, (r)slave, (r)private, unbindable");
            Err(Error::invalid("linux.rootfsPropagation", reason))
        }
    }
}

/// The path of the root, if it is mounted there: for hooks that run before the host's root goes and
/// may look there, or for want of a mount namespace.
fn shown_at(request: &CreateRequest<'_>, shares_mounts: bool) -> Option<PathBuf> {
    let create = crate::hooks::list(request.spec, |hooks| hooks.create_container());
    let mut maker = crate::hooks::of_maker(request.spec).into_iter();
    let hooks = !create.is_empty() || maker.any(|(_, list)| !list.is_empty());
    if !shares_mounts && (request.no_pivot || !hooks) {
        return None;
    }
    let root = request.spec.root().as_ref()?;
    Some(from_bundle(request.bundle, root.path()))
}

/// Paths in the container, which the specification wants from its root on.
fn absolute(field: &str, list: &Option<Vec<String>>) -> Result<Vec<PathBuf>, Error> {
    let path = |text: &String| match Path::new(text).is_absolute() {
        true => Ok(PathBuf::from(text)),
        false => Err(Error::invalid(
            field,
            format!("{text:?} is no absolute path"),
        )),
    };
    list.iter().flatten().map(path).collect()
}

fn missing(field: &str) -> Error {
    Error::invalid(field, "is missing")
}

/// A path of the configuration as seen from the bundle.
fn from_bundle(bundle: &Path, path: &Path) -> PathBuf {
    bundle.join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers() {
        assert_eq!(numbers("1.0.2-dev+x"), Some([1, 0, 2]));
        for wrong in ["1.0", "1", "1.0.0.0", "a.b.c", "1..0", ""] {
            assert_eq!(numbers(wrong), None, "{wrong}");
        }
    }
}
