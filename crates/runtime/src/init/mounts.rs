//! The mounts inside the root, one after the other: a later one may lie on an earlier one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use sys::cgroup::Cgroup;
use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::ns::Namespaces;
use sys::overlay::Overlay;
use sys::root::{Kind, Root};
use types::{ErrorKind, Mount};

use super::{Init, Outcome, copy_up, gate, namespaces};
use crate::Rootless;
use crate::mount_options::MountOptions;
use crate::prepare::{self, CgroupView, MountPlan, MountSource, borrowed};
use crate::protocol::{During, Failure, FromInit, InitEnd, ToInit};

/// Right after the root: everything else is made in what is mounted here, /dev for one.
pub(crate) fn all(init: &mut Init<'_>) -> Outcome {
    let plan = init.plan;
    for mount in &plan.mounts {
        if needs_cgroup(mount) {
            namespaces::enter_awaited_cgroup(init)?;
        }
        let maker = Maker {
            root: init.root()?,
            awaited: init.awaited,
            channel: &init.launch.channel,
            in_user_namespace: plan.namespaces.names(Namespaces::USER),
            label: plan.mount_label.as_deref(),
        };
        let made = maker.one(mount)?;
        init.own_mounts.extend(made.own);
        init.mount_ids.push(made.id.unwrap_or(0));
        init.to_close
            .extend(made.to_close.map(|mounted| (mounted, mount)));
        if made.proc.is_some() {
            init.proc = made.proc.map(Root::new);
        }
    }
    Ok(())
}

/// Whether it shows the cgroup, costs memory that is the container's, or has the maker answer, whose
/// word about the cgroup must have been heard before.
fn needs_cgroup(mount: &MountPlan) -> bool {
    let source = &mount.source;
    mount.options.copy_up
        || matches!(
            source,
            MountSource::CgroupViews(_) | MountSource::Inside(_, Some(_))
        )
}

/// After the last file, directory and mount was made in one of them, by hooks too.
pub(crate) fn read_only(init: &mut Init<'_>) -> Outcome {
    for (mounted, mount) in init.to_close.drain(..) {
        close(&mounted, mount)?;
    }
    Ok(())
}

fn close(mounted: &Mounted, mount: &MountPlan) -> Outcome {
    let own = Change {
        set: Attributes::READ_ONLY & mount.options.attributes(),
        ..Change::default()
    };
    change(mounted, &mount.options, own)
        .during(|| format!("make {} read-only", mount.target.display()))
}

/// One more in a container that runs, whose root this is. Returns its number ([`sys::mount::id`]).
pub(crate) fn later(
    root: &Root,
    mount: &MountPlan,
    channel: &InitEnd,
    in_user_namespace: bool,
    label: Option<&str>,
) -> Result<Option<u64>, Failure> {
    let maker = Maker {
        root,
        awaited: None,
        channel,
        in_user_namespace,
        label,
    };
    let made = maker.one(mount)?;
    // Nothing is to be made in it any more.
    if let Some(mounted) = &made.to_close {
        close(mounted, mount)?;
    }
    Ok(made.id)
}

/// What is remembered of a mount.
#[derive(Default)]
struct Made {
    /// The number of the mount itself; none where it is more than one.
    id: Option<u64>,
    /// The number of a file system of the container's own.
    own: Option<u64>,
    /// The procfs on /proc.
    proc: Option<OwnedFd>,
    /// A file system that is yet to become read-only.
    to_close: Option<Mounted>,
}

/// What is remembered of a bind.
fn made(mount: &MountPlan, mounted: &Mounted) -> Result<Made, Failure> {
    Ok(Made {
        id: number(mount, mounted)?,
        ..Made::default()
    })
}

fn number(mount: &MountPlan, mounted: &Mounted) -> Result<Option<u64>, Failure> {
    let id = sys::mount::id(mounted);
    id.map(Some)
        .during(|| format!("look at the mount on {}", mount.target.display()))
}

