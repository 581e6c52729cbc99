//! Whether a layer's files are what its archive says: names, kinds, owners, modes, times, targets,
//! attributes and, where the archive does not come from the files themselves, data.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;

use sys::dir::{self, Dir, Kind as FileKind, Status};

use super::place::{clean, last, parent};
use super::whiteout::{self, Meaning};
use crate::error::Error;
use crate::tar::{Entry, Kind, Reader};
use crate::temp::Hashed;
use types::{Algorithm, Digest};

/// Differences told; more are the same story.
const MAX_TOLD: usize = 20;
/// Seconds since the Unix epoch that every file system in use can keep (ext4 from 1901 to 2446).
const OLDEST: i64 = -(1 << 31);
const NEWEST: i64 = (1 << 34) - (1 << 31) - 1;
/// Directories open at a time.
const MAX_DEPTH: usize = 256;

/// What is wrong with a layer's files, and what its archive hashes to.
#[derive(Debug)]
pub(crate) struct Verified {
    pub diff_id: Digest,
    /// One clause each.
    pub differences: Vec<String>,
}

/// Compares the files below `root` with the archive in `stream`. `last` has, for archives that name
/// files more than once, which entry is in force; `data` says whether data is compared too. The
/// archive is hashed by `algorithm`.
pub(crate) fn verify(
    root: &Dir,
    stream: impl BufRead,
    algorithm: Algorithm,
    last_of: Option<&LastOf>,
    data: bool,
) -> Result<Verified, Error> {
    let mut check = Check {
        root,
        expected: HashSet::new(),
        differences: Vec::new(),
        data,
    };
    let mut hashed = Hashed::new(stream, algorithm);
    let mut reader = Reader::new(&mut hashed);
    let mut number = 0;
    while let Some(entry) = reader.next()? {
        let path = clean(&entry.path).map_err(|m| reader.broken(m))?;
        number += 1;
        let in_force = last_of.is_none_or(|last_of| last_of.is_last(&path, number));
        if in_force {
            check.entry(&entry, &path, &mut reader)?;
        }
    }
    reader.drain()?;
    drop(reader);
    check.nothing_else();
    Ok(Verified {
        diff_id: hashed.finish().0,
        differences: check.differences,
    })
}

/// Which entry of each path is the last.
#[derive(Debug, Default)]
pub(crate) struct LastOf(HashMap<u64, u64>);

impl LastOf {
    /// Reads an archive for it.
    pub(crate) fn read(stream: impl BufRead) -> Result<Self, Error> {
        let mut last_of = Self::default();
        let mut reader = Reader::new(stream);
        let mut number = 0;
        while let Some(entry) = reader.next()? {
            number += 1;
            let path = clean(&entry.path).map_err(|m| reader.broken(m))?;
            last_of.0.insert(hash(&path), number);
        }
        Ok(last_of)
    }

    fn is_last(&self, path: &[u8], number: u64) -> bool {
        self.0.get(&hash(path)) == Some(&number)
    }
}

fn hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

struct Check<'a> {
    root: &'a Dir,
    /// Hashes of all paths that the archive accounts for.
    expected: HashSet<u64>,
    differences: Vec<String>,
    data: bool,
}

