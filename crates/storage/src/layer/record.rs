//! What of a layer's archive is not in its files: headers, padding, and whose data comes where. With
//! it the archive is told again from the files, byte for byte, so that the layer need not be kept
//! twice (the idea of tar-split).
//!
//! A zstd stream of segments: the number of bytes that follow as they were, those bytes; the number
//! of bytes of a file's data, and unless that is zero, the file's path and its pieces (offset and
//! length each; none means all from the start). Numbers are in LEB128. It ends between segments.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sys::dir::Dir;

use super::place::{last, parent};
use crate::tar::Piece;

/// The record's name beside the layer's files.
pub(crate) const RECORD: &str = "record";

/// Bytes as they were that are collected before they are written.
const SEGMENT: usize = 64 << 10;
/// Headers compress to a tenth at the level that costs least.
const LEVEL: i32 = 1;
const BUFFER: usize = 64 << 10;
/// No segment of an honest record is longer, nor any path or list of pieces.
const MAX_LENGTH: u64 = 8 << 20;

/// Records what passes.
pub(super) struct Recorded<R> {
    inner: R,
    record: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    raw: Vec<u8>,
    /// Of a file's data, what has not passed yet.
    data: u64,
    /// The first thing that went wrong while writing the record.
    failed: Option<io::Error>,
}

impl<R> Recorded<R> {
    pub(super) fn new(inner: R, record: File) -> io::Result<Self> {
        let record = BufWriter::with_capacity(BUFFER, record);
        Ok(Self {
            inner,
            record: zstd::stream::write::Encoder::new(record, LEVEL)?,
            raw: Vec::with_capacity(SEGMENT),
            data: 0,
            failed: None,
        })
    }

    /// The next `length` bytes are the data of the file at `path`.
    pub(super) fn file(&mut self, path: &[u8], pieces: Option<&[Piece]>, length: u64) {
        if length > 0 {
            let answer = self.segment(path, pieces.unwrap_or_default(), length);
            self.note(answer);
            self.data = length;
        }
    }

    /// The record is complete; gives the stream back.
    pub(super) fn finish(mut self) -> io::Result<R> {
        let answer = self.segment(b"", &[], 0);
        self.note(answer);
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.record.finish()?.flush()?;
        Ok(self.inner)
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        if self.raw.len() >= SEGMENT {
            let answer = self.segment(b"", &[], 0);
            self.note(answer);
        }
    }

    fn segment(&mut self, path: &[u8], pieces: &[Piece], length: u64) -> io::Result<()> {
        put_number(&mut self.record, self.raw.len() as u64)?;
        self.record.write_all(&self.raw)?;
        self.raw.clear();
        put_number(&mut self.record, length)?;
        if length == 0 {
            return Ok(());
        }
        put_number(&mut self.record, path.len() as u64)?;
        self.record.write_all(path)?;
        put_number(&mut self.record, pieces.len() as u64)?;
        for piece in pieces {
            put_number(&mut self.record, piece.offset)?;
            put_number(&mut self.record, piece.length)?;
        }
        Ok(())
    }

    fn note(&mut self, answer: io::Result<()>) {
        if let (None, Err(error)) = (&self.failed, answer) {
            self.failed = Some(error);
        }
    }
}