/// What is to be remembered of a file system.
fn remember(
    mount: &MountPlan,
    mounted: Mounted,
    is_own: bool,
    is_proc: bool,
) -> Result<Made, Failure> {
    let action = || format!("look at the mount on {}", mount.target.display());
    let id = sys::mount::id(&mounted).during(action)?;
    let mut made = Made {
        id: Some(id),
        own: is_own.then_some(id),
        ..Made::default()
    };
    let keep = is_proc && is_on_proc(mount);
    if is_own && closes(&mount.options) {
        let kept = keep.then(|| sys::fd::duplicate(&mounted));
        made.proc = kept.transpose().during(action)?;
        made.to_close = Some(mounted);
    } else if keep {
        made.proc = Some(mounted.into_fd());
    }
    Ok(made)
}

fn is_on_proc(mount: &MountPlan) -> bool {
    plain(&mount.target) == Path::new("/proc")
}

struct Maker<'a> {
    root: &'a Root,
    /// The cgroup, if its directories were not there when the maker prepared all others.
    awaited: Option<&'a Cgroup>,
    /// To whoever has rights outside of the user namespace.
    channel: &'a InitEnd,
    /// Then not everything can be mounted, and nothing may be allowed that its source forbids.
    in_user_namespace: bool,
    /// SELinux's, for what takes none when it is mounted.
    label: Option<&'a str>,
}

