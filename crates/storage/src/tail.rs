//! A file that is read while it grows: one thread writes and hashes, another unpacks what is there
//! already. Whoever writes never waits for whoever reads, so that several layers of one stream are
//! unpacked at once, and what waits lies in the file and not in memory.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use types::Digest;

const BUFFER: usize = 128 << 10;

/// Both ends: of a file that has nothing yet, and is read at `path`.
pub(crate) fn tail(path: &Path) -> io::Result<(Head, Tail)> {
    let shared = Arc::new(Shared::default());
    let tail = Tail {
        file: File::open(path)?,
        offset: 0,
        buffer: Vec::new(),
        read: 0,
        filled: 0,
        shared: Arc::clone(&shared),
    };
    Ok((Head { shared }, tail))
}

/// How far the file is.
#[derive(Debug, Default)]
struct State {
    length: u64,
    end: Option<End>,
    /// Whether nobody reads it any more.
    unread: bool,
}

#[derive(Debug)]
enum End {
    /// What all of it hashes to.
    Whole(Digest),
    GivenUp,
}

#[derive(Debug, Default)]
struct Shared {
    /// A std mutex, held for a few instructions.
    state: Mutex<State>,
    grown: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says how far the file is. The stream ends well only with [`Head::finish`]; dropped before, the
/// reader gets an error, never a short stream.
#[derive(Debug)]
pub(crate) struct Head {
    shared: Arc<Shared>,
}

impl Head {
    /// So many bytes are there; an error when nobody reads them any more.
    pub(crate) fn grown(&self, length: u64) -> io::Result<()> {
        let mut state = self.shared.state();
        state.length = length;
        if state.unread {
            return Err(gone());
        }
        self.shared.grown.notify_one();
        Ok(())
    }

    /// No more bytes come; this is what all of them hash to.
    pub(crate) fn finish(self, digest: Digest) {
        self.shared.state().end = Some(End::Whole(digest));
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.shared.state().end.get_or_insert(End::GivenUp);
        self.shared.grown.notify_one();
    }
}

/// Reads the file to its end, and waits where there is more to come.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    offset: u64,
    buffer: Vec<u8>,
    read: usize,
    filled: usize,
    shared: Arc<Shared>,
}

impl Tail {
    /// What will be known in the end.
    pub(crate) fn ending(&self) -> Ending {
        Ending {
            shared: Arc::clone(&self.shared),
        }
    }

    /// What it begins with, which is not read by that: so many bytes, fewer only of a file that has no
    /// more.
    pub(crate) fn start(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.filled == 0 {
            self.wait(count as u64)?;
        }
        self.fill_buf()
    }

    /// Waits for this many bytes after the offset; so many are there, fewer only at the end.
    fn wait(&self, least: u64) -> io::Result<u64> {
        let mut state = self.shared.state();
        loop {
            let there = state.length - self.offset;
            match state.end {
                _ if there >= least => return Ok(there),
                Some(End::Whole(_)) => return Ok(there),
                Some(End::GivenUp) => return Err(gone()),
                None => {}
            }
            let woken = self.shared.grown.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What is known of a file in the end.
#[derive(Debug)]
pub(crate) struct Ending {
    shared: Arc<Shared>,
}

impl Ending {
    /// Waits for the end: what the whole file hashes to; nothing when it was given up.
    pub(crate) fn digest(&self) -> Option<Digest> {
        let mut state = self.shared.state();
        loop {
            match &state.end {
                Some(End::Whole(digest)) => return Some(digest.clone()),
                Some(End::GivenUp) => return None,
                None => {}
            }
            let woken = self.shared.grown.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl BufRead for Tail {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.filled {
            // Many may wait to be read.
            self.buffer.resize(BUFFER, 0);
            let there = usize::try_from(self.wait(1)?).unwrap_or(BUFFER).min(BUFFER);
            self.file
                .read_exact_at(&mut self.buffer[..there], self.offset)?;
            self.offset += there as u64;
            (self.read, self.filled) = (0, there);
        }
        Ok(&self.buffer[self.read..self.filled])
    }

    fn consume(&mut self, count: usize) {
        self.read = (self.read + count).min(self.filled);
    }
}

impl Read for Tail {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let count = buffer.len().min(into.len());
        into[..count].copy_from_slice(&buffer[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.shared.state().unread = true;
    }
}

/// The other end gave up; it knows why.
fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the other side of the stream gave up",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn begin() -> (tempfile::NamedTempFile, Head, Tail) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (head, tail) = tail(file.path()).unwrap();
        (file, head, tail)
    }

    #[test]
    fn bytes_arrive_whole_or_with_an_error() {
        let (mut file, head, mut tail) = begin();
        let ending = tail.ending();
        let text: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            tail.read_to_end(&mut got).unwrap();
            (got, ending.digest())
        });
        let mut length = 0;
        for piece in text.chunks(70_001) {
            file.write_all(piece).unwrap();
            length += piece.len() as u64;
            head.grown(length).unwrap();
        }
        let digest = Digest::sha256([7; 32]);
        head.finish(digest.clone());
        assert_eq!(reader.join().unwrap(), (text, Some(digest)));
    }

    #[test]
    fn the_start_is_waited_for() {
        let (mut file, head, mut tail) = begin();
        let reader = std::thread::spawn(move || {
            let start = tail.start(4).unwrap().to_vec();
            let mut all = Vec::new();
            tail.read_to_end(&mut all).unwrap();
            (start, all)
        });
        for (length, byte) in (1..).zip(b"begun") {
            file.write_all(&[*byte]).unwrap();
            head.grown(length).unwrap();
        }
        head.finish(Digest::sha256([7; 32]));
        let (start, all) = reader.join().unwrap();
        assert!(start.len() >= 4, "{start:?}");
        assert_eq!(all, b"begun");
        // One that is shorter has no more.
        let (mut file, head, mut tail) = begin();
        file.write_all(b"b").unwrap();
        head.grown(1).unwrap();
        head.finish(Digest::sha256([7; 32]));
        assert_eq!(tail.start(4).unwrap(), b"b");
    }

    #[test]
    fn each_side_hears_that_the_other_gave_up() {
        let (mut file, head, mut tail) = begin();
        file.write_all(b"half").unwrap();
        head.grown(4).unwrap();
        let ending = tail.ending();
        drop(head);
        let mut got = Vec::new();
        let error = tail.read_to_end(&mut got).unwrap_err();
        assert_eq!(
            (got.as_slice(), error.kind(), ending.digest()),
            (b"half".as_slice(), io::ErrorKind::BrokenPipe, None)
        );

        let (_file, head, tail) = begin();
        drop(tail);
        let error = head.grown(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
