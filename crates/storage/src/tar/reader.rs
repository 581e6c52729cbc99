//! The walk over an archive's headers.

use std::io::{self, BufRead};

use tar::{GnuExtSparseHeader, Header};

use super::number;
use super::pax::Records;
use super::sparse::{Map, Piece, TextMap};
use crate::error::{Error, Malformed};

const BLOCK: u64 = 512;
/// The longest header for a next entry; attributes of a file are at most 64 KiB each, names 4 KiB.
/// That much for all of an entry's together too: one may follow another without end.
const MAX_EXTENSION: u64 = 1 << 20;
/// The longest name or target of a link, the kernel's PATH_MAX: no file could have a longer one.
const MAX_NAME: usize = 4096;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// One entry's metadata; its data is read from the [`Reader`].
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub kind: Kind,
    pub path: Vec<u8>,
    /// The target, of links.
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since the Unix epoch and nanoseconds.
    pub modified: (i64, u32),
    /// Major and minor number, of devices.
    pub device: (u32, u32),
    /// Bytes of the file, its holes included.
    pub size: u64,
    /// The pieces that are in the archive, of a sparse file.
    pub pieces: Option<Vec<Piece>>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The name as people read it.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Reads an archive entry by entry.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    input: R,
    /// How much was read.
    offset: u64,
    /// Of the current entry's data, what was not read yet, and the padding after it.
    left: u64,
    padding: u64,
    /// The current entry's name, for errors.
    current: Option<String>,
    ended: bool,
}

/// What headers before an entry's own say about it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: Sparse,
}

