//! Places for mounts: files and directories that are made in a root so that something can be mounted
//! there, and that are no work of the command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sys::dir::{Dir, Kind};

use super::Failure;
use super::tree::{failed, locate, names};

/// The link that every container has.
const MOUNT_TABLE: &str = "/etc/mtab";
/// What a container's own mounts need.
const OWN: [&str; 7] = [
    MOUNT_TABLE,
    "/proc",
    "/sys",
    "/dev",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
];

/// Paths that were not there before.
#[derive(Debug)]
pub(super) struct Stubs {
    missing: Vec<String>,
    /// Directories that were there, which are changed by what is made in them.
    touched: Vec<String>,
}

impl Stubs {
    /// Looks which places are missing.
    pub(super) fn note(root: &Dir, targets: &[&str]) -> Result<Self, Failure> {
        let mut stubs = Self {
            missing: Vec::new(),
            touched: Vec::new(),
        };
        for target in OWN.iter().chain(targets) {
            stubs.look(root, target)?;
        }
        // What is deepest goes first.
        stubs
            .missing
            .sort_by_key(|path| std::cmp::Reverse(path.len()));
        stubs
            .touched
            .sort_by_key(|path| std::cmp::Reverse(path.len()));
        Ok(stubs)
    }

    fn look(&mut self, root: &Dir, target: &str) -> Result<(), Failure> {
        let mut path = String::new();
        let mut above = String::new();
        for part in target.split('/').filter(|part| !part.is_empty()) {
            path = format!("{path}/{part}");
            if locate(root, &path, true)?.is_none() {
                if !self.missing.contains(&path) {
                    self.missing.push(path.clone());
                }
            } else {
                above.clone_from(&path);
            }
        }
        let parents = above
            .match_indices('/')
            .map(|(at, _)| above[..at].to_owned());
        for touched in parents
            .chain([above.clone()])
            .filter(|path| !path.is_empty())
        {
            if !self.touched.contains(&touched) {
                self.touched.push(touched);
            }
        }
        Ok(())
    }

    /// Removes from a layer what is empty still; of directories that were only changed by that, what is
    /// left of them too.
    pub(super) fn remove(&self, upper: &Path, lower: &[PathBuf]) -> Result<(), Failure> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let root = Dir::open(upper).map_err(failed("open", "the layer"))?;
        for path in &self.missing {
            let Some((dir, name)) = inside(&root, path) else {
                continue;
            };
            match dir.status(&name) {
                Ok(status) if status.kind == Kind::File && status.size == 0 => {
                    dir.remove_file(&name).map_err(failed("remove", path))?;
                }
                Ok(status) if status.kind == Kind::Symlink && path == MOUNT_TABLE => {
                    let target = dir.read_symlink(&name).map_err(failed("read", path))?;
                    if target.as_bytes() == b"/proc/mounts" {
                        dir.remove_file(&name).map_err(failed("remove", path))?;
                    }
                }
                Ok(status) if status.kind == Kind::Directory => {
                    // One that is not empty is the command's.
                    let _ = dir.remove_dir(&name);
                }
                _ => {}
            }
        }
        for path in &self.touched {
            untouch(&root, lower, path)?;
        }
        Ok(())
    }
}

/// The directory of the layer that a path's last part is in, without following a link or leaving it.
fn inside(root: &Dir, path: &str) -> Option<(Dir, OsString)> {
    let (above, name) = path.rsplit_once('/')?;
    let mut dir = root.open_dir(OsStr::new(".")).ok()?;
    let climbs = |part: &str| matches!(part, "." | "..");
    if path.split('/').any(climbs) {
        return None;
    }
    for part in above.split('/').filter(|part| !part.is_empty()) {
        dir = dir.open_dir(OsStr::new(part)).ok()?;
    }
    Some((dir, name.into()))
}

/// Removes a directory from a layer that says nothing but another time than the one below it.
fn untouch(root: &Dir, lower: &[PathBuf], path: &str) -> Result<(), Failure> {
    let Some((dir, name)) = inside(root, path) else {
        return Ok(());
    };
    let Ok(ours) = dir.status(&name) else {
        return Ok(());
    };
    if ours.kind != Kind::Directory {
        return Ok(());
    }
    let opened = dir.open_dir(&name).map_err(failed("open", path))?;
    if !names(&opened, path)?.is_empty() || is_opaque(&dir, &name) {
        return Ok(());
    }
    for layer in lower {
        let Ok(below) = Dir::open(layer) else {
            continue;
        };
        let Some((below, name)) = inside(&below, path) else {
            continue;
        };
        let Ok(theirs) = below.status(&name) else {
            continue;
        };
        let same = theirs.kind == Kind::Directory
            && (theirs.mode, theirs.uid, theirs.gid) == (ours.mode, ours.uid, ours.gid);
        if same {
            dir.remove_dir(&name).map_err(failed("remove", path))?;
        }
        return Ok(());
    }
    Ok(())
}

fn is_opaque(dir: &Dir, name: &OsStr) -> bool {
    let key = OsStr::from_bytes(b"trusted.overlay.opaque");
    sys::xattr::get(dir, name, key).is_ok()
}
