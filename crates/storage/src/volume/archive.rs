//! A volume's files as a tar archive (POSIX.1-2001, pax), and back.

use std::collections::HashSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::vec::IntoIter;

use sys::dir::{self, Dir, Kind, Status};
use sys::xattr;
use tar::{EntryType, Header};
use types::IdMaps;

use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::layer;
use crate::paths::DATA;
use crate::store::Store;
use crate::volume::linked::Linked;

const BUFFER: usize = 128 << 10;
const BLOCK: u64 = 512;
/// The same of memory.
const BYTES: usize = 512;
/// Directories open at a time. What lies deeper is refused.
const MAX_DEPTH: usize = 256;
/// What a header has room for: names, and the eleven octal digits of sizes and times.
const NAME: usize = 100;
const MAX_OCTAL: u64 = 0o777_7777_7777;
/// The seven digits of ids.
const MAX_ID: u32 = 0o777_7777;

/// Unpacks an archive into the directory of this number, which nothing names.
pub(super) fn import(
    store: &Arc<Store>,
    number: u64,
    mut stream: impl BufRead + Send,
) -> Result<(), Error> {
    let path = store.paths.volume(number);
    let outer = Dir::open(&path).map_err(Error::file("open", &path))?;
    let mut start = Vec::with_capacity(MAGIC);
    let head = stream.by_ref().take(MAGIC as u64).read_to_end(&mut start);
    head.map_err(Error::Input)?;
    let format = Format::of(&start);
    let whole = Cursor::new(start).chain(stream);
    layer::unpack_files(store, outer, DATA, whole, format)
}

/// Writes an archive of everything in `root`.
pub(super) fn export(root: &Dir, out: &mut dyn Write) -> Result<(), Error> {
    write(root, OsStr::new("."), Some(b"."), out)
}

/// Writes an archive of what `name` of `parent` is, with all that is in it, as `called`. Without that,
/// of what is in it only.
pub(crate) fn write(
    parent: &Dir,
    name: &OsStr,
    called: Option<&[u8]>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    write_without(parent, name, called, (None, None), out)
}

/// The same without what is in directories of a file system, and with owners translated.
pub(crate) fn write_without(
    parent: &Dir,
    name: &OsStr,
    called: Option<&[u8]>,
    (except, ids): (Option<u64>, Option<&IdMaps>),
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut export = Export::new(out);
    export.except = except;
    export.ids = ids;
    export.path = called.unwrap_or_default().to_vec();
    export.nameless = called.is_none();
    export.all(parent, name)?;
    export.end()
}

/// A tar archive of several directories.
#[derive(Debug, Default)]
pub struct Archive {
    /// Directories that were written: none is twice.
    told: HashSet<Vec<u8>>,
}

impl Archive {
    /// Writes what is in a directory: below another of this name, or of none. A directory that is there already
    /// stays what it is.
    ///
    /// # Errors
    /// When something cannot be read, or the archive not be written.
    pub fn add(&mut self, root: &Dir, called: &str, out: &mut dyn Write) -> Result<(), Error> {
        let mut export = Export::new(out);
        export.path = called.as_bytes().to_vec();
        export.nameless = called.is_empty();
        export.told = Some(std::mem::take(&mut self.told));
        export.all(root, OsStr::new("."))?;
        self.told = export.told.take().unwrap_or_default();
        Ok(())
    }

    /// The archive is complete.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self, out: &mut dyn Write) -> Result<(), Error> {
        Export::new(out).end()
    }
}

/// Writes an archive, entry by entry.
pub(crate) struct Export<'a> {
    out: &'a mut dyn Write,
    /// Of the entry being written.
    pub(crate) path: Vec<u8>,
    /// Whether the uppermost directory is not an entry.
    nameless: bool,
    /// The file system whose directories are empty to this archive.
    except: Option<u64>,
    /// Whose owners the archive has; none is those that are seen.
    ids: Option<&'a IdMaps>,
    /// Files of several names: the one that was written.
    linked: Linked,
    /// Directories that were written, if none may be twice.
    told: Option<HashSet<Vec<u8>>>,
}