/// What an extended header says about holes.
#[derive(Default)]
struct Sparse {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    map: Option<Map>,
    /// Version 0.0 gives offsets and lengths in turn.
    offset: Option<u64>,
    /// Version 1.0: the map stands before the data.
    in_data: bool,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            left: 0,
            padding: 0,
            current: None,
            ended: false,
        }
    }

    /// The next entry; what was not read of the one before is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut extensions = Extensions::default();
        let mut extended = false;
        let mut all_extensions = 0_u64;
        loop {
            self.skip_data()?;
            self.current = None;
            let Some(header) = self.header()? else {
                if extended {
                    return Err(self.broken(Malformed::Truncated));
                }
                self.ended = true;
                return Ok(None);
            };
            let size = self.header_size(&header)?;
            match header.as_bytes()[156] {
                b'x' | b'X' => {
                    let text = self.extension(size, "extended header")?;
                    self.current = None;
                    extensions.read_pax(&text).map_err(|m| self.broken(m))?;
                }
                b'L' => extensions.path = Some(self.long_name(size)?),
                b'K' => extensions.link = Some(self.long_name(size)?),
                // Global headers carry comments; Go's reader does not apply them either.
                b'g' => drop(self.extension(size, "global header")?),
                // The volume's label.
                b'V' => self.set_data(size),
                _ => return self.entry(&header, size, extensions).map(Some),
            }
            if matches!(header.as_bytes()[156], b'x' | b'X' | b'L' | b'K') {
                extended = true;
                // Each was bounded when it was read.
                all_extensions += size;
                if all_extensions > MAX_EXTENSION {
                    return Err(self.broken(Malformed::TooLong("extended header")));
                }
            }
        }
    }

    /// What is there of the current entry's data; empty at its end.
    pub(crate) fn data(&mut self) -> Result<&[u8], Error> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let length = self.fill()?;
        let length = usize::try_from(self.left).map_or(length, |left| left.min(length));
        // The buffer is filled: this only looks at it.
        self.input
            .fill_buf()
            .map(|buffer| &buffer[..length])
            .map_err(Error::Input)
    }

    /// Passes over `count` bytes of what [`Self::data`] returned.
    pub(crate) fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.offset += count as u64;
        self.left = self.left.saturating_sub(count as u64);
    }

    /// The current entry's data when it is at most `limit` bytes.
    pub(crate) fn small_data(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        if self.left > limit {
            return Err(self.broken(Malformed::TooLong("content")));
        }
        let mut bytes = Vec::new();
        while self.left > 0 {
            let data = self.data()?;
            let count = data.len();
            bytes.extend_from_slice(data);
            self.consume(count);
        }
        Ok(bytes)
    }

    /// Reads what follows the end of the archive, so that hashes cover all bytes.
    pub(crate) fn drain(&mut self) -> Result<(), Error> {
        loop {
            let count = self.input.fill_buf().map_err(Error::Input)?.len();
            if count == 0 {
                return Ok(());
            }
            self.input.consume(count);
            self.offset += count as u64;
        }
    }

    /// What the archive was read from.
    pub(crate) fn into_input(self) -> R {
        self.input
    }

    /// What the archive is read from.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Of the current entry's data, the bytes that were not read yet.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is wrong, here.
    pub(crate) fn broken(&self, source: Malformed) -> Error {
        Error::Tar {
            offset: self.offset,
            entry: self.current.clone(),
            source,
        }
    }

    fn fill(&mut self) -> Result<usize, Error> {
        let count = loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break 0,
                answer => break answer.map_err(Error::Input)?.len(),
            }
        };
        if count == 0 {
            Err(self.broken(Malformed::Truncated))
        } else {
            Ok(count)
        }
    }

    fn set_data(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    fn skip_data(&mut self) -> Result<(), Error> {
        while self.left > 0 {
            let count = self.data()?.len();
            self.consume(count);
        }
        self.left = std::mem::take(&mut self.padding);
        while self.left > 0 {
            // Some writers end with the last file's bytes, as Docker's client does when it puts a Dockerfile in.
            if self.has_ended()? {
                self.left = 0;
                break;
            }
            let count = self.data()?.len();
            self.consume(count);
        }
        Ok(())
    }

    /// Whether the stream has come to its own end.
    fn has_ended(&mut self) -> Result<bool, Error> {
        loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.broken(Malformed::Truncated));
                }
                answer => return Ok(answer.map_err(Error::Input)?.is_empty()),
            }
        }
    }

    /// One block; nothing when the stream ends before it.
    fn block(&mut self, block: &mut [u8]) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < block.len() {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.broken(Malformed::Truncated));
                }
                answer => answer.map_err(Error::Input)?,
            };
            if buffer.is_empty() {
                return if filled == 0 {
                    Ok(false)
                } else {
                    Err(self.broken(Malformed::Truncated))
                };
            }
            let count = buffer.len().min(block.len() - filled);
            block[filled..filled + count].copy_from_slice(&buffer[..count]);
            self.input.consume(count);
            self.offset += count as u64;
            filled += count;
        }
        Ok(true)
    }

    /// The next header; nothing at a block of zeros or at the stream's end.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|b| *b == 0) {
            return Ok(None);
        }
        if !checksum_holds(header.as_bytes()) {
            self.offset -= BLOCK;
            return Err(self.broken(Malformed::Checksum));
        }
        self.current = Some(String::from_utf8_lossy(&header.path_bytes()).into_owned());
        Ok(Some(header))
    }

    fn header_size(&self, header: &Header) -> Result<u64, Error> {
        let size = number::field(&header.as_bytes()[124..136]).and_then(|n| u64::try_from(n).ok());
        size.ok_or_else(|| self.broken(Malformed::Number("size")))
    }

    fn extension(&mut self, size: u64, what: &'static str) -> Result<Vec<u8>, Error> {
        if size > MAX_EXTENSION {
            return Err(self.broken(Malformed::TooLong(what)));
        }
        self.set_data(size);
        self.small_data(MAX_EXTENSION)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        let mut name = self.extension(size, "name")?;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    fn entry(&mut self, header: &Header, size: u64, mut ext: Extensions) -> Result<Entry, Error> {
        let path = ext
            .sparse
            .name
            .take()
            .or(ext.path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        self.current = Some(String::from_utf8_lossy(&path).into_owned());
        let flag = header.as_bytes()[156];
        let kind = kind(flag, &path).ok_or_else(|| self.broken(Malformed::Type(flag.into())))?;
        let link = ext
            .link
            .or_else(|| header.link_name_bytes().map(|link| link.into_owned()))
            .unwrap_or_default();
        if path.len().max(link.len()) > MAX_NAME {
            return Err(self.broken(Malformed::TooLong("name")));
        }
        let bytes = header.as_bytes();
        let has_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        let device = if has_device {
            [&bytes[329..337], &bytes[337..345]]
        } else {
            [b"".as_slice(); 2]
        };
        let mut entry = Entry {
            kind,
            path,
            link,
            mode: self.number("mode", &bytes[100..108], None)? & 0o7777,
            uid: self.number("user id", &bytes[108..116], ext.uid)?,
            gid: self.number("group id", &bytes[116..124], ext.gid)?,
            modified: self.modified(&bytes[136..148], ext.modified)?,
            device: (
                self.number("device number", device[0], None)?,
                self.number("device number", device[1], None)?,
            ),
            size: 0,
            pieces: None,
            xattrs: ext.xattrs,
        };
        // Only files have data, whatever a header says: so Go's reader has it. A dump directory of
        // GNU's is a directory that carries a list.
        if kind == Kind::File || flag == b'D' {
            self.set_data(ext.size.unwrap_or(size));
        }
        if kind == Kind::File {
            entry.size = self.left;
            self.sparse(header, ext.sparse, &mut entry)?;
        }
        Ok(entry)
    }

    fn number(&self, what: &'static str, field: &[u8], ext: Option<u64>) -> Result<u32, Error> {
        let number = match ext {
            Some(number) => u32::try_from(number).ok(),
            None => number::field(field).and_then(|n| u32::try_from(n).ok()),
        };
        // The kernel takes the highest id for "leave it".
        number
            .filter(|n| *n != u32::MAX)
            .ok_or_else(|| self.broken(Malformed::Number(what)))
    }

    fn modified(&self, field: &[u8], ext: Option<(i64, u32)>) -> Result<(i64, u32), Error> {
        ext.or_else(|| number::field(field).map(|seconds| (seconds, 0)))
            .ok_or_else(|| self.broken(Malformed::Number("modification time")))
    }

    fn sparse(&mut self, header: &Header, sparse: Sparse, entry: &mut Entry) -> Result<(), Error> {
        let map = if header.as_bytes()[156] == b'S' {
            let size =
                number::field(&header.as_bytes()[483..495]).and_then(|n| u64::try_from(n).ok());
            entry.size = size.ok_or_else(|| self.broken(Malformed::Sparse))?;
            self.gnu_map(header)?
        } else if sparse.in_data {
            entry.size = sparse.size.unwrap_or(entry.size);
            self.text_map()?
        } else if let Some(map) = sparse.map {
            entry.size = sparse.size.unwrap_or(entry.size);
            map
        } else {
            return Ok(());
        };
        entry.pieces = Some(
            map.finish(entry.size, self.left)
                .map_err(|m| self.broken(m))?,
        );
        Ok(())
    }

    /// The map in old GNU headers: four slots, then 21 a block while the last says there are more.
    fn gnu_map(&mut self, header: &Header) -> Result<Map, Error> {
        let mut map = Map::default();
        map.push_gnu(&header.as_bytes()[386..482])
            .map_err(|m| self.broken(m))?;
        let mut more = header.as_bytes()[482] != 0;
        while more {
            let mut block = GnuExtSparseHeader::new();
            if !self.block(block.as_mut_bytes())? {
                return Err(self.broken(Malformed::Truncated));
            }
            map.push_gnu(&block.as_bytes()[..504])
                .map_err(|m| self.broken(m))?;
            more = block.is_extended();
        }
        Ok(map)
    }

    /// The map before the data, in whole blocks.
    fn text_map(&mut self) -> Result<Map, Error> {
        let mut text = TextMap::default();
        let mut block = [0; 512];
        loop {
            self.left = self
                .left
                .checked_sub(BLOCK)
                .ok_or_else(|| self.broken(Malformed::Sparse))?;
            if !self.block(&mut block)? {
                return Err(self.broken(Malformed::Truncated));
            }
            if text.feed(&block).map_err(|m| self.broken(m))? {
                return Ok(text.into_map());
            }
        }
    }
}

impl Extensions {
    fn read_pax(&mut self, text: &[u8]) -> Result<(), Malformed> {
        for record in Records(text) {
            let (key, value) = record.ok_or(Malformed::Pax)?;
            self.record(key, value)?;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let number = |what| {
            number::decimal(value)
                .ok_or(Malformed::Number(what))
                .map(Some)
        };
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = number("size")?,
            b"uid" => self.uid = number("user id")?,
            b"gid" => self.gid = number("group id")?,
            b"mtime" => {
                let time = number::time(value).ok_or(Malformed::Number("modification time"))?;
                self.modified = Some(time);
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.record(name, value)?;
                }
            }
        }
        Ok(())
    }
}

impl Sparse {
    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let number = || number::decimal(value).ok_or(Malformed::Sparse);
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"major" => self.in_data = number()? == 1,
            b"map" => self.map.get_or_insert_default().push_list(value)?,
            b"offset" => self.offset = Some(number()?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(Malformed::Sparse)?;
                self.map.get_or_insert_default().push(offset, number()?)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Old archives mark a directory only by the slash at the end of its name.
fn kind(flag: u8, path: &[u8]) -> Option<Kind> {
    Some(match flag {
        b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' | b'D' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return None,
    })
}

/// The sum of all bytes with the sum's own field as blanks; some old writers summed signed bytes.
fn checksum_holds(header: &[u8; 512]) -> bool {
    let said = number::field(&header[148..156]);
    let others = || header[..148].iter().chain(&header[156..]);
    let blanks = 8 * i64::from(b' ');
    let unsigned = blanks + others().map(|b| i64::from(*b)).sum::<i64>();
    let signed = blanks + others().map(|b| i64::from(b.cast_signed())).sum::<i64>();
    said == Some(unsigned) || said == Some(signed)
}

#[cfg(test)]
mod tests;
