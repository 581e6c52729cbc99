//! The host's resolvers, followed when they change.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use network::dns::host;
use sys::inotify::Changes;

/// Longer than any list of resolvers.
const LIMIT: usize = 64 * 1024;

/// The file that names the host's resolvers, and what tells that it may have changed.
#[derive(Debug, Default)]
pub(crate) struct Host {
    path: PathBuf,
    /// Of its own directory, of that of the file it leads to, and of the file: one that is mounted at its
    /// place, as in a container, is in another directory than its path says.
    watches: Vec<Changes>,
}

impl Host {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            watches: Vec::new(),
        }
    }

    /// What it says now. What is watched is found anew each time: the file may lead elsewhere.
    ///
    /// Watched first and looked at then, so that no change is missed: neither of where the file leads to
    /// nor of what it says.
    pub(crate) fn read(&mut self) -> Vec<SocketAddr> {
        let watch = |dir: Option<&Path>| {
            let dir = dir.filter(|dir| dir.is_absolute())?;
            // A directory that is not there has nothing to tell.
            Changes::of_dir(dir).ok()
        };
        let own = watch(self.path.parent());
        let target = std::fs::canonicalize(&self.path).unwrap_or_default();
        let elsewhere = target.parent() != self.path.parent();
        let other = elsewhere.then(|| watch(target.parent())).flatten();
        let itself = Changes::of_file(&self.path).ok();
        self.watches = [own, other, itself].into_iter().flatten().collect();
        let text = sys::fd::read_regular(&self.path, LIMIT).unwrap_or_default();
        host::resolvers(&String::from_utf8_lossy(&text), sys::inet::interface)
    }

    /// The descriptors that are readable when it may have changed; others after each reading.
    pub(crate) fn watches(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watches.iter().map(AsFd::as_fd)
    }
}
