//! User namespaces that nobody lives in, for translating the ids of mounts (mount_setattr(2),
//! MOUNT_ATTR_IDMAP).

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::clone::{Child, Clone3};
use crate::error::Result;
use crate::ns::Namespaces;
use crate::{fd, pidfd};

/// Makes a user namespace with these mappings, the texts of /proc/PID/uid_map and gid_map
/// (user_namespaces(7)). In a mount an id of the file system is what the first column means, and is
/// shown as what the second says.
///
/// It takes a process to have one. That one does nothing and is gone when this returns; the caller
/// must have one thread, as for [`Clone3::spawn`].
pub fn user_namespace(uids: &str, gids: &str) -> Result<OwnedFd> {
    let (gone, maker) = fd::pipe()?;
    let clone = Clone3 {
        namespaces: Namespaces::USER,
        ..Clone3::default()
    };
    let mut maker = Some(maker);
    let child = clone.spawn(|| {
        drop(maker.take());
        // Returns when the other end is closed, by intent or by the caller's death.
        fd::read_to_end(&gone, 1).map_or(1, |_| 0)
    })?;
    let namespace = map(&child, uids, gids);
    drop(maker);
    pidfd::wait(&child.pidfd)?;
    namespace
}

fn map(child: &Child, uids: &str, gids: &str) -> Result<OwnedFd> {
    for (name, text) in [("uid_map", uids), ("gid_map", gids)] {
        let file = fd::open_write(Path::new(&format!("/proc/{}/{name}", child.pid)))?;
        fd::write_once(file, text.as_bytes())?;
    }
    crate::ns::open(Path::new(&format!("/proc/{}/ns/user", child.pid)))
}
