//! Devices of the host that a container gets.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use types::{ContainerSpec, DeviceRequest};

use crate::Error;
use crate::render::{DeviceKind, HostDevice};

/// Entries of `/dev` that a privileged container makes itself or must not share.
const NOT_SHARED: [&str; 9] = [
    "pts",
    "shm",
    "fd",
    "mqueue",
    "console",
    "ptmx",
    ".lxc",
    ".lxd-mounts",
    ".udev",
];

/// The devices `spec` asks for; all of them if it is privileged.
pub(super) fn devices(spec: &ContainerSpec) -> Result<Vec<HostDevice>, Error> {
    let mut found = Vec::new();
    if spec.security.privileged {
        let all = DeviceRequest {
            host_path: "/dev".to_owned(),
            container_path: "/dev".to_owned(),
            permissions: "rwm".to_owned(),
        };
        walk(Path::new("/dev"), &all, &NOT_SHARED, &mut found);
        return Ok(found);
    }
    for request in &spec.resources.devices {
        let path = Path::new(&request.host_path);
        let what = || {
            let path = path.display();
            format!("gather device information while adding custom device \"{path}\"")
        };
        let metadata = std::fs::metadata(path).map_err(Error::io(what()))?;
        let before = found.len();
        if metadata.is_dir() {
            walk(path, request, &[], &mut found);
        } else {
            found.extend(device(&metadata, &request.container_path, request));
        }
        if found.len() == before {
            let none = std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a device node");
            return Err(Error::io(what())(none));
        }
    }
    Ok(found)
}

/// Everything below `dir` that is a device. What cannot be looked at is not offered.
fn walk(dir: &Path, request: &DeviceRequest, skip: &[&str], found: &mut Vec<HostDevice>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if skip.iter().any(|skipped| name == *skipped) {
            continue;
        }
        // Not followed: /dev is full of links to what is found anyway.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let path = entry.path();
        if metadata.is_dir() {
            walk(&path, request, &[], found);
            continue;
        }
        let Ok(below) = path.strip_prefix(&request.host_path) else {
            continue;
        };
        let inside = Path::new(&request.container_path).join(below);
        found.extend(device(&metadata, &inside.to_string_lossy(), request));
    }
}

fn device(metadata: &Metadata, inside: &str, request: &DeviceRequest) -> Option<HostDevice> {
    let kind = metadata.file_type();
    let kind = if kind.is_char_device() {
        DeviceKind::Char
    } else if kind.is_block_device() {
        DeviceKind::Block
    } else {
        return None;
    };
    let (major, minor) = numbers(metadata.rdev());
    Some(HostDevice {
        container_path: inside.to_owned(),
        kind,
        major,
        minor,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        permissions: request.permissions.clone(),
    })
}

/// Major and minor number, as the kernel packs them for stat(2).
pub(super) fn numbers(device: u64) -> (u32, u32) {
    let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap_or_default();
    (
        low((device >> 8) & 0xfff | (device >> 32) & 0xffff_f000),
        low(device & 0xff | (device >> 12) & 0xffff_ff00),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host_path: &str) -> ContainerSpec {
        let mut spec = ContainerSpec::default();
        spec.resources.devices.push(DeviceRequest {
            host_path: host_path.to_owned(),
            container_path: "/dev/inside".to_owned(),
            permissions: "rw".to_owned(),
        });
        spec
    }

    #[test]
    fn a_device_is_found_and_what_is_none_refused() {
        let found = devices(&asked("/dev/null")).unwrap();
        assert_eq!((found[0].major, found[0].minor), (1, 3));
        assert_eq!(found[0].container_path, "/dev/inside");
        assert_eq!(
            devices(&asked("/dev/nothing")).unwrap_err().chain(),
            "cannot gather device information while adding custom device \"/dev/nothing\": \
             no such file or directory"
        );
        assert!(devices(&asked("/proc/self/stat")).is_err());
        // Of a directory what is in it.
        let empty = tempfile::tempdir().unwrap();
        let none = devices(&asked(empty.path().to_str().unwrap())).unwrap_err();
        assert!(
            none.chain().ends_with(": not a device node"),
            "{}",
            none.chain()
        );
    }

    #[test]
    fn privileged_gets_all_but_terminals() {
        let mut spec = ContainerSpec::default();
        spec.security.privileged = true;
        let paths: Vec<String> = devices(&spec)
            .unwrap()
            .into_iter()
            .map(|d| d.container_path)
            .collect();
        assert!(paths.contains(&"/dev/null".to_owned()));
        assert!(!paths.iter().any(|p| p.starts_with("/dev/pts")));
    }
}