/// One directory on the way down.
struct Level {
    dir: Dir,
    names: IntoIter<CString>,
    length: usize,
}

impl<'a> Export<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            path: Vec::new(),
            nameless: false,
            except: None,
            ids: None,
            linked: Linked::default(),
            told: None,
        }
    }

    /// An empty file of nobody's at the present path.
    pub(crate) fn marker(&mut self) -> Result<(), Error> {
        let status = Status {
            kind: Kind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            size: 0,
            allocated: 0,
            links: 1,
            identity: (0, 0),
            device: (0, 0),
            modified: (0, 0),
        };
        self.head(EntryType::Regular, &status, 0, &[], Records::default())
    }

    /// The archive is complete.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.out
            .write_all(&[0; 2 * BYTES])
            .and_then(|()| self.out.flush())
            .map_err(Error::Output)
    }

    fn all(&mut self, parent: &Dir, name: &OsStr) -> Result<(), Error> {
        let status = parent.status(name).map_err(|e| self.failed(e))?;
        if !self.nameless {
            self.entry(parent, name, &status)?;
        }
        if !self.goes_into(&status) {
            return Ok(());
        }
        let dir = parent.open_dir(name).map_err(|e| self.failed(e))?;
        let names = self.names(&dir)?;
        let mut levels = vec![Level {
            dir,
            names,
            length: self.path.len(),
        }];
        while let Some(level) = levels.last_mut() {
            self.path.truncate(level.length);
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            let name = dir::name(&name);
            if !(self.nameless && self.path.is_empty()) {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.as_bytes());
            let status = match level.dir.status(name) {
                Err(error) if error.errno == sys::Errno::NOENT => continue,
                answer => answer.map_err(|e| self.failed(e))?,
            };
            self.entry(&level.dir, name, &status)?;
            if self.goes_into(&status) {
                let dir = level.dir.open_dir(name).map_err(|e| self.failed(e))?;
                let next = Level {
                    names: self.names(&dir)?,
                    dir,
                    length: self.path.len(),
                };
                levels.push(next);
                if levels.len() > MAX_DEPTH {
                    let errno = sys::Errno::NAMETOOLONG;
                    return Err(self.failed(sys::Error {
                        call: "openat",
                        errno,
                    }));
                }
            }
        }
        Ok(())
    }

    fn goes_into(&self, status: &Status) -> bool {
        status.kind == Kind::Directory && self.except != Some(status.identity.0)
    }

    pub(crate) fn failed(&self, source: sys::Error) -> Error {
        Error::Place {
            action: "read",
            entry: String::from_utf8_lossy(&self.path).into_owned(),
            source,
        }
    }

    /// In order, so that the same files make the same archive.
    pub(crate) fn names(&self, dir: &Dir) -> Result<IntoIter<CString>, Error> {
        let entries = dir.entries().map_err(|e| self.failed(e))?;
        let names: sys::Result<Vec<_>> = entries.map(|entry| Ok(entry?.0)).collect();
        let mut names = names.map_err(|e| self.failed(e))?;
        names.sort();
        Ok(names.into_iter())
    }

    /// What `name` of `dir` is, at the present path.
    pub(crate) fn entry(&mut self, dir: &Dir, name: &OsStr, status: &Status) -> Result<(), Error> {
        let mut link = Vec::new();
        let mut kind = match status.kind {
            Kind::File => EntryType::Regular,
            Kind::Directory => EntryType::Directory,
            Kind::Symlink => {
                let target = dir.read_symlink(name).map_err(|e| self.failed(e))?;
                link = target.into_bytes();
                EntryType::Symlink
            }
            Kind::CharDevice => EntryType::Char,
            Kind::BlockDevice => EntryType::Block,
            Kind::Fifo => EntryType::Fifo,
            Kind::Socket | Kind::Unknown => return Ok(()),
        };
        if status.links > 1 && kind != EntryType::Directory {
            let names = status.links;
            if let Some(first) = self.linked.first(status.identity, names, &self.path)? {
                link = first;
                kind = EntryType::Link;
            }
        }
        if kind == EntryType::Directory
            && let Some(told) = &mut self.told
            && !told.insert(self.path.clone())
        {
            return Ok(());
        }
        let mut records = Records::default();
        if kind == EntryType::Regular {
            let file = dir.open_regular(name).map_err(|e| self.failed(e))?;
            let keys = xattr::list_open(&file).map_err(|e| self.failed(e))?;
            self.attributes(dir, name, (keys, &mut records));
            return self.file(&file, status, records);
        }
        if kind != EntryType::Link {
            let keys = xattr::list(dir, name).map_err(|e| self.failed(e))?;
            self.attributes(dir, name, (keys, &mut records));
        }
        self.head(kind, status, 0, &link, records)
    }

    fn attributes(&self, dir: &Dir, name: &OsStr, (keys, records): (Vec<OsString>, &mut Records)) {
        for key in keys {
            if layer::is_reserved(key.as_bytes()) {
                continue;
            }
            if let Ok(value) = xattr::get(dir, name, &key) {
                records.add(&[b"SCHILY.xattr.", key.as_bytes()].concat(), &value);
            }
        }
    }

    /// A file with holes is written without them.
    fn file(&mut self, file: &File, status: &Status, mut records: Records) -> Result<(), Error> {
        let pieces = match status.allocated < status.size {
            true => sys::copy::pieces(file, status.size).map_err(|e| self.failed(e))?,
            false => vec![(0, status.size)],
        };
        if pieces == [(0, status.size)] {
            self.head(EntryType::Regular, status, status.size, &[], records)?;
            self.data(file, 0, status.size)?;
            return self.pad(status.size);
        }
        let mut map = format!("{}\n", pieces.len());
        for (offset, length) in &pieces {
            map.push_str(&format!("{offset}\n{length}\n"));
        }
        let mut map = map.into_bytes();
        map.resize(map.len().next_multiple_of(BYTES), 0);
        let data: u64 = pieces.iter().map(|(_, length)| length).sum();
        records.add(b"GNU.sparse.major", b"1");
        records.add(b"GNU.sparse.minor", b"0");
        let path = self.path.clone();
        records.add(b"GNU.sparse.name", &path);
        records.add(b"GNU.sparse.realsize", status.size.to_string().as_bytes());
        let size = map.len() as u64 + data;
        self.head(EntryType::Regular, status, size, &[], records)?;
        self.out.write_all(&map).map_err(Error::Output)?;
        for (offset, length) in pieces {
            self.data(file, offset, length)?;
        }
        self.pad(size)
    }

    /// So many bytes, whatever became of the file meanwhile.
    fn data(&mut self, file: &File, mut at: u64, length: u64) -> Result<(), Error> {
        let end = at + length;
        let most = usize::try_from(length).map_or(BUFFER, |length| length.min(BUFFER));
        let mut buffer = vec![0; most];
        while at < end {
            let room = usize::try_from(end - at).map_or(most, |left| left.min(most));
            let count = match file.read_at(&mut buffer[..room], at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let path = String::from_utf8_lossy(&self.path).into_owned();
                    return Err(Error::file("read", path.as_ref())(error));
                }
                // It was cut short: zeros take the place of what was there.
                Ok(0) => {
                    buffer[..room].fill(0);
                    room
                }
                Ok(count) => count,
            };
            self.out
                .write_all(&buffer[..count])
                .map_err(Error::Output)?;
            at += count as u64;
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let padding = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or(0);
        let zeros = [0; BYTES];
        self.out.write_all(&zeros[..padding]).map_err(Error::Output)
    }

    fn head(
        &mut self,
        kind: EntryType,
        status: &Status,
        size: u64,
        link: &[u8],
        mut records: Records,
    ) -> Result<(), Error> {
        let mut path = self.path.clone();
        if kind == EntryType::Directory {
            path.push(b'/');
        }
        let mut status = *status;
        if let Some(ids) = self.ids {
            (status.uid, status.gid) = ids.inside(status.uid, status.gid);
        }
        let status = &status;
        records.describe(&path, link, status, size);
        if !records.0.is_empty() {
            let length = records.0.len() as u64;
            let mut header = Header::new_ustar();
            fill(&mut header, b"././@PaxHeader", &[], status, length)?;
            header.set_entry_type(EntryType::XHeader);
            header.set_cksum();
            self.write(&header)?;
            self.out.write_all(&records.0).map_err(Error::Output)?;
            self.pad(length)?;
        }
        let mut header = Header::new_ustar();
        fill(&mut header, &path, link, status, size)?;
        header.set_entry_type(kind);
        header.set_cksum();
        self.write(&header)
    }

    fn write(&mut self, header: &Header) -> Result<(), Error> {
        self.out.write_all(header.as_bytes()).map_err(Error::Output)
    }
}

