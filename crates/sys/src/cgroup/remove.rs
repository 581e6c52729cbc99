//! Removing a cgroup.

use std::fs;
use std::io;
use std::path::Path;

use super::kill::Patience;
use super::{Cgroup, Error, Layout, all_dirs, read, relative};

impl Cgroup {
    /// Removes it and every cgroup that was made inside. A process that has just been reaped may
    /// count for a moment still, so a refusal for being busy is tried again for a while.
    pub fn remove(&self) -> Result<(), Error> {
        let mut first = Ok(());
        let mut patience = Patience::new();
        for dir in &self.dirs {
            let removed = remove_tree(&dir.path, &mut patience);
            if first.is_ok() {
                first = removed;
            }
        }
        first
    }
}

fn remove_tree(dir: &Path, patience: &mut Patience) -> Result<(), Error> {
    loop {
        match try_remove_tree(dir) {
            Err(Error::File { source, .. })
                if source.raw_os_error() == Some(libc::EBUSY) && patience.wait() => {}
            other => return other,
        }
    }
}

fn try_remove_tree(dir: &Path) -> Result<(), Error> {
    // Most have nothing inside: try before looking.
    if rmdir(dir).is_ok() {
        return Ok(());
    }
    let tree = read::tree(dir)?;
    tree.iter().rev().try_for_each(|d| rmdir(d))
}

fn rmdir(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir(dir) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::File {
            action: "remove cgroup",
            path: dir.to_owned(),
            source,
        }),
    }
}

/// Removes a cgroup that has no processes and no children, as the parent of all containers has
/// when the last is gone. One that is in use or not there is left alone.
pub fn remove_if_empty(layout: &Layout, path: &str) -> Result<(), Error> {
    for dir in all_dirs(layout, &relative(path)?) {
        match fs::remove_dir(&dir.path) {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EBUSY)) => {}
            Err(source) => {
                return Err(Error::File {
                    action: "remove cgroup",
                    path: dir.path,
                    source,
                });
            }
        }
    }
    Ok(())
}