impl Maker<'_> {
    fn one(&self, mount: &MountPlan) -> Result<Made, Failure> {
        match &mount.source {
            MountSource::FileSystem { kind, source } => {
                let (mounted, is_own) = self.file_system(mount, kind, source.as_deref())?;
                return remember(mount, mounted, is_own, kind == "proc");
            }
            MountSource::Bind(mounted, is_dir) => {
                let is_proc = self.bind(mount, mounted, *is_dir)?;
                let kept = (is_proc && is_on_proc(mount)).then(|| sys::fd::duplicate(mounted));
                return Ok(Made {
                    id: number(mount, mounted)?,
                    proc: kept.transpose().during(|| "keep /proc".to_owned())?,
                    ..Made::default()
                });
            }
            MountSource::Inside(path, translator) => {
                let (mounted, is_dir) = self.clone_inside(mount, path, translator.as_ref())?;
                self.bind(mount, &mounted, is_dir)?;
                return made(mount, &mounted);
            }
            MountSource::Layers(overlay, path, at) => {
                let mounted = layers(overlay, path.as_deref(), at, mount)?;
                let is_dir = sys::root::kind(&mounted)
                    .during(|| format!("look at the image on {}", mount.target.display()))?;
                self.bind(mount, &mounted, is_dir == Kind::Directory)?;
                return made(mount, &mounted);
            }
            MountSource::Existing => remount(self.root, mount)?,
            MountSource::CgroupViews(views) => match self.awaited {
                None => cgroup_views(self.root, mount, views)?,
                Some(cgroup) => {
                    let views = prepare::views(cgroup).during(|| "show the cgroup".to_owned())?;
                    cgroup_views(self.root, mount, &views)?;
                }
            },
            MountSource::Given(Mount { source: path, .. }) | MountSource::Path(path) => {
                let message = format!("the source {} was not opened", path.display());
                return Err(Failure::new(ErrorKind::Internal, message));
            }
        }
        Ok(Made::default())
    }

    /// Mounts one; tells whether it is the container's own or the machine's.
    fn file_system(
        &self,
        mount: &MountPlan,
        kind: &str,
        source: Option<&str>,
    ) -> Result<(Mounted, bool), Failure> {
        let action = || format!("mount {kind} on {}", mount.target.display());
        let mode = self.inherited_mode(mount, kind);
        let target = directory(self.root, mount, kind)?;
        let attributes = mount.options.attributes();
        let mut parameters = borrowed(&mount.options);
        parameters.extend(mode.as_deref().map(|mode| ("mode", Some(mode))));
        let mounted = sys::mount::told_file_system(
            kind,
            source,
            &parameters,
            attributes - Attributes::READ_ONLY,
        );
        let mounted = match (mounted, substitute(kind)) {
            // Who rules a user namespace may mount only what belongs to namespaces it owns.
            (Err(refused), Some(path)) if is_refused(&refused.error) && self.is_nested() => {
                return Ok((bind_instead(mount, path.as_ref(), &target)?, false));
            }
            (mounted, _) => mounted.during(action)?,
        };
        if let (Some(label), "mqueue") = (self.label, kind) {
            sys::xattr::set(
                &mounted,
                ".".as_ref(),
                "security.selinux".as_ref(),
                label.as_bytes(),
            )
            .during(|| format!("label {}", mount.target.display()))?;
        }
        if mount.options.copy_up {
            copy_up::copy(&target, mounted.as_fd())
                .during(|| format!("copy what is at {} up", mount.target.display()))?;
        }
        set_propagation(&mounted, &mount.options).during(action)?;
        mounted.attach(&target).during(action)?;
        if !closes(&mount.options) {
            change(&mounted, &mount.options, Change::default()).during(action)?;
        }
        Ok((mounted, true))
    }

    /// The mode of the directory that a tmpfs is to cover, unless the configuration says one; a tmpfs
    /// where there is nothing yet has the usual one.
    fn inherited_mode(&self, mount: &MountPlan, kind: &str) -> Option<String> {
        let says = |(name, _): &(String, Option<String>)| name == "mode";
        if kind != "tmpfs" || mount.options.parameters.iter().any(says) {
            return None;
        }
        let there = self.root.open_path(&mount.target).ok()?;
        sys::root::mode(there).ok().map(|mode| format!("{mode:o}"))
    }

    /// A clone of what is in the container by now.
    fn clone_inside(
        &self,
        mount: &MountPlan,
        path: &Path,
        translator: Option<&OwnedFd>,
    ) -> Result<(Mounted, bool), Failure> {
        let action = || format!("bind {} to {}", path.display(), mount.target.display());
        // The machine's links would lead elsewhere.
        let there = self.root.open_path_no_symlinks(path).during(action)?;
        let recursive = mount.options.bind.unwrap_or(false);
        let mounted = sys::mount::bind_fd(there, recursive).during(action)?;
        if let Some(translator) = translator {
            let below = mount.options.map_ids == Some(true);
            let mapped = match mounted.map_ids(translator.as_fd(), below) {
                Err(error) if error.errno == sys::Errno::PERM && self.in_user_namespace => {
                    return self.have_mapped(mounted, translator, below, path);
                }
                answer => answer,
            };
            mapped.during(|| format!("translate the ids of {}", path.display()))?;
        }
        let is_dir = sys::root::kind(&mounted).during(action)? == Kind::Directory;
        Ok((mounted, is_dir))
    }

    /// The maker may do it where this process, with no rights over the machine's file systems, may not.
    fn have_mapped(
        &self,
        mounted: Mounted,
        translator: &OwnedFd,
        below: bool,
        path: &Path,
    ) -> Result<(Mounted, bool), Failure> {
        let action = || format!("have the ids of {} translated", path.display());
        let with = [mounted.as_fd(), translator.as_fd()];
        let asked = self.channel.send(&FromInit::Translate { below }, &with);
        asked.during(action)?;
        gate::expect(self.channel, ToInit::Continue)?;
        let is_dir = sys::root::kind(&mounted).during(action)? == Kind::Directory;
        Ok((mounted, is_dir))
    }

    /// Whether it is a procfs.
    fn bind(&self, mount: &MountPlan, mounted: &Mounted, is_dir: bool) -> Result<bool, Failure> {
        let action = || format!("bind to {}", mount.target.display());
        let target = if is_dir {
            self.root.make_dirs(&mount.target)
        } else {
            self.root.make_file(&mount.target)
        };
        let target =
            target.during(|| format!("make the mount point {}", mount.target.display()))?;
        let is_proc =
            sys::root::file_system_magic(mounted).during(action)? == sys::root::PROC_MAGIC;
        if !is_proc {
            refuse_on_proc(&target, &mount.target)?;
        }
        leave_peers(mounted, &mount.options).during(action)?;
        set_propagation(mounted, &mount.options).during(action)?;
        let own = self.attributes_of_bind(mount, mounted)?;
        change(mounted, &mount.options, own).during(action)?;
        mounted.attach(&target).during(action)?;
        Ok(is_proc)
    }

    /// Whether the caller may be one who rules no more than a user namespace, too. Asked only where
    /// something was refused.
    fn is_nested(&self) -> bool {
        self.in_user_namespace || Rootless::Auto.holds()
    }

    fn attributes_of_bind(&self, mount: &MountPlan, mounted: &Mounted) -> Result<Change, Failure> {
        if !self.in_user_namespace || !mount.options.says_something {
            return Ok(mount.options.of_bind());
        }
        let action = || format!("look at the source of {}", mount.target.display());
        let source = sys::mount::attributes(mounted).during(action)?;
        mount.options.of_bind_from(source).map_err(|locked| {
            let message = format!(
                "error mounting on {}: in a user namespace {} of its source stays: operation not permitted",
                mount.target.display(),
                locked.names(),
            );
            Failure::new(ErrorKind::Invalid, message)
        })
    }
}