/// What fits; the records before it say the rest.
fn fill(
    header: &mut Header,
    path: &[u8],
    link: &[u8],
    status: &Status,
    size: u64,
) -> Result<(), Error> {
    let old = header.as_old_mut();
    let cut = |text: &[u8], field: &mut [u8; NAME]| {
        let length = text.len().min(NAME);
        field[..length].copy_from_slice(&text[..length]);
    };
    cut(path, &mut old.name);
    cut(link, &mut old.linkname);
    header.set_mode(status.mode);
    header.set_uid(status.uid.min(MAX_ID).into());
    header.set_gid(status.gid.min(MAX_ID).into());
    header.set_size(size.min(MAX_OCTAL));
    header.set_mtime(u64::try_from(status.modified.0).unwrap_or(0).min(MAX_OCTAL));
    if matches!(status.kind, Kind::CharDevice | Kind::BlockDevice) {
        header
            .set_device_major(status.device.0)
            .map_err(Error::Output)?;
        header
            .set_device_minor(status.device.1)
            .map_err(Error::Output)?;
    }
    Ok(())
}

/// Records of a pax header: each its own length, a key and a value.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    /// What the header has no room for.
    fn describe(&mut self, path: &[u8], link: &[u8], status: &Status, size: u64) {
        if path.len() > NAME || !path.is_ascii() {
            self.add(b"path", path);
        }
        if link.len() > NAME || !link.is_ascii() {
            self.add(b"linkpath", link);
        }
        if size > MAX_OCTAL {
            self.add(b"size", size.to_string().as_bytes());
        }
        for (key, id) in [(b"uid", status.uid), (b"gid", status.gid)] {
            if id > MAX_ID {
                self.add(key, id.to_string().as_bytes());
            }
        }
        let (seconds, nanos) = status.modified;
        match (seconds, nanos) {
            (0.., 0) => {}
            // Written as a number below zero with a fraction that counts away from it.
            (..0, 1..) => {
                let (whole, rest) = (seconds + 1, 1_000_000_000 - nanos);
                let sign = if whole == 0 { "-" } else { "" };
                self.add(b"mtime", format!("{sign}{whole}.{rest:09}").as_bytes());
            }
            _ => self.add(b"mtime", format!("{seconds}.{nanos:09}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_length() {
        let mut records = Records::default();
        records.add(b"path", b"x");
        records.add(b"comment", &[b'y'; 86]);
        let text = String::from_utf8(records.0).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for line in lines {
            let (length, _) = line.split_once(' ').unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), line.len(), "{line}");
        }
    }
}
