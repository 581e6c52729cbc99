//! A bounded stream of bytes between two threads: one reads and hashes while the other unpacks.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Below malloc's threshold for mapping, so that chunks are reused and not faulted in anew.
const CHUNK: usize = 64 << 10;
/// Chunks that may wait: enough to even out a burst, little enough to hold in memory.
const DEPTH: usize = 32;

/// Both ends.
pub(crate) fn pipe() -> (Sender, Receive) {
    let (sender, receiver) = sync_channel(DEPTH);
    (
        Sender {
            chunk: Vec::with_capacity(CHUNK),
            sender,
        },
        Receive {
            chunk: Vec::new(),
            read: 0,
            end: None,
            receiver,
        },
    )
}

#[derive(Debug)]
enum Message {
    Chunk(Vec<u8>),
    End(End),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    CutShort,
}

/// The end to write to. The stream ends well only with [`Sender::finish`]; dropped before, the reader
/// gets an error, never a short stream.
#[derive(Debug)]
pub(crate) struct Sender {
    chunk: Vec<u8>,
    sender: SyncSender<Message>,
}

impl Sender {
    /// Adds what one read of `from` gives, without a copy; 0 at its end.
    pub(crate) fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        let filled = self.chunk.len();
        self.chunk.resize(CHUNK, 0);
        let answer = from.read(&mut self.chunk[filled..]);
        let count = answer.as_ref().map_or(0, |count| *count);
        self.chunk.truncate(filled + count);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        answer
    }

    /// Ends the stream.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.end(End::Whole)
    }

    /// Ends the stream where its source ended too early, which the reader is told there.
    pub(crate) fn cut_short(self) -> io::Result<()> {
        self.end(End::CutShort)
    }

    fn end(mut self, end: End) -> io::Result<()> {
        self.flush()?;
        self.sender.send(Message::End(end)).map_err(|_| gone())
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.sender.send(Message::Chunk(chunk)).map_err(|_| gone())
    }
}

/// The end to read from.
#[derive(Debug)]
pub(crate) struct Receive {
    chunk: Vec<u8>,
    read: usize,
    end: Option<End>,
    receiver: Receiver<Message>,
}

impl BufRead for Receive {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.chunk.len() {
            match self.end {
                Some(End::Whole) => break,
                Some(End::CutShort) => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
            match self.receiver.recv().map_err(|_| gone())? {
                Message::Chunk(chunk) => (self.chunk, self.read) = (chunk, 0),
                Message::End(end) => self.end = Some(end),
            }
        }
        Ok(&self.chunk[self.read..])
    }

    fn consume(&mut self, count: usize) {
        self.read = (self.read + count).min(self.chunk.len());
    }
}

impl Read for Receive {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let count = buffer.len().min(into.len());
        into[..count].copy_from_slice(&buffer[..count]);
        self.consume(count);
        Ok(count)
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
    use super::*;

    #[test]
    fn bytes_arrive_whole_or_with_an_error() {
        let (mut sender, mut receiver) = pipe();
        let text: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let sent = text.clone();
        let thread = std::thread::spawn(move || {
            sender.write_all(&sent).unwrap();
            sender.finish().unwrap();
        });
        let mut got = Vec::new();
        receiver.read_to_end(&mut got).unwrap();
        assert_eq!(got, text);
        thread.join().unwrap();

        let (mut sender, mut receiver) = pipe();
        sender.write_all(b"half").unwrap();
        drop(sender);
        let error = receiver.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

        let (mut sender, mut receiver) = pipe();
        sender.write_all(b"half").unwrap();
        sender.cut_short().unwrap();
        let mut got = Vec::new();
        let error = receiver.read_to_end(&mut got).unwrap_err();
        assert_eq!(
            (got.as_slice(), error.kind()),
            (b"half".as_slice(), io::ErrorKind::UnexpectedEof)
        );

        let (mut sender, receiver) = pipe();
        drop(receiver);
        sender.write_all(b"x").unwrap();
        assert_eq!(
            sender.finish().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
