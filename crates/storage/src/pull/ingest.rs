//! One layer on its way in: hashed and written by whoever brings it, decompressed and unpacked by
//! threads of its own meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use types::{Algorithm, Digest};

use super::Shared;
use super::partial::Claim;
use crate::Descriptor;
use crate::error::Error;
use crate::hash::Hasher;
use crate::layer::{Unpacked, Worker, gave_up};
use crate::temp::{Blob, write_early};

const CHUNK: usize = 128 << 10;

/// A layer on its way in. Dropped before it is finished, what was received stays for whoever opens
/// it next.
#[derive(Debug)]
pub struct Ingest {
    shared: Arc<Shared>,
    descriptor: Descriptor,
    path: PathBuf,
    file: File,
    hash: Hasher,
    offset: u64,
    /// How much of it the kernel was told to write.
    writing: u64,
    worker: Option<Worker>,
    /// What the layer has to hash to, when that is known.
    diff_id: Option<Digest>,
    /// Whether what was received is worth nothing.
    worthless: bool,
    /// Last, so that it is given up after everything else.
    _claim: Claim,
}

impl Ingest {
    /// Takes up what is there. `unpack` says whether the content is a layer to be unpacked, and to
    /// what if that is known.
    pub(super) fn open(
        shared: &Arc<Shared>,
        descriptor: &Descriptor,
        claim: Claim,
        unpack: Option<Option<Digest>>,
    ) -> Result<Self, Error> {
        let store = &shared.store;
        let path = store.paths.partial(&descriptor.digest);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        let content = descriptor.digest.algorithm();
        let worker = match &unpack {
            Some(diff_id) => {
                // One that is named otherwise is unpacked once more when that is known.
                let layer = diff_id
                    .as_ref()
                    .map_or(Algorithm::Sha256, Digest::algorithm);
                Some(Worker::spawn(store, &path, content, layer)?)
            }
            None => None,
        };
        let mut ingest = Self {
            shared: Arc::clone(shared),
            descriptor: descriptor.clone(),
            path,
            file,
            hash: Hasher::new(content),
            offset: 0,
            writing: 0,
            worker,
            diff_id: unpack.flatten(),
            worthless: false,
            _claim: claim,
        };
        ingest.take_up()?;
        Ok(ingest)
    }

    /// Bytes that are here: the next to bring is the one after them.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When there are more than the descriptor says, when they cannot be unpacked, and when the disk
    /// is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let size = self.offset + bytes.len() as u64;
        if size > self.descriptor.size {
            self.worthless = true;
            return Err(self.wrong_size(size));
        }
        if let Err(error) = self.file.write_all(bytes) {
            // A disk that is full is not to stay so because of what nobody may come back for.
            self.worthless = error.kind() == ErrorKind::StorageFull;
            return Err(Error::file("write", &self.path)(error));
        }
        write_early(&self.file, &mut self.writing, self.offset);
        self.pass_on(bytes)
    }

    /// All bytes are here: waits for the unpacker.
    ///
    /// # Errors
    /// When bytes are missing (those that are here stay), when they are not those that the digest
    /// names or not the layer that the configuration says, and when the disk is full.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.offset != self.descriptor.size {
            return Err(self.wrong_size(self.offset));
        }
        let found = self.hash.clone().finish();
        if found != self.descriptor.digest {
            self.worthless = true;
            let what = self.what();
            return Err(Error::Damaged { what, found });
        }
        let layer = self.unpacked(&found)?;
        if let (Some(layer), Some(expected)) = (&layer, &self.diff_id)
            && layer.diff_id != *expected
        {
            self.worthless = true;
            let problem = format!(
                "unpacks to {}, where the configuration has {expected}",
                layer.diff_id
            );
            return Err(Error::image(self.what(), problem));
        }
        let blob = Blob::received(self.path.clone(), found, self.offset);
        let mut stage = self.shared.stage();
        let diff_id = layer.as_ref().map(|layer| layer.diff_id.clone());
        stage.add_content(&blob, &self.descriptor.media_type, diff_id.as_ref())?;
        layer.map_or(Ok(()), |layer| stage.add_layer(layer))
    }

    /// Hashes and unpacks what a pull before has received.
    fn take_up(&mut self) -> Result<(), Error> {
        let failed = || Error::file("read", &self.path);
        let length = self.file.metadata().map_err(failed())?.len();
        if length > self.descriptor.size {
            // Named as something else it was, or not by this program.
            self.file.set_len(0).map_err(failed())?;
            return Ok(());
        }
        let mut chunk = vec![0; CHUNK];
        let mut file = self.file.try_clone().map_err(failed())?;
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                answer => answer.map_err(Error::file("read", &self.path))?,
            };
            self.pass_on(&chunk[..count])?;
        }
    }

    fn pass_on(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.offset += bytes.len() as u64;
        let answer = match &mut self.worker {
            Some(worker) => worker.grown(self.offset),
            None => Ok(()),
        };
        answer.map_err(|error| self.not_unpacked(error))
    }

    /// Waits for the layer, if it is unpacked; all of it is there and hashes to `digest`.
    fn unpacked(&mut self, digest: &Digest) -> Result<Option<Unpacked>, Error> {
        let Some(mut worker) = self.worker.take() else {
            return Ok(None);
        };
        worker.whole(digest.clone());
        let layer = worker.finish().map_err(|error| self.not_unpacked(error))?;
        Ok(Some(layer))
    }

    fn not_unpacked(&mut self, why: Error) -> Error {
        self.worthless = !gave_up(&why);
        Error::Layer {
            what: self.what(),
            source: Box::new(why),
        }
    }

    fn what(&self) -> String {
        format!("layer {}", self.descriptor.digest)
    }

    fn wrong_size(&self, found: u64) -> Error {
        Error::WrongSize {
            what: self.what(),
            found,
            expected: self.descriptor.size,
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // What was unpacked so far is thrown away by itself, before the file goes.
        self.worker = None;
        if self.worthless {
            // What stays is found to be wrong by whoever takes it up.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
