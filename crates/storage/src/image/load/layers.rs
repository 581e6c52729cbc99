//! The layers of an archive, unpacked on all processors.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek};
use std::sync::{Mutex, PoisonError};

use types::Digest;

use super::Found;
use super::archive::Archive;
use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::layer::{self, Unpacked};
use crate::stage::Stage;
use crate::store::Store;

const BUFFER: usize = 128 << 10;
const MAX_THREADS: usize = 8;

/// One layer to unpack.
struct Job<'a> {
    image: &'a Found,
    diff_id: &'a Digest,
    digest: &'a Digest,
}

/// Unpacks those that the store does not have; it keeps those it has.
pub(super) fn unpack<'s>(
    store: &'s Store,
    stage: &mut Stage<'_>,
    archive: &Archive,
    found: &[Found],
) -> Result<Vec<Unpacked<'s>>, Error> {
    let mut seen = HashSet::new();
    let mut jobs = Vec::new();
    for image in found {
        for (diff_id, digest) in &image.layers {
            if seen.insert(diff_id) && !stage.has_layer(diff_id)? {
                jobs.push(Job {
                    image,
                    diff_id,
                    digest,
                });
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MAX_THREADS).min(jobs.len());
    let jobs = Mutex::new(jobs.into_iter());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut layers = Vec::new();
        while let Some(job) = next() {
            let layer = unpack_one(store, archive, &job);
            if layer.is_err() {
                // The others finish what they are at and stop.
                while next().is_some() {}
            }
            layers.push(layer?);
        }
        Ok(layers)
    };
    let results: Vec<Result<Vec<_>, Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let mut layers = Vec::new();
    for result in results {
        layers.extend(result?);
    }
    Ok(layers)
}

fn unpack_one<'s>(
    store: &'s Store,
    archive: &Archive,
    job: &Job<'_>,
) -> Result<Unpacked<'s>, Error> {
    let what = || format!("layer {} of {}", job.digest, job.image.what);
    let blob = archive
        .blob(job.digest)
        .ok_or_else(|| Error::Missing(what()))?;
    let mut file = blob.open()?;
    let mut start = Vec::with_capacity(MAGIC);
    file.by_ref()
        .take(MAGIC as u64)
        .read_to_end(&mut start)
        .map_err(Error::Input)?;
    file.rewind().map_err(Error::Input)?;
    let layer = layer::unpack(
        store,
        BufReader::with_capacity(BUFFER, file),
        Format::of(&start),
    )
    .map_err(|source| Error::Layer {
        what: what(),
        source: Box::new(source),
    })?;
    if layer.diff_id == *job.diff_id {
        return Ok(layer);
    }
    let problem = format!(
        "unpacks to {}, where the configuration has {}",
        layer.diff_id, job.diff_id
    );
    Err(Error::image(what(), problem))
}
