//! Compression on all processors: the stream is cut into members of 1 MiB, each compressed by
//! whoever is free, written in order. Members one after another are one gzip stream (RFC 1952), and
//! the bytes are the same whatever the number of processors.
//!
//! gzip and not zstd, which is faster and smaller: what is saved here is to be loaded by every
//! engine that is still in use.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use flate2::{Compression, GzBuilder};

const MEMBER: usize = 1 << 20;
/// Members that may wait for their turn to be written.
const DEPTH: usize = 8;
const MAX_WORKERS: usize = 8;
/// The level at which compressing does not take longer than unpacking and hashing beside it.
const LEVEL: u32 = 1;

/// A member to compress and where it is waited for.
struct Job {
    text: Vec<u8>,
    done: SyncSender<io::Result<Vec<u8>>>,
}

/// Takes the text; the compressed bytes go to the writer on another thread.
pub(crate) struct Encoder<'scope, W> {
    text: Vec<u8>,
    jobs: SyncSender<Job>,
    turns: SyncSender<Receiver<io::Result<Vec<u8>>>>,
    any: bool,
    writer: ScopedJoinHandle<'scope, io::Result<W>>,
}

impl<'scope, W: Write + Send + 'scope> Encoder<'scope, W> {
    pub(crate) fn new<'env>(scope: &'scope Scope<'scope, 'env>, writer: W) -> Self {
        let (jobs, queue) = sync_channel::<Job>(DEPTH);
        let queue = Arc::new(Mutex::new(queue));
        let workers = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MAX_WORKERS);
        for _ in 0..workers {
            let queue = Arc::clone(&queue);
            scope.spawn(move || work(&queue));
        }
        let (turns, waiting) = sync_channel(DEPTH);
        let writer = scope.spawn(move || write(writer, &waiting));
        Self {
            text: Vec::with_capacity(MEMBER),
            jobs,
            turns,
            any: false,
            writer,
        }
    }

    /// Writes what is left; gives the writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.text.is_empty() || !self.any {
            // A writer that gave up says why below.
            let _ = self.member();
        }
        let Self {
            jobs,
            turns,
            writer,
            ..
        } = self;
        drop((jobs, turns));
        writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn member(&mut self) -> io::Result<()> {
        self.any = true;
        let text = std::mem::replace(&mut self.text, Vec::with_capacity(MEMBER));
        let (done, turn) = sync_channel(1);
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.turns.send(turn).map_err(|_| gone())?;
        self.jobs.send(Job { text, done }).map_err(|_| gone())
    }
}

impl<'scope, W: Write + Send + 'scope> Write for Encoder<'scope, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(MEMBER - self.text.len());
        self.text.extend_from_slice(&bytes[..count]);
        if self.text.len() == MEMBER {
            self.member()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Nobody waits any more when the writer has failed.
        let _ = job.done.send(compress(&job.text));
    }
}

fn compress(text: &[u8]) -> io::Result<Vec<u8>> {
    let bytes = Vec::with_capacity(text.len() / 2);
    let mut member = GzBuilder::new().write(bytes, Compression::new(LEVEL));
    member.write_all(text)?;
    member.finish()
}

fn write<W: Write>(
    mut writer: W,
    turns: &Receiver<Receiver<io::Result<Vec<u8>>>>,
) -> io::Result<W> {
    for turn in turns {
        let member = turn
            .recv()
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        writer.write_all(&member?)?;
    }
    Ok(writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn round_trip(text: &[u8]) {
        let bytes = std::thread::scope(|scope| {
            let mut encoder = Encoder::new(scope, Vec::new());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        });
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == text);
    }

    #[test]
    fn members_are_one_stream() {
        round_trip(b"");
        round_trip(b"x");
        round_trip(&vec![7; MEMBER]);
        let text: Vec<u8> = (0..9_000_000_u32)
            .map(|i| (i.wrapping_mul(i) >> 7).to_le_bytes()[0])
            .collect();
        round_trip(&text);
    }

    #[test]
    fn a_writer_that_fails_ends_it() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = std::thread::scope(|scope| {
            let mut encoder = Encoder::new(scope, Full);
            let _ = encoder.write_all(&vec![1; 50 * MEMBER]);
            encoder.finish().err()
        });
        assert_eq!(error.unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
