//! The files of an archive, taken in and hashed; what looks like a layer is unpacked meanwhile.
//!
//! Whether it is one is only known when the last document is here, which archives have at their end
//! as often as not. What was unpacked and is none goes again; what could not be unpacked is tried
//! again as what it is, which gives the reason its name.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use types::{Algorithm, Digest};

use super::unpacking::{Unpacking, is_here, looks_like_layer};
use crate::compress::{Format, MAGIC};
use crate::error::{Error, Malformed};
use crate::image::documents::{MAX_DOCUMENT, parse};
use crate::layer::{Unpacked, clean};
use crate::store::Store;
use crate::tar::{Entry, Kind, Reader};
use crate::temp::Blob;

/// An old archive of the most layers has three files a layer; an honest one of many images is still
/// far below.
const MAX_ENTRIES: usize = 50_000;
/// Bytes of all documents of one archive together, as often as they are read: what is read is kept
/// until the load is over, for every image. An honest one has a few kilobytes an image.
const MAX_DOCUMENTS: u64 = 64 << 20;
/// Links that lead to links.
const MAX_LINKS: usize = 8;
const BUFFER: usize = 64 << 10;

/// All files, by name and by content.
#[derive(Debug, Default)]
pub(super) struct Archive {
    files: HashMap<String, Digest>,
    links: HashMap<String, String>,
    blobs: HashMap<Digest, Blob>,
    unpacking: Unpacking,
    /// Bytes of documents read so far.
    read: AtomicU64,
}

