//! Unpacks a layer on a thread of its own while its file grows.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use types::{Algorithm, Digest};

use super::unpack::{Unpacked, unpack, unpack_known};
use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::store::Store;
use crate::tail::{Head, Tail, tail};

/// A layer that is being unpacked. Dropped before it is finished, what it has unpacked goes.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Gone when all is said or the worker is given up.
    head: Option<Head>,
    thread: Option<JoinHandle<Result<Unpacked, Error>>>,
}

impl Worker {
    /// Unpacks what will be in the file at `path`. `content` is what the file will be named by,
    /// `layer` what the layer is.
    pub(crate) fn spawn(
        store: &Arc<Store>,
        path: &Path,
        content: Algorithm,
        layer: Algorithm,
    ) -> Result<Self, Error> {
        let (head, tail) = tail(path).map_err(Error::file("open", path))?;
        let store = Arc::clone(store);
        let thread = std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn(move || unpack_growing(&store, tail, content, layer))
            .map_err(Error::Thread)?;
        Ok(Self {
            head: Some(head),
            thread: Some(thread),
        })
    }

    /// So many bytes are in the file; the reason when they cannot be unpacked.
    pub(crate) fn grown(&mut self, length: u64) -> Result<(), Error> {
        match self.head.as_ref().map(|head| head.grown(length)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(match self.join() {
                Some(Err(why)) => why,
                _ => Error::Input(error),
            }),
        }
    }

    /// All bytes are in the file, and hash to this.
    pub(crate) fn whole(&mut self, digest: Digest) {
        if let Some(head) = self.head.take() {
            head.finish(digest);
        }
    }

    /// Waits for the layer, after [`Worker::whole`].
    pub(crate) fn finish(mut self) -> Result<Unpacked, Error> {
        self.join()
            .unwrap_or_else(|| Err(Error::Input(std::io::ErrorKind::BrokenPipe.into())))
    }

    fn join(&mut self) -> Option<Result<Unpacked, Error>> {
        self.head = None;
        let thread = self.thread.take()?;
        let answer = thread.join();
        Some(answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // What it unpacked is thrown away by itself.
        self.head = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Unpacks a file while it grows: as [`Worker::spawn`].
pub(crate) fn unpack_growing(
    store: &Arc<Store>,
    mut tail: Tail,
    content: Algorithm,
    layer: Algorithm,
) -> Result<Unpacked, Error> {
    let format = Format::of(tail.start(MAGIC).map_err(Error::Input)?);
    if format == Format::Plain && content == layer {
        // Whoever writes it hashes the same bytes.
        let ending = tail.ending();
        return unpack_known(store, tail, || ending.digest());
    }
    unpack(store, tail, format, layer)
}
