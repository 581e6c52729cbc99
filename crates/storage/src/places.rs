//! What every container has below its image: where each start mounts something, whether the image knows
//! of it or not. Made once, it need not be made in the writable layer of each.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use crate::error::Error;
use crate::paths::Paths;
use crate::store::make_dir;

/// Paths in a container that are not its image's and not its own, either: nothing is told of them.
/// Programs know by the last that they are in a container.
pub const PLACES: [&str; 8] = [
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
    "/.dockerenv",
];

/// Makes what is not there yet.
pub(crate) fn make(paths: &Paths) -> Result<(), Error> {
    let root = paths.places();
    for path in [&root, &root.join("etc")] {
        directory(path)?;
    }
    for place in PLACES {
        let path = root.join(place.trim_start_matches('/'));
        match place {
            "/dev" | "/proc" | "/sys" => directory(&path)?,
            "/etc/mtab" => link(&path)?,
            _ => file(&path)?,
        }
    }
    Ok(())
}

/// Whatever the daemon's umask is.
fn directory(path: &Path) -> Result<(), Error> {
    make_dir(path, 0o755)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
        .map_err(Error::file("change the permissions of", path))
}

fn file(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o755);
    let made = options.open(path).map_err(Error::file("create", path))?;
    made.set_permissions(Permissions::from_mode(0o755))
        .map_err(Error::file("change the permissions of", path))
}

fn link(path: &Path) -> Result<(), Error> {
    match symlink("/proc/mounts", path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        answer => answer.map_err(Error::file("create", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_made_again_where_it_went() {
        let temp = tempfile::tempdir().unwrap();
        let paths = Paths {
            root: temp.path().into(),
        };
        make(&paths).unwrap();
        std::fs::remove_file(paths.places().join("etc/mtab")).unwrap();
        std::fs::remove_dir(paths.places().join("proc")).unwrap();
        make(&paths).unwrap();
        for place in PLACES {
            let path = paths.places().join(place.trim_start_matches('/'));
            let there = std::fs::symlink_metadata(path).unwrap();
            let mode = there.permissions().mode() & 0o7777;
            assert!(there.is_symlink() || mode == 0o755, "{place} {mode:o}");
        }
    }
}
