//! Device files: those every container has, and those asked for.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType};
use sys::root::{Node, NodeKind};

use super::DevicePlan;
use crate::error::Error;

/// What the specification has in every container: name, major, minor.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

pub(super) fn devices(linux: &Linux) -> Result<Vec<DevicePlan>, Error> {
    let asked: Vec<_> = linux
        .devices()
        .iter()
        .flatten()
        .map(device)
        .collect::<Result<_, _>>()?;
    let missing = |path: &Path| !asked.iter().any(|device| device.path == path);
    let mut all: Vec<_> = DEFAULT
        .iter()
        .map(|(name, major, minor)| DevicePlan {
            path: Path::new("/dev").join(name),
            node: Node {
                kind: NodeKind::Character,
                major: *major,
                minor: *minor,
                mode: 0o666,
                uid: 0,
                gid: 0,
            },
        })
        .filter(|device| missing(&device.path))
        .collect();
    all.extend(asked);
    Ok(all)
}

fn device(device: &LinuxDevice) -> Result<DevicePlan, Error> {
    let path: PathBuf = device.path().clone();
    let invalid =
        |reason: &str| Error::invalid(format!("linux.devices[{}]", path.display()), reason);
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(invalid("the path must be absolute and name a file"));
    }
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => NodeKind::Character,
        LinuxDeviceType::B => NodeKind::Block,
        LinuxDeviceType::P => NodeKind::Fifo,
        LinuxDeviceType::A => return Err(invalid("the type must be one of c, b, u, p")),
    };
    let number = |n: i64| u32::try_from(n).map_err(|_| invalid("device numbers are not negative"));
    let owners = [device.uid(), device.gid()];
    if owners.contains(&Some(super::process::NO_ID)) {
        return Err(invalid("4294967295 is no id of an owner"));
    }
    let node = Node {
        kind,
        major: number(device.major())?,
        minor: number(device.minor())?,
        mode: device.file_mode().unwrap_or(0o666),
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    };
    Ok(DevicePlan {
        path: path.clone(),
        node,
    })
}
