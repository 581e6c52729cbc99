//! Layers that are here as files, unpacked on all processors.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use types::Digest;

use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::layer::{self, Unpacked};
use crate::store::Store;

const BUFFER: usize = 128 << 10;
const MAX_THREADS: usize = 8;

/// One layer to unpack.
#[derive(Debug)]
pub(crate) struct Job {
    /// As errors call it.
    pub what: String,
    /// What it has to unpack to.
    pub diff_id: Digest,
    /// Where it is, compressed or not.
    pub file: PathBuf,
}

/// Unpacks all of them, or none.
pub(crate) fn unpack(store: &Arc<Store>, jobs: Vec<Job>) -> Result<Vec<Unpacked>, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MAX_THREADS).min(jobs.len());
    let jobs = Mutex::new(jobs.into_iter());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut layers = Vec::new();
        while let Some(job) = next() {
            let layer = unpack_one(store, &job);
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

fn unpack_one(store: &Arc<Store>, job: &Job) -> Result<Unpacked, Error> {
    let mut file = File::open(&job.file).map_err(Error::file("open", &job.file))?;
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
        job.diff_id.algorithm(),
    )
    .map_err(|source| Error::Layer {
        what: job.what.clone(),
        source: Box::new(source),
    })?;
    if layer.diff_id == job.diff_id {
        return Ok(layer);
    }
    let problem = format!(
        "unpacks to {}, where the configuration has {}",
        layer.diff_id, job.diff_id
    );
    Err(Error::image(&job.what, problem))
}
