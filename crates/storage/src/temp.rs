//! Files that are being written: in `tmp/`, hashed on the way, gone unless they are kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use types::{Algorithm, Digest};

use crate::error::Error;
use crate::hash::Hasher;

/// Bytes after which the kernel is told to begin writing.
const EARLY: u64 = 4 << 20;

/// Has the kernel write what a file has grown by: the disk works while more comes in, and who waits
/// for it in the end waits for little.
pub(crate) fn write_early(file: &File, writing: &mut u64, length: u64) {
    if length >= *writing + EARLY {
        // What is not written now is written later.
        let _ = sys::disk::start_writing(file, *writing, length - *writing);
        *writing = length;
    }
}

/// A new file with a hash over what was written to it.
#[derive(Debug)]
pub(crate) struct Ingest {
    path: TempPath,
    file: File,
    hash: Hasher,
    size: u64,
}

/// A finished file, not yet in the content store.
#[derive(Debug)]
pub(crate) struct Blob {
    path: TempPath,
    /// What its bytes hash to.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
}

/// Removes the file when dropped.
#[derive(Debug)]
struct TempPath(PathBuf);

impl Drop for TempPath {
    fn drop(&mut self) {
        // It may have been moved to its place; what stays is removed at the next open.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Ingest {
    pub(crate) fn create(path: PathBuf, algorithm: Algorithm) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("create", &path))?;
        Ok(Self {
            path: TempPath(path),
            file,
            hash: Hasher::new(algorithm),
            size: 0,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path.0
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Has the kernel write what has come since `writing`.
    pub(crate) fn write_early(&self, writing: &mut u64) {
        write_early(&self.file, writing, self.size);
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes)
            .map_err(Error::file("write", &self.path.0))
    }

    /// No more bytes.
    pub(crate) fn finish(self) -> Blob {
        Blob {
            path: self.path,
            digest: self.hash.finish(),
            size: self.size,
        }
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Blob {
    /// A file that came some other way, hashed.
    pub(crate) fn received(path: PathBuf, digest: Digest, size: u64) -> Self {
        Self {
            path: TempPath(path),
            digest,
            size,
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path.0
    }

    /// Opens it for reading from its start.
    pub(crate) fn open(&self) -> Result<File, Error> {
        let mut file = File::open(&self.path.0).map_err(Error::file("open", &self.path.0))?;
        file.rewind().map_err(Error::file("read", &self.path.0))?;
        Ok(file)
    }

    /// Moves it to its place.
    pub(crate) fn move_to(&self, place: &Path) -> Result<(), Error> {
        std::fs::rename(&self.path.0, place).map_err(Error::file("write", place))
    }
}

/// A reader or writer that hashes what passes.
#[derive(Debug)]
pub(crate) struct Hashed<T> {
    inner: T,
    hash: Hasher,
    size: u64,
}

impl<T> Hashed<T> {
    pub(crate) fn new(inner: T, algorithm: Algorithm) -> Self {
        Self {
            inner,
            hash: Hasher::new(algorithm),
            size: 0,
        }
    }

    /// The digest of the bytes that passed so far.
    pub(crate) fn digest(&self) -> Digest {
        self.hash.clone().finish()
    }

    /// The digest and number of the bytes that passed.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hash.finish(), self.size)
    }
}

impl<R: io::BufRead> io::BufRead for Hashed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // The buffer is filled: whoever consumes has seen it.
        if let Ok(buffer) = self.inner.fill_buf() {
            self.hash.update(&buffer[..count]);
        }
        self.size += count as u64;
        self.inner.consume(count);
    }
}

impl<R: io::BufRead> io::Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use io::BufRead as _;
        let buffer = self.fill_buf()?;
        let count = buffer.len().min(into.len());
        into[..count].copy_from_slice(&buffer[..count]);
        self.consume(count);
        Ok(count)
    }
}