impl<R: BufRead> BufRead for Recorded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // The buffer is filled: whoever consumes has seen it.
        if let Ok(buffer) = self.inner.fill_buf() {
            let bytes = &buffer[..count];
            let data = usize::try_from(self.data).map_or(count, |data| data.min(count));
            self.data -= data as u64;
            if data < count {
                let raw = bytes[data..].to_vec();
                self.raw(&raw);
            }
        }
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Recorded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let count = buffer.len().min(into.len());
        into[..count].copy_from_slice(&buffer[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// A layer's archive, told again from its record and its files.
pub(crate) struct Rebuilt {
    record: zstd::stream::read::Decoder<'static, BufReader<File>>,
    root: Dir,
    /// The directory that the last file was in.
    parent: Option<(Vec<u8>, Dir)>,
    raw: u64,
    data: Option<Data>,
    /// Whether the length of some data comes next, or of bytes as they were.
    data_next: bool,
}

/// A file's data that comes next.
struct Data {
    file: File,
    pieces: VecDeque<Piece>,
    left: u64,
}

impl Rebuilt {
    /// From a layer's directory.
    pub(crate) fn open(layer: &Path) -> io::Result<Self> {
        let record = BufReader::with_capacity(BUFFER, File::open(layer.join(RECORD))?);
        Ok(Self {
            record: zstd::stream::read::Decoder::with_buffer(record)?,
            root: Dir::open(&layer.join(crate::paths::DIFF)).map_err(io::Error::from)?,
            parent: None,
            raw: 0,
            data: None,
            data_next: false,
        })
    }

    fn next_segment(&mut self) -> io::Result<bool> {
        if self.data_next {
            self.data_next = false;
            let length = get_number(&mut self.record)?.ok_or_else(broken)?;
            if length > 0 {
                self.data = Some(self.next_data(length)?);
            }
            return Ok(true);
        }
        let Some(length) = get_number(&mut self.record)? else {
            return Ok(false);
        };
        (self.raw, self.data_next) = (length, true);
        Ok(true)
    }

    fn next_data(&mut self, length: u64) -> io::Result<Data> {
        let path = self.bytes()?;
        let count = get_number(&mut self.record)?.ok_or_else(broken)?;
        let mut pieces = VecDeque::new();
        for _ in 0..count.min(MAX_LENGTH) {
            let offset = get_number(&mut self.record)?.ok_or_else(broken)?;
            let length = get_number(&mut self.record)?.ok_or_else(broken)?;
            pieces.push_back(Piece { offset, length });
        }
        if count == 0 {
            pieces.push_back(Piece { offset: 0, length });
        }
        let file = self.file(&path)?;
        Ok(Data {
            file,
            pieces,
            left: 0,
        })
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let length = get_number(&mut self.record)?
            .filter(|length| *length <= MAX_LENGTH)
            .ok_or_else(broken)?;
        let mut bytes = Vec::new();
        let count = (&mut self.record).take(length).read_to_end(&mut bytes)?;
        (count as u64 == length).then_some(bytes).ok_or_else(broken)
    }

    fn file(&mut self, path: &[u8]) -> io::Result<File> {
        let dir = parent(path);
        if self.parent.as_ref().is_none_or(|(known, _)| known != dir) {
            let opened = self.root.open_in_root(dir)?;
            self.parent = Some((dir.to_vec(), opened));
        }
        let dir = self.parent.as_ref().map_or(&self.root, |(_, dir)| dir);
        Ok(dir.open_file(OsStr::from_bytes(last(path)))?)
    }
}

impl Read for Rebuilt {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if self.raw > 0 {
                let count = self.record.by_ref().take(self.raw).read(into)?;
                if count == 0 {
                    return Err(broken());
                }
                self.raw -= count as u64;
                return Ok(count);
            }
            if let Some(data) = &mut self.data {
                if let Some(count) = data.read(into)? {
                    return Ok(count);
                }
                self.data = None;
            }
            if !self.next_segment()? {
                return Ok(0);
            }
        }
    }
}

impl Data {
    /// Some of it; nothing at its end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        while self.left == 0 {
            let Some(piece) = self.pieces.pop_front() else {
                return Ok(None);
            };
            self.file.seek(SeekFrom::Start(piece.offset))?;
            self.left = piece.length;
        }
        let count = (&mut self.file).take(self.left).read(into)?;
        if count == 0 {
            let why = "a file of the layer is shorter than it was";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.left -= count as u64;
        Ok(Some(count))
    }
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the record of the layer's archive is damaged",
    )
}

pub(crate) fn put_number(to: &mut impl Write, mut number: u64) -> io::Result<()> {
    let mut bytes = [0; 10];
    let mut length = 0;
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        bytes[length] = if number == 0 { low } else { low | 0x80 };
        length += 1;
        if number == 0 {
            return to.write_all(&bytes[..length]);
        }
    }
}

/// A number; nothing where the stream ends.
pub(crate) fn get_number(from: &mut impl Read) -> io::Result<Option<u64>> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        match from.read_exact(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && shift == 0 => {
                return Ok(None);
            }
            answer => answer?,
        }
        number |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(Some(number));
        }
    }
    Err(broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        for number in [0, 1, 127, 128, 300, 1 << 40, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number).unwrap();
            let mut from = bytes.as_slice();
            assert_eq!(get_number(&mut from).unwrap(), Some(number));
            assert_eq!(get_number(&mut from).unwrap(), None);
        }
        assert!(get_number(&mut [0x80].as_slice()).is_err());
        assert!(get_number(&mut [0xff; 11].as_slice()).is_err());
    }
}