impl Archive {
    /// Reads a stream to its end.
    pub(super) fn receive(store: &Arc<Store>, stream: &mut dyn Read) -> Result<Self, Error> {
        let mut start = Vec::with_capacity(MAGIC);
        stream
            .take(MAGIC as u64)
            .read_to_end(&mut start)
            .map_err(Error::Input)?;
        let format = Format::of(&start);
        let stream = BufReader::with_capacity(BUFFER, start.as_slice().chain(stream));
        let mut reader = Reader::new(format.decoder(stream)?);
        let mut archive = Self::default();
        let mut entries = 0;
        while let Some(entry) = reader.next()? {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(reader.broken(Malformed::TooMany(MAX_ENTRIES)));
            }
            archive.entry(store, &entry, &mut reader)?;
        }
        reader.drain()?;
        if reader.offset() == 0 {
            return Err(reader.broken(Malformed::Empty));
        }
        Ok(archive)
    }

    fn entry<R: BufRead>(
        &mut self,
        store: &Arc<Store>,
        entry: &Entry,
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        let path = clean(&entry.path).map_err(|m| reader.broken(m))?;
        let path = String::from_utf8_lossy(&path).into_owned();
        match entry.kind {
            Kind::File => {
                let blob = self.file(store, &path, reader)?;
                check_name(&path, &blob)?;
                self.files.insert(path, blob.digest.clone());
                self.blobs.entry(blob.digest.clone()).or_insert(blob);
            }
            Kind::Symlink => {
                let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                let target = [dir.as_bytes(), b"/", &entry.link].concat();
                self.link(path, &target);
            }
            Kind::HardLink => self.link(path, &entry.link),
            _ => {}
        }
        Ok(())
    }

    /// Takes one file in.
    fn file<R: BufRead>(
        &mut self,
        store: &Arc<Store>,
        path: &str,
        reader: &mut Reader<R>,
    ) -> Result<Blob, Error> {
        let named = named_digest(path);
        let algorithm = named.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let mut ingest = store.ingest_as(algorithm)?;
        let size = reader.left();
        let mut head = match looks_like_layer(reader.data()?, size) && !is_here(store, path)? {
            true => self.unpacking.begin(store, ingest.path(), algorithm)?,
            false => None,
        };
        let mut writing = 0;
        loop {
            let bytes = reader.data()?;
            let count = bytes.len();
            if count == 0 {
                break;
            }
            ingest.push(bytes)?;
            reader.consume(count);
            ingest.write_early(&mut writing);
            // Why it cannot be unpacked is told when it is known to be a layer.
            head = head.filter(|head| head.grown(ingest.size()).is_ok());
        }
        let blob = ingest.finish();
        if let Some(head) = head {
            head.finish(blob.digest.clone());
        }
        Ok(blob)
    }

    /// Links are names of other files of the archive and nothing else.
    fn link(&mut self, path: String, target: &[u8]) {
        if let Ok(target) = clean(target) {
            self.links
                .insert(path, String::from_utf8_lossy(&target).into_owned());
        }
    }

    /// What the file of this name holds.
    pub(super) fn path(&self, path: &str) -> Option<&Digest> {
        let cleaned = clean(path.as_bytes()).ok()?;
        let mut path = std::str::from_utf8(&cleaned).ok()?;
        for _ in 0..MAX_LINKS {
            match (self.files.get(path), self.links.get(path)) {
                (Some(digest), _) => return Some(digest),
                (None, Some(target)) => path = target,
                (None, None) => return None,
            }
        }
        None
    }

    /// The layers that were unpacked on the way.
    pub(super) fn unpacked(&mut self) -> HashMap<Digest, Unpacked> {
        self.unpacking.finish()
    }

    /// The file with this content.
    pub(super) fn blob(&self, digest: &Digest) -> Option<&Blob> {
        self.blobs.get(digest)
    }

    /// Adds a file that was made here.
    pub(super) fn add(&mut self, blob: Blob) {
        self.blobs.entry(blob.digest.clone()).or_insert(blob);
    }

    /// The bytes of a document.
    pub(super) fn text(&self, what: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let blob = self
            .blob(digest)
            .ok_or_else(|| Error::Missing(what.to_owned()))?;
        if blob.size > MAX_DOCUMENT {
            let problem = format!("has {} bytes: the most is {MAX_DOCUMENT}", blob.size);
            return Err(Error::image(what, problem));
        }
        self.count(blob.size)?;
        let mut text = Vec::new();
        blob.open()?.read_to_end(&mut text).map_err(Error::Input)?;
        Ok(text)
    }

    /// Counts a document of this size in.
    fn count(&self, size: u64) -> Result<(), Error> {
        let all = self.read.fetch_add(size, Ordering::Relaxed);
        if all.saturating_add(size) > MAX_DOCUMENTS {
            let problem = format!(
                "has manifests and configurations of more than {MAX_DOCUMENTS} bytes together: \
                 that is the most for one load"
            );
            return Err(Error::image("the archive", problem));
        }
        Ok(())
    }

    /// The document of this name.
    pub(super) fn named<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, Error> {
        let Some(digest) = self.path(path) else {
            return Ok(None);
        };
        parse(path, &self.text(path, digest)?).map(Some)
    }
}

/// What a file of a layout says by its name that it hashes to.
fn named_digest(path: &str) -> Option<Digest> {
    let (algorithm, digits) = path.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{digits}").parse().ok()
}

/// A file of a layout is called by what it hashes to.
fn check_name(path: &str, blob: &Blob) -> Result<(), Error> {
    match path.strip_prefix("blobs/sha256/") {
        Some(name) if name != blob.digest.hex() => Err(Error::Damaged {
            what: format!("blob sha256:{name}"),
            found: blob.digest.clone(),
        }),
        _ => match named_digest(path) {
            Some(named) if named != blob.digest => Err(Error::Damaged {
                what: format!("blob {named}"),
                found: blob.digest.clone(),
            }),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_bounded_together() {
        let archive = Archive::default();
        for _ in 0..MAX_DOCUMENTS / MAX_DOCUMENT {
            archive.count(MAX_DOCUMENT).unwrap();
        }
        archive.count(0).unwrap();
        assert_eq!(
            archive.count(1).unwrap_err().to_string(),
            "the archive has manifests and configurations of more than 67108864 bytes together: \
             that is the most for one load"
        );
    }
}