/// A part of an image: mounted as a whole for a moment, where only this process sees it.
fn layers(
    overlay: &Overlay,
    path: Option<&Path>,
    at: &Path,
    mount: &MountPlan,
) -> Result<Mounted, Failure> {
    let action = || match path {
        Some(path) => format!(
            "mount {} of an image on {}",
            path.display(),
            mount.target.display()
        ),
        None => format!("mount an image on {}", mount.target.display()),
    };
    let whole = overlay.mount_at(at).during(action)?;
    let root = Root::new(whole.into_fd());
    let path = path.unwrap_or(Path::new("."));
    let part = prepare::part(&root, path, false);
    let refused = prepare::refused(path, &part);
    let gone = sys::mount::detach(at);
    let part = part.during(|| format!("{}{refused}", action()))?;
    gone.during(action)?;
    Ok(part)
}

/// The machine's own of a file system that may not be mounted anew.
fn bind_instead(mount: &MountPlan, path: &Path, target: &OwnedFd) -> Result<Mounted, Failure> {
    let action = || format!("bind {} to {}", path.display(), mount.target.display());
    let mounted = sys::mount::bind(path, true).during(action)?;
    let own = Change {
        set: mount.options.attributes(),
        ..Change::default()
    };
    // What is below is the same file system's, seen by others, and as closed as this one is to be.
    let below = path != Path::new("/proc");
    mounted.change(own, below).during(action)?;
    change(&mounted, &mount.options, Change::default()).during(action)?;
    mounted.attach(target).during(action)?;
    Ok(mounted)
}

/// Where the machine has its cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Where the machine's own of a file system is.
fn substitute(kind: &str) -> Option<&'static str> {
    match kind {
        "proc" => Some("/proc"),
        "sysfs" => Some("/sys"),
        "mqueue" => Some("/dev/mqueue"),
        "cgroup2" => Some(CGROUPS),
        _ => None,
    }
}

fn is_refused(error: &sys::Error) -> bool {
    matches!(error.errno, sys::Errno::PERM | sys::Errno::BUSY)
}

/// Changes what is mounted already.
fn remount(root: &Root, mount: &MountPlan) -> Outcome {
    let action = || format!("change the mount on {}", mount.target.display());
    let there = root.open_path(&mount.target).during(action)?;
    refuse_on_proc(&there, &mount.target)?;
    let there = Mounted::from_fd(there);
    set_propagation(&there, &mount.options).during(action)?;
    change(&there, &mount.options, mount.options.named).during(action)?;
    let parameters = borrowed(&mount.options);
    if parameters.is_empty() {
        return Ok(());
    }
    sys::mount::reconfigure(&there, &parameters).during(action)
}

/// Whether something of it becomes read-only, which has to wait: what is mounted below, or copied
/// up, has to find its directory.
fn closes(options: &MountOptions) -> bool {
    (options.attributes() | options.recursive.set).contains(Attributes::READ_ONLY)
}

