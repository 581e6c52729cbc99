//! Waiting, in an async task, for a descriptor to become readable.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// An owner of a descriptor, registered with the event loop.
pub(crate) struct Readable<T: AsFd>(AsyncFd<Source<T>>);

struct Source<T>(T);

impl<T: AsFd> AsRawFd for Source<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> Readable<T> {
    /// Registers the one descriptor that `owner` owns, and lends every time it is asked.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, which this crate is not: `owner` keeps the descriptor \
                  open, and neither moves out nor changes before the registration is dropped"
    )]
    pub(crate) fn new(owner: T) -> io::Result<Self> {
        AsyncFd::with_interest(Source(owner), Interest::READABLE).map(Self)
    }

    pub(crate) fn get(&self) -> &T {
        &self.0.get_ref().0
    }

    /// Waits until it is readable, and leaves it so.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        self.0
            .readable()
            .await
            .map(|mut guard| guard.retain_ready())
    }

    /// Waits until it is readable, and takes all there is with `read`.
    pub(crate) async fn read<R>(&self, read: impl FnOnce(&T) -> R) -> io::Result<R> {
        let mut guard = self.0.readable().await?;
        let answer = read(self.get());
        guard.clear_ready_matching(Ready::READABLE);
        Ok(answer)
    }
}
