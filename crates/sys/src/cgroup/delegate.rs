//! Handing a cgroup over to a user, who may then manage what is below it.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD};

use super::layout::is_missing;
use super::{Cgroup, Error, read};

impl Cgroup {
    /// Gives the version 2 directory, and the files in it that the kernel says may be handed over
    /// (`/sys/kernel/cgroup/delegate`, cgroups(7)), to a user. Without version 2 nothing is done:
    /// version 1 is not safe to hand over.
    pub fn give_to(&self, uid: u32) -> Result<(), Error> {
        let Some(dir) = self.v2() else { return Ok(()) };
        give(&dir.path, uid)?;
        for name in delegated_files().lines() {
            match give(&dir.path.join(name), uid) {
                Err(Error::File { source, .. }) if is_missing(&source) => {}
                given => given?,
            }
        }
        Ok(())
    }
}

/// Kernels before 4.15 have no list, and these three.
fn delegated_files() -> String {
    let list = read::text(Path::new("/sys/kernel/cgroup/delegate"));
    list.unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n".to_owned())
}

fn give(path: &Path, uid: u32) -> Result<(), Error> {
    let failed = |source| Error::File {
        action: "give away",
        path: path.to_owned(),
        source,
    };
    let owner = crate::fd::uid(uid).map_err(|error| failed(io::Error::from(error)))?;
    rustix::fs::chownat(CWD, path, Some(owner), None, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| failed(io::Error::from(errno)))
}
