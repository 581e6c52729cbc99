//! Files of an archive that look like layers, unpacked while they arrive: on as many threads as there
//! are processors, each at one file until its end. What finds no thread waits and is no worse for it:
//! its bytes lie in its file.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use types::{Algorithm, Digest};

use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::layer::{self, Unpacked};
use crate::store::Store;
use crate::tail::{Head, Tail, tail};

const MAX_THREADS: usize = 8;
/// Files that may wait, each with an open descriptor; what comes then is unpacked in the end.
const MAX_WAITING: usize = 64;
/// The least an archive has: one header and its end.
const MIN_ARCHIVE: u64 = 1024;
const BLOCK: u64 = 512;

/// The threads, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Unpacking {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<(Digest, Unpacked)>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// A std mutex, held for a few instructions.
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Each with what it will be named by.
    files: VecDeque<(Tail, Algorithm)>,
    /// Whether no more files come.
    closed: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next file; none when no more come.
    fn next(&self) -> Option<(Tail, Algorithm)> {
        let mut queue = self.queue();
        loop {
            if let Some(file) = queue.files.pop_front() {
                return Some(file);
            }
            if queue.closed {
                return None;
            }
            let woken = self.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Unpacking {
    /// Unpacks what will be in the file at `path`, if there is room for it.
    pub(super) fn begin(
        &mut self,
        store: &Arc<Store>,
        path: &Path,
        algorithm: Algorithm,
    ) -> Result<Option<Head>, Error> {
        if self.shared.queue().files.len() >= MAX_WAITING {
            return Ok(None);
        }
        let (head, file) = tail(path).map_err(Error::file("open", path))?;
        self.shared.queue().files.push_back((file, algorithm));
        self.shared.changed.notify_one();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        if self.threads.len() < processors.min(MAX_THREADS) {
            let (store, shared) = (Arc::clone(store), Arc::clone(&self.shared));
            let thread = std::thread::Builder::new()
                .name("unpack".to_owned())
                .spawn(move || work(&store, &shared))
                .map_err(Error::Thread)?;
            self.threads.push(thread);
        }
        Ok(Some(head))
    }

    /// Waits for all; layers by the content that they came as.
    pub(super) fn finish(&mut self) -> HashMap<Digest, Unpacked> {
        self.shared.queue().closed = true;
        self.join()
    }

    fn join(&mut self) -> HashMap<Digest, Unpacked> {
        self.shared.changed.notify_all();
        let join = |thread: JoinHandle<_>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        self.threads.drain(..).flat_map(join).collect()
    }
}

impl Drop for Unpacking {
    /// What waits is given up; what was unpacked goes by itself.
    fn drop(&mut self) {
        {
            let mut queue = self.shared.queue();
            queue.files.clear();
            queue.closed = true;
        }
        self.join();
    }
}

fn work(store: &Arc<Store>, shared: &Shared) -> Vec<(Digest, Unpacked)> {
    let mut layers = Vec::new();
    while let Some((file, content)) = shared.next() {
        let ending = file.ending();
        // A file that fails is tried again if it turns out to be a layer.
        if let Ok(layer) = layer::unpack_growing(store, file, content, Algorithm::Sha256)
            && let Some(digest) = ending.digest()
        {
            layers.push((digest, layer));
        }
    }
    layers
}

/// Whether a file of so many bytes that begins so may be a layer: compressed as layers are, or a
/// plain archive, which consists of whole blocks. Documents are JSON.
pub(super) fn looks_like_layer(start: &[u8], size: u64) -> bool {
    match Format::of(start) {
        // As little as this of it is here yet: whoever unpacks waits for more.
        _ if start.len() < MAGIC && matches!(start, [0x1f | 0x28 | 0x50..=0x5f, ..]) => true,
        Format::Gzip | Format::Zstd => true,
        Format::Plain => {
            let json = start.first().is_none_or(|byte| b"{[".contains(byte));
            size >= MIN_ARCHIVE && size.is_multiple_of(BLOCK) && !json
        }
        Format::Xz | Format::Bzip2 => false,
    }
}

/// Whether a file's name says that it is a layer which is here: by the digest of its content, as in
/// layouts, or by that of the layer, as some call the files of a docker-archive. Only a hint.
pub(super) fn is_here(store: &Store, path: &str) -> Result<bool, Error> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".tar").unwrap_or(name);
    let parse = |algorithm| format!("{algorithm}:{name}").parse::<Digest>().ok();
    let Some(digest) = parse("sha256").or_else(|| parse("sha512")) else {
        return Ok(false);
    };
    let sql = "SELECT 1 FROM layers WHERE damaged = 0 AND
        (diff_id = ?1 OR diff_id = (SELECT diff_id FROM content WHERE digest = ?1))";
    store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        Ok(query.exists([digest.to_string()])?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_not_taken_for_layers() {
        let mut tar = vec![0; 512];
        tar[..4].copy_from_slice(b"etc/");
        for (start, size, expected) in [
            (&[0x1f, 0x8b, 8, 0][..], 30, true),
            (&[0x28, 0xb5, 0x2f, 0xfd], 30, true),
            (&[0x1f], 30, true),
            (&[0x28, 0xb5], 30, true),
            (&tar, 1024, true),
            (&tar, 512, false),
            (&tar, 1025, false),
            (b"{\"schemaVersion\":2", 1024, false),
            (b"[{\"Config\":", 1024, false),
            (b"", 0, false),
            (b"BZh9", 4096, false),
        ] {
            assert_eq!(looks_like_layer(start, size), expected, "{start:?} {size}");
        }
    }
}
