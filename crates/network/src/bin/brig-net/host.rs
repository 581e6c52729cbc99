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
    /// Of its own directory, and of that of the file it leads to.
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
    /// Watched first and read then, so that no change is missed.
    pub(crate) fn read(&mut self) -> Vec<SocketAddr> {
        let target = std::fs::canonicalize(&self.path).unwrap_or_default();
        let dirs = [self.path.parent(), target.parent()].into_iter().flatten();
        let mut dirs: Vec<_> = dirs.filter(|dir| dir.is_absolute()).collect();
        dirs.dedup();
        let watches = dirs.into_iter().map(Changes::of_dir);
        // A directory that is not there has nothing to tell.
        self.watches = watches.filter_map(Result::ok).collect();
        let text = sys::fd::read_regular(&self.path, LIMIT).unwrap_or_default();
        host::resolvers(&String::from_utf8_lossy(&text), sys::inet::interface)
    }

    /// The descriptors that are readable when it may have changed; others after each reading.
    pub(crate) fn watches(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watches.iter().map(AsFd::as_fd)
    }
}
