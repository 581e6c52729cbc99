//! Device files and the links beside them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::root::{Kind, NodeKind, Root};
use types::ErrorKind;

use super::{Init, Outcome};
use crate::prepare::DevicePlan;
use crate::protocol::{During, Failure};

/// After the mounts, because /dev is one of them. One that is bound has its devices already.
pub(crate) fn files(init: &mut Init<'_>) -> Outcome {
    let root = init.root()?;
    let bound = is_bound(init)?;
    let missing = |device: &&DevicePlan| !(bound && device.path.starts_with("/dev"));
    // A device's mode is what was asked for, not what the caller's mask leaves of it.
    let mask = sys::process::set_umask(0);
    let mut parent = Parent::default();
    let made = init
        .plan
        .devices
        .iter()
        .filter(missing)
        .try_for_each(|device| parent.file(root, device));
    sys::process::set_umask(mask);
    made
}

/// Whether /dev is bound, from the host mostly, by itself or with a directory above it: what is made
/// or removed in it is made or removed there. Asked of the mount, because a symbolic link in an image
/// may lead here from elsewhere: it is the root's, or one that was made for the container, or bound.
fn is_bound(init: &Init<'_>) -> Result<bool, Failure> {
    let action = || "look at /dev".to_owned();
    let root = init.root()?;
    let Ok(dev) = root.open_path("/dev") else {
        return Ok(false);
    };
    let here = sys::mount::id(dev).during(action)?;
    Ok(!init.own_mounts.contains(&here) && sys::mount::id(root).during(action)? != here)
}

/// The directory of the last device, which mostly is that of the next one too.
#[derive(Default)]
struct Parent<'a>(Option<(&'a Path, OwnedFd)>);

impl<'a> Parent<'a> {
    fn file(&mut self, root: &Root, device: &'a DevicePlan) -> Outcome {
        let action = || format!("make the device {}", device.path.display());
        let (Some(path), Some(name)) = (device.path.parent(), device.path.file_name()) else {
            let message = format!("{} is no path of a device", device.path.display());
            return Err(Failure::new(ErrorKind::Invalid, message));
        };
        let dir = match self.0.take() {
            Some((known, dir)) if known == path => dir,
            _ => root.make_dirs(path).during(action)?,
        };
        let made = match sys::root::make_node(&dir, name, device.node) {
            Ok(()) => Ok(()),
            Err(error) if error.errno == sys::Errno::EXIST => check_existing(root, device),
            // Inside a user namespace nobody may make devices: the host's are bound instead.
            Err(error) if error.errno == sys::Errno::PERM => bind(root, device),
            Err(error) => Err(error).during(action),
        };
        self.0 = Some((path, dir));
        made
    }
}

/// An image may bring its /dev. What is there must be the device that was asked for.
fn check_existing(root: &Root, device: &DevicePlan) -> Outcome {
    let action = || format!("look at the device {}", device.path.display());
    let node = device.node;
    let existing = sys::root::kind(root.open_path(&device.path).during(action)?).during(action)?;
    let same = match (existing, node.kind) {
        (Kind::CharacterDevice(major, minor), NodeKind::Character)
        | (Kind::BlockDevice(major, minor), NodeKind::Block) => {
            (major, minor) == (node.major, node.minor)
        }
        (Kind::Other, NodeKind::Fifo) => true,
        _ => false,
    };
    if same {
        return Ok(());
    }
    let message = format!(
        "cannot make the device {}: something else is there",
        device.path.display()
    );
    Err(Failure::new(ErrorKind::Conflict, message))
}

/// The machine's own file of a device: of that name, or as the kernel calls it. What is there under
/// another device's name is that device, and not the one that was asked for.
fn source(device: &DevicePlan) -> Option<OwnedFd> {
    let node = device.node;
    let class = match node.kind {
        NodeKind::Block => "block",
        _ => "char",
    };
    let known = format!("/sys/dev/{class}/{}:{}/uevent", node.major, node.minor);
    let text = sys::fd::open_read(Path::new(&known))
        .and_then(|file| sys::fd::read_to_end(file, LONGEST_EVENT))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    let named = name.map(|name| Path::new("/dev").join(name));
    let is_it = |file: &OwnedFd| match (sys::root::kind(file), node.kind) {
        (Ok(Kind::CharacterDevice(major, minor)), NodeKind::Character)
        | (Ok(Kind::BlockDevice(major, minor)), NodeKind::Block) => {
            (major, minor) == (node.major, node.minor)
        }
        _ => false,
    };
    [Some(device.path.clone()), named]
        .into_iter()
        .flatten()
        .filter_map(|path| sys::fd::open_path(&path).ok())
        .find(is_it)
}

/// What the kernel says of one device is a few lines.
const LONGEST_EVENT: usize = 1 << 16;

fn bind(root: &Root, device: &DevicePlan) -> Outcome {
    let action = || format!("bind the device {}", device.path.display());
    let source = source(device).ok_or_else(|| {
        let (path, node) = (device.path.display(), device.node);
        let message = format!(
            "cannot bind the device {path}: in a user namespace it must be among the machine's, and \
             none in /dev is {}:{}",
            node.major, node.minor
        );
        Failure::new(ErrorKind::Invalid, message)
    })?;
    let mounted = sys::mount::bind_fd(source, false).during(action)?;
    let target = root.make_file(&device.path).during(action)?;
    mounted.attach(target).during(action)
}

/// What the specification has in every /dev, and where it leads.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// After the device files. A terminal is opened by the link `ptmx`, which must lead to the
/// container's own multiplexer and not to the host's.
pub(crate) fn links(init: &mut Init<'_>) -> Outcome {
    if is_bound(init)? {
        return Ok(());
    }
    let root = init.root()?;
    let dev = root.make_dirs("/dev").during(|| "open /dev".to_owned())?;
    for (name, target) in LINKS {
        link(&dev, name, target)?;
    }
    if root.open_path("/dev/pts/ptmx").is_err() {
        return Ok(());
    }
    match sys::root::remove_file(&dev, "ptmx".as_ref()) {
        Err(error) if error.errno != sys::Errno::NOENT => {
            Err(error).during(|| "replace /dev/ptmx".to_owned())?;
        }
        _ => {}
    }
    link(&dev, "ptmx", "pts/ptmx")
}

/// Makes a link; one that is there already is as good, whatever an image meant by it.
fn link(dev: impl AsFd, name: &str, target: &str) -> Outcome {
    match sys::root::make_link(dev, Path::new(name).as_os_str(), target) {
        Err(error) if error.errno == sys::Errno::EXIST => Ok(()),
        answer => answer.during(|| format!("make the link /dev/{name}")),
    }
}