/// The directory to mount on, made where missing. That of proc and sysfs must not be reached by a
/// symbolic link: an image that has one there would have the runtime believe in a /proc that is not
/// where the masks are.
fn directory(root: &Root, mount: &MountPlan, kind: &str) -> Result<OwnedFd, Failure> {
    let action = || format!("make the mount point {}", mount.target.display());
    if !matches!(kind, "proc" | "sysfs") {
        let target = root.make_dirs(&mount.target).during(action)?;
        refuse_on_proc(&target, &mount.target)?;
        return Ok(target);
    }
    match root.open_path_no_symlinks(&mount.target) {
        Err(error) if error.errno == sys::Errno::NOENT => {
            root.make_dirs(&mount.target).during(action)?;
            root.open_path_no_symlinks(&mount.target).during(action)
        }
        Err(error) if matches!(error.errno, sys::Errno::LOOP | sys::Errno::NOTDIR) => {
            let message = format!(
                "{kind} on {} must be mounted on ordinary directory: {error}",
                mount.target.display()
            );
            Err(Failure::new(ErrorKind::Invalid, message))
        }
        answer => answer.during(action),
    }
}

/// A bind of the host's mount begins as its peer. Unless it is to stay that, it only receives.
fn leave_peers(mounted: &Mounted, options: &MountOptions) -> sys::Result<()> {
    let shared = |(propagation, _): &(Propagation, bool)| *propagation == Propagation::Shared;
    if options.propagation.iter().any(shared) {
        return Ok(());
    }
    propagate(mounted, Propagation::Slave, true)
}

fn set_propagation(mounted: &Mounted, options: &MountOptions) -> sys::Result<()> {
    let mut all = options.propagation.iter();
    all.try_for_each(|(propagation, recursive)| propagate(mounted, *propagation, *recursive))
}

fn propagate(mounted: &Mounted, propagation: Propagation, recursive: bool) -> sys::Result<()> {
    let change = Change {
        propagation: Some(propagation),
        ..Change::default()
    };
    mounted.change(change, recursive)
}

fn change(mounted: &Mounted, options: &MountOptions, own: Change) -> sys::Result<()> {
    if !own.is_empty() {
        mounted.change(own, false)?;
    }
    if !options.recursive.is_empty() {
        mounted.change(options.recursive, true)?;
    }
    Ok(())
}

/// The container's directory of each version 1 hierarchy, side by side on a tmpfs as the host has
/// them.
fn cgroup_views(root: &Root, mount: &MountPlan, views: &[CgroupView]) -> Outcome {
    let action = || format!("mount the cgroups on {}", mount.target.display());
    let target = root.make_dirs(&mount.target).during(action)?;
    let attributes = mount.options.attributes();
    let tmpfs = sys::mount::file_system(
        "tmpfs",
        Some("tmpfs"),
        &[("mode", Some("755"))],
        attributes - Attributes::READ_ONLY,
    );
    let tmpfs = tmpfs.during(action)?;
    tmpfs.attach(&target).during(action)?;
    for view in views {
        let name = view.name.as_ref();
        sys::root::make_dir(&tmpfs, name).during(action)?;
        view.mount.attach_at(&tmpfs, name).during(action)?;
        for link in &view.links {
            sys::root::make_link(&tmpfs, link.as_ref(), &view.name).during(action)?;
        }
    }
    // All of them at once, and the tmpfs with them.
    let own = Change {
        set: attributes,
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    tmpfs.change(own, true).during(action)?;
    change(&tmpfs, &mount.options, Change::default()).during(action)
}

/// Files of /proc that may be replaced: those that tell about the machine's size and load.
const REPLACEABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Mounting on anything else in /proc could hide from the kernel's own interfaces what is written
/// to them, a security label for one (CVE-2019-16884). Asked of the descriptor, so that a symbolic
/// link to /proc in an image does not help.
pub(crate) fn refuse_on_proc(target: &OwnedFd, path: &Path) -> Outcome {
    let action = || format!("look at the mount point {}", path.display());
    let magic = sys::root::file_system_magic(target.as_fd()).during(action)?;
    let plain = plain(path);
    if magic != sys::root::PROC_MAGIC || REPLACEABLE.iter().any(|known| plain == Path::new(known)) {
        return Ok(());
    }
    let message = format!("cannot mount on {}: it is inside /proc", path.display());
    Err(Failure::new(ErrorKind::Invalid, message))
}

/// The path without `.` and `..`, as text.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_plain() {
        assert_eq!(
            plain(Path::new("/proc/./x/../stat")),
            Path::new("/proc/stat")
        );
        assert_eq!(plain(Path::new("../../proc")), Path::new("/proc"));
    }
}
