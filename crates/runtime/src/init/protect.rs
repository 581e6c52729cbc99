//! What of the kernel's files the container may set, see and change.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use sys::mount::{Attributes, Change, Mounted, Propagation};
use sys::root::Kind;
use types::ErrorKind;

use super::{Init, Outcome};
use crate::prepare::LABEL;
use crate::protocol::{During, Failure};

/// While the host's /proc is there: the container's own may be masked, read-only, or a fake made by
/// an image (CVE-2025-52881). The kernel sets the value in the namespaces of who writes.
pub(crate) fn sysctl(init: &mut Init<'_>) -> Outcome {
    for (name, value) in &init.plan.sysctl {
        let path = PathBuf::from("/proc/sys").join(sysctl_path(name));
        let written =
            sys::fd::open_write(&path).and_then(|file| sys::fd::write_once(file, value.as_bytes()));
        written.map_err(|error| {
            let kind = match error.errno {
                sys::Errno::INVAL | sys::Errno::NOENT => ErrorKind::Invalid,
                _ => ErrorKind::Internal,
            };
            Failure::new(
                kind,
                format!("cannot set sysctl {name} to {value:?}: {error}"),
            )
        })?;
    }
    Ok(())
}

/// `net.ipv4.ip_forward` becomes `net/ipv4/ip_forward`. As in sysctl(8) the first separator is the
/// one, and the other stands for itself: `net.ipv4.conf.eth0/1.forwarding` is about `eth0.1`.
pub(crate) fn sysctl_path(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match name.find(['.', '/']).map(|at| name[at..].starts_with('/')) {
        Some(true) => name.to_owned(),
        _ => name.chars().map(swap).collect(),
    }
}

/// After everything was mounted and linked, which is what is masked. The host's null device is what
/// covers files: the container's may be anything (CVE-2025-31133).
pub(crate) fn masked_paths(init: &mut Init<'_>) -> Outcome {
    let label = init.plan.mount_label.as_deref();
    let mut covers = Covers::default();
    for path in &init.plan.masked {
        let action = || format!("mask {}", path.display());
        let Some(target) = existing(init, path)? else {
            continue;
        };
        match sys::root::kind(&target).during(action)? {
            Kind::Directory => covers.lay_directory(&target, label).during(action)?,
            _ => covers.lay_file(&target).during(action)?,
        }
    }
    Ok(())
}

/// What is laid over what is masked: the first one of a kind is made, the others are clones of it.
/// Only a mount that is attached can be cloned (before Linux 6.15), so the first goes to the first.
#[derive(Default)]
struct Covers {
    directory: Option<Mounted>,
    file: Option<Mounted>,
}

impl Covers {
    fn lay_directory(&mut self, target: &OwnedFd, label: Option<&str>) -> sys::Result<()> {
        lay(&mut self.directory, || empty_directory(label), target)
    }

    fn lay_file(&mut self, target: &OwnedFd) -> sys::Result<()> {
        lay(&mut self.file, null_device, target)
    }
}

fn lay(
    first: &mut Option<Mounted>,
    make: impl FnOnce() -> sys::Result<Mounted>,
    target: &OwnedFd,
) -> sys::Result<()> {
    if let Some(first) = first {
        return sys::mount::bind_fd(first, false)?.attach(target);
    }
    let made = make()?;
    made.attach(target)?;
    *first = Some(made);
    Ok(())
}

/// A file system with nothing in it.
fn empty_directory(label: Option<&str>) -> sys::Result<Mounted> {
    let attributes =
        Attributes::READ_ONLY | Attributes::NO_SUID | Attributes::NO_DEV | Attributes::NO_EXEC;
    let mut parameters = vec![("nr_inodes", Some("1")), ("mode", Some("555"))];
    parameters.extend(label.map(|label| (LABEL, Some(label))));
    sys::mount::file_system("tmpfs", Some("tmpfs"), &parameters, attributes)
}

/// The host's null device.
fn null_device() -> sys::Result<Mounted> {
    let null = sys::fd::open_path(Path::new("/dev/null"))?;
    if sys::root::kind(&null)? != Kind::CharacterDevice(1, 3) {
        return Err(sys::Error {
            call: "openat2",
            errno: sys::Errno::INVAL,
        });
    }
    let clone = sys::mount::bind_fd(null, false)?;
    let alone = Change {
        set: Attributes::READ_ONLY | Attributes::NO_EXEC | Attributes::NO_SUID,
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    clone.change(alone, false)?;
    Ok(clone)
}

/// After the masks, one of which may be below.
pub(crate) fn read_only_paths(init: &mut Init<'_>) -> Outcome {
    for path in &init.plan.read_only {
        let action = || format!("make {} read-only", path.display());
        let Some(target) = existing(init, path)? else {
            continue;
        };
        let clone = sys::mount::bind_fd(target.as_fd(), true).during(action)?;
        let change = Change {
            set: Attributes::READ_ONLY,
            ..Change::default()
        };
        clone.change(change, true).during(action)?;
        clone.attach(&target).during(action)?;
    }
    Ok(())
}

/// What is there; a path that this kernel or image does not have needs no protection.
fn existing(init: &Init<'_>, path: &Path) -> Result<Option<OwnedFd>, Failure> {
    let (root, inside) = match (in_proc(path), &init.proc) {
        (Some(inside), Some(proc)) => (proc, inside),
        _ => (init.root()?, path),
    };
    match root.open_path(inside) {
        Ok(target) => Ok(Some(target)),
        Err(error) if matches!(error.errno, sys::Errno::NOENT | sys::Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error).during(|| format!("open {}", path.display())),
    }
}

/// The rest of a path that leads into /proc without any detour.
fn in_proc(path: &Path) -> Option<&Path> {
    let inside = path.strip_prefix("/proc").ok()?;
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_));
    inside.components().all(stays).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_straight_paths_lead_into_proc() {
        let table = [
            ("/proc/keys", Some("keys")),
            ("/proc", Some("")),
            ("//proc//./sys", Some("sys")),
            ("/proc/../etc", None),
            ("/procs", None),
            ("proc/keys", None),
        ];
        for (path, inside) in table {
            assert_eq!(in_proc(Path::new(path)), inside.map(Path::new), "{path}");
        }
    }

    #[test]
    fn sysctl_names_become_paths() {
        let table = [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            (
                "net.ipv4.conf.eth0/1.forwarding",
                "net/ipv4/conf/eth0.1/forwarding",
            ),
            (
                "net/ipv4/conf/eth0.1/forwarding",
                "net/ipv4/conf/eth0.1/forwarding",
            ),
        ];
        for (name, path) in table {
            assert_eq!(sysctl_path(name), path);
        }
    }
}
