//! The change of root where pivot_root(2) cannot be: from the first file system of a machine, a
//! ramdisk that nothing can be moved away from.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use sys::mount::Attributes;
use sys::root::Root;

use super::Outcome;
use crate::protocol::During;

/// The root is attached on top of `/` already: this process only has to go there. What is mounted
/// below the host's root stays in this mount namespace, so all of it goes first: a bare /proc among
/// it would let the container mount one of its own without the masks (mount_namespaces(7)).
pub(super) fn switch(root: &Root) -> Outcome {
    let table = sys::fd::open_read(Path::new("/proc/self/mountinfo"))
        .and_then(|file| sys::fd::read_to_end(file, 64 << 20));
    let table = table.during(|| "read the mount table".to_owned())?;
    // The deepest first. Paths begin at the host's root, which the new one does not cover for this
    // process.
    for point in mount_points(&table).iter().rev() {
        clear(point)?;
    }
    sys::process::change_dir_to(root).during(|| "enter the root".to_owned())?;
    sys::process::change_root_here().during(|| "make the root /".to_owned())?;
    sys::process::change_dir(Path::new("/")).during(|| "enter /".to_owned())
}

/// Takes every mount away from a path. What cannot go, because it came from an outer user namespace,
/// is covered.
fn clear(point: &Path) -> Outcome {
    while sys::mount::detach(point).is_ok() {}
    if !is_mount(point) {
        return Ok(());
    }
    let action = || format!("cover {} of the host", point.display());
    let none = [("size", Some("0"))];
    let cover = sys::mount::file_system("tmpfs", Some("none"), &none, Attributes::READ_ONLY);
    let dir = sys::fd::open_path(point).during(action)?;
    cover.during(action)?.attach(dir).during(action)
}

/// Whether a directory is of another mount than the one above it. A file cannot be covered, nor
/// anything be mounted because of it.
fn is_mount(point: &Path) -> bool {
    let id = |path: &Path| sys::fd::open_dir(path).and_then(sys::mount::id);
    id(point).is_ok_and(|own| id(&point.join("..")) != Ok(own))
}

/// The fifth fields of /proc/PID/mountinfo, proc_pid_mountinfo(5), without `/`.
pub(crate) fn mount_points(table: &[u8]) -> BTreeSet<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    points
        .filter(|point| *point != b"/")
        .map(|point| PathBuf::from(std::ffi::OsString::from_vec(unescaped(point))))
        .collect()
}

/// Blanks, tabs, line ends and backslashes are written in octal.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let octal = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        let table = b"22 1 0:20 / /proc rw - proc proc rw\n23 1 8:1 / / rw - ext4 /dev/x rw\n\
            24 22 0:21 / /a\\040b\\134 rw - tmpfs none rw\n";
        let points: Vec<_> = mount_points(table).into_iter().collect();
        assert_eq!(points, [Path::new("/a b\\"), Path::new("/proc")]);
    }
}