impl Check<'_> {
    fn entry<R: BufRead>(
        &mut self,
        entry: &Entry,
        path: &[u8],
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        let name = last(path);
        match whiteout::meaning(name).map_err(|m| reader.broken(m))? {
            Meaning::Name if path.is_empty() => {}
            Meaning::Name => {
                self.expect(path);
                match self.named(entry, path) {
                    Ok(()) if self.data && entry.kind == Kind::File => {
                        self.contents(entry, path, reader)?;
                    }
                    Ok(()) => {}
                    Err(problem) => self.differs(path, &problem),
                }
            }
            Meaning::Removed(name) => {
                let path = [parent(path), name].join(&b'/');
                let path = path.strip_prefix(b"/").unwrap_or(&path);
                self.expect(path);
                if let Err(error) = self.status(path) {
                    self.differs(path, &error);
                }
            }
            Meaning::Opaque => self.expect(parent(path)),
            Meaning::Bookkeeping => {}
        }
        Ok(())
    }

    /// The path and the directories that lead there.
    fn expect(&mut self, path: &[u8]) {
        let mut path = path;
        while !path.is_empty() && self.expected.insert(hash(path)) {
            path = parent(path);
        }
    }

    fn differs(&mut self, path: &[u8], problem: &str) {
        if self.differences.len() < MAX_TOLD {
            let path = String::from_utf8_lossy(path);
            self.differences.push(format!("{path:?} {problem}"));
        }
    }

    fn open(&self, path: &[u8]) -> Result<Dir, String> {
        self.root
            .open_in_root(parent(path))
            .map_err(|error| format!("cannot be reached: {error}"))
    }

    fn status(&self, path: &[u8]) -> Result<Status, String> {
        self.open(path)?
            .status(OsStr::from_bytes(last(path)))
            .map_err(|error| format!("is not there: {error}"))
    }

    fn named(&self, entry: &Entry, path: &[u8]) -> Result<(), String> {
        let dir = self.open(path)?;
        let name = OsStr::from_bytes(last(path));
        let there = dir
            .status(name)
            .map_err(|error| format!("is not there: {error}"))?;
        if entry.kind == Kind::HardLink {
            let target = clean(&entry.link).map_err(|m| m.to_string())?;
            let same = self.status(&target)?.identity == there.identity;
            return same
                .then_some(())
                .ok_or_else(|| "is not the same file as its hard link's target".to_owned());
        }
        same("kind", there.kind, kind(entry.kind))?;
        same("owner", (there.uid, there.gid), (entry.uid, entry.gid))?;
        if entry.kind != Kind::Symlink {
            same("mode", there.mode, entry.mode)?;
        }
        // File systems that end earlier than the archive's times keep their last one.
        if (OLDEST..=NEWEST).contains(&entry.modified.0) {
            same("time", there.modified, entry.modified)?;
        }
        match entry.kind {
            Kind::File => same("size", there.size, entry.size)?,
            Kind::CharDevice | Kind::BlockDevice => same("device", there.device, entry.device)?,
            Kind::Symlink => {
                let target = dir.read_symlink(name).map_err(|error| error.to_string())?;
                same("target", target.as_bytes(), &entry.link)?;
            }
            _ => {}
        }
        attributes(&dir, name, entry)
    }

    fn contents<R: BufRead>(
        &mut self,
        entry: &Entry,
        path: &[u8],
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        let opened = self.open(path).and_then(|dir| {
            dir.open_file(OsStr::from_bytes(last(path)))
                .map_err(|error| error.to_string())
        });
        let mut file = match opened {
            // Where the pieces of a sparse file lie was said by its size and its record.
            Ok(file) if entry.pieces.is_none() => file,
            Ok(_) => return Ok(()),
            Err(problem) => {
                self.differs(path, &problem);
                return Ok(());
            }
        };
        let mut chunk = vec![0; 64 << 10];
        loop {
            let data = reader.data()?;
            let count = data.len().min(chunk.len());
            if count == 0 {
                return Ok(());
            }
            let same =
                file.read_exact(&mut chunk[..count]).is_ok() && chunk[..count] == data[..count];
            reader.consume(count);
            if !same {
                self.differs(path, "has other data");
                return Ok(());
            }
        }
    }

    /// Tells files that the archive does not know.
    fn nothing_else(&mut self) {
        let mut stack = Vec::new();
        if let Ok(entries) = self.root.entries() {
            stack.push((entries, Vec::new(), None::<Dir>));
        }
        let mut found = Vec::new();
        while let Some((entries, path, dir)) = stack.last_mut() {
            let Some(entry) = entries.next() else {
                stack.pop();
                continue;
            };
            let Ok((name, _)) = entry else { continue };
            let name = dir::name(&name);
            let path: Vec<u8> = match path.is_empty() {
                true => name.as_bytes().to_vec(),
                false => [path.as_slice(), name.as_bytes()].join(&b'/'),
            };
            if !self.expected.contains(&hash(&path)) {
                found.push(path);
                continue;
            }
            let here = dir.as_ref().unwrap_or(self.root);
            let is_dir = here
                .status(name)
                .is_ok_and(|s| s.kind == FileKind::Directory);
            if is_dir
                && stack.len() < MAX_DEPTH
                && let Some((_, _, dir)) = stack.last()
                && let Ok(deeper) = dir.as_ref().unwrap_or(self.root).open_dir(name)
                && let Ok(entries) = deeper.entries()
            {
                stack.push((entries, path, Some(deeper)));
            }
        }
        for path in found {
            self.differs(&path, "is not in the archive");
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, there: T, expected: T) -> Result<(), String> {
    if there == expected {
        return Ok(());
    }
    Err(format!("has the {what} {there:?} instead of {expected:?}"))
}

fn kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File | Kind::HardLink => FileKind::File,
        Kind::Directory => FileKind::Directory,
        Kind::Symlink => FileKind::Symlink,
        Kind::CharDevice => FileKind::CharDevice,
        Kind::BlockDevice => FileKind::BlockDevice,
        Kind::Fifo => FileKind::Fifo,
    }
}

fn attributes(dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), String> {
    // The last of several of one name is the one that was set.
    let all: HashMap<_, _> = entry
        .xattrs
        .iter()
        .map(|(key, value)| (key, value))
        .collect();
    for (key, value) in all {
        if whiteout::is_reserved(key) {
            continue;
        }
        // What links and special files cannot have was not set either, nor what the file system
        // knows nothing of.
        let can_have = matches!(entry.kind, Kind::File | Kind::Directory);
        let differs = match sys::xattr::get(dir, name, OsStr::from_bytes(key)) {
            Ok(there) => there != *value,
            Err(error) => error.errno == sys::Errno::NODATA && can_have,
        };
        if differs {
            let key = String::from_utf8_lossy(key);
            return Err(format!("has another attribute {key:?}"));
        }
    }
    Ok(())
}
