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
        // The link to the container's own multiplexer takes its place.
        .filter(|device| device.path() != Path::new("/dev/ptmx"))
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
    // Absent ones read as zeros, and there is no such device.
    if kind != NodeKind::Fifo && (device.major(), device.minor()) == (0, 0) {
        return Err(invalid("major and minor are missing"));
    }
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

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{LinuxBuilder, LinuxDeviceBuilder};

    use super::*;

    fn planned(
        path: &str,
        kind: LinuxDeviceType,
        numbers: (i64, i64),
    ) -> Result<DevicePlan, Error> {
        let device = LinuxDeviceBuilder::default()
            .path(path)
            .typ(kind)
            .major(numbers.0)
            .minor(numbers.1)
            .build()
            .unwrap();
        super::device(&device)
    }

    #[test]
    fn devices_need_a_path_a_type_and_numbers() {
        let refused = [
            planned("dev/x", LinuxDeviceType::C, (1, 3)),
            planned("/dev/..", LinuxDeviceType::C, (1, 3)),
            planned("/dev/x", LinuxDeviceType::A, (1, 3)),
            planned("/dev/x", LinuxDeviceType::B, (0, 0)),
            planned("/dev/x", LinuxDeviceType::U, (-1, 3)),
        ];
        for answer in refused {
            assert!(answer.is_err(), "{answer:?}");
        }
        assert!(planned("/dev/x", LinuxDeviceType::P, (0, 0)).is_ok());
    }

    #[test]
    fn a_usual_device_that_was_asked_for_is_as_asked() {
        let device = LinuxDeviceBuilder::default()
            .path("/dev/null")
            .typ(LinuxDeviceType::C)
            .major(1_i64)
            .minor(3_i64)
            .file_mode(0o600_u32)
            .build()
            .unwrap();
        let linux = LinuxBuilder::default()
            .devices(vec![device])
            .build()
            .unwrap();
        let all = devices(&linux).unwrap();
        let nulls: Vec<_> = all
            .iter()
            .filter(|device| device.path == Path::new("/dev/null"))
            .map(|device| device.node.mode)
            .collect();
        assert_eq!(nulls, [0o600]);
        assert_eq!(all.len(), DEFAULT.len());
    }
}
