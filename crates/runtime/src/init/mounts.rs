//! The mounts inside the root, one after the other: a later one may lie on an earlier one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::root::Root;
use types::ErrorKind;

use super::{Init, Outcome, copy_up};
use crate::mount_options::MountOptions;
use crate::prepare::{CgroupView, MountPlan, MountSource, borrowed};
use crate::protocol::{During, Failure};

/// Right after the root: everything else is made in what is mounted here, /dev for one.
pub(crate) fn all(init: &mut Init<'_>) -> Outcome {
    for mount in &init.plan.mounts {
        if let Some(proc) = one(init.root()?, mount)? {
            init.proc = Some(Root::new(proc));
        }
    }
    Ok(())
}

/// The mount, if it is the procfs on /proc.
fn one(root: &Root, mount: &MountPlan) -> Result<Option<OwnedFd>, Failure> {
    let on_proc = || plain(&mount.target) == Path::new("/proc");
    match &mount.source {
        MountSource::FileSystem { kind, source } => {
            let mounted = file_system(root, mount, kind, source.as_deref())?;
            Ok((kind == "proc" && on_proc()).then(|| mounted.into_fd()))
        }
        MountSource::Bind(mounted, is_dir) => {
            let is_proc = bind(root, mount, mounted, *is_dir)?;
            let kept = (is_proc && on_proc()).then(|| sys::fd::duplicate(mounted));
            kept.transpose().during(|| "keep /proc".to_owned())
        }
        MountSource::CgroupViews(views) => cgroup_views(root, mount, views).map(|()| None),
        MountSource::Path(path) => {
            let message = format!("the source {} was not opened", path.display());
            Err(Failure::new(ErrorKind::Internal, message))
        }
    }
}

fn file_system(
    root: &Root,
    mount: &MountPlan,
    kind: &str,
    source: Option<&str>,
) -> Result<Mounted, Failure> {
    let action = || format!("mount {kind} on {}", mount.target.display());
    let target = directory(root, mount, kind)?;
    let parameters = borrowed(&mount.options);
    let attributes = mount.options.attributes();
    let mounted = sys::mount::file_system(
        kind,
        source,
        &parameters,
        attributes - Attributes::READ_ONLY,
    );
    let mounted = mounted.during(action)?;
    if mount.options.copy_up {
        copy_up::copy(&target, mounted.as_fd())
            .during(|| format!("copy what is at {} up", mount.target.display()))?;
    }
    set_propagation(&mounted, &mount.options).during(action)?;
    mounted.attach(&target).during(action)?;
    // Only now read-only: what is mounted below, or copied up, has to find its directory.
    change(&mounted, &mount.options, only_read_only(attributes)).during(action)?;
    Ok(mounted)
}

/// What a mount was not given when it was made.
fn only_read_only(attributes: Attributes) -> Change {
    Change {
        set: attributes & Attributes::READ_ONLY,
        ..Change::default()
    }
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
        answer => answer.during(action),
    }
}

/// Whether it is a procfs.
fn bind(
    root: &Root,
    mount: &MountPlan,
    mounted: &Mounted,
    is_dir: bool,
) -> Result<bool, Failure> {
    let action = || format!("bind to {}", mount.target.display());
    let target = if is_dir {
        root.make_dirs(&mount.target)
    } else {
        root.make_file(&mount.target)
    };
    let target = target.during(|| format!("make the mount point {}", mount.target.display()))?;
    let is_proc = sys::root::file_system_magic(mounted).during(action)? == sys::root::PROC_MAGIC;
    if !is_proc {
        refuse_on_proc(&target, &mount.target)?;
    }
    leave_peers(mounted, &mount.options).during(action)?;
    set_propagation(mounted, &mount.options).during(action)?;
    change(mounted, &mount.options, mount.options.change).during(action)?;
    mounted.attach(&target).during(action)?;
    Ok(is_proc)
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
fn refuse_on_proc(target: &OwnedFd, path: &Path) -> Outcome {
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
