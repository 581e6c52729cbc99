//! Puts entries in their place, below one directory and nowhere else.
//!
//! Parents are resolved by the kernel with the layer as the root, so that no symbolic link of the
//! archive leads out; the last component is never followed. An entry replaces what an earlier one
//! left under its name, except that directories are merged.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::sync::Arc;

use sys::Errno;
use sys::dir::{Dir, Kind as FileKind, Node};

use super::room::Room;
use super::times::Times;
use super::whiteout::{self, Meaning, is_whiteout};
use crate::error::{Error, Malformed};
use crate::paths::DIFF;
use crate::tar::{Entry, Kind, Reader};
use crate::temp::write_early;
use crate::trash::Trash;

/// Open parents kept; one archive rarely goes back to older ones.
const MAX_PARENTS: usize = 128;
/// What overlayfs takes for "not here".
const WHITEOUT: Node = Node::CharDevice(0, 0);

/// What becomes of a directory where something else is to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clearing<'a> {
    /// It is thrown away: the same archive brought it.
    Discard(&'a Trash),
    /// It is somebody's: removed with all that is in it.
    Remove,
    /// It stays, as does what is in a directory's place; that is an error.
    Refuse,
}

/// Builds one layer.
pub(super) struct Placer<'a> {
    /// The directory that holds the layer's own.
    outer: Arc<Dir>,
    room: Room,
    /// What that is called.
    name: &'static str,
    /// Whether names may stand for whiteouts.
    layered: bool,
    root: Rc<Dir>,
    parents: HashMap<Vec<u8>, Rc<Dir>>,
    times: Times,
    clearing: Clearing<'a>,
    bytes: u64,
    /// Whether something of the archive is not there any more because of what came later in it.
    replaced: bool,
}

impl<'a> Placer<'a> {
    /// Below `outer`, in which the layer's directory is made.
    pub(super) fn new(outer: Dir, trash: &'a Trash) -> sys::Result<Self> {
        let name = OsStr::new(DIFF);
        outer.make_dir(name)?;
        outer.set_mode(name, 0o755)?;
        Self::within(outer, DIFF, true, Clearing::Discard(trash))
    }

    /// In the directory `name` of `outer`, which is there.
    pub(super) fn within(
        outer: Dir,
        name: &'static str,
        layered: bool,
        clearing: Clearing<'a>,
    ) -> sys::Result<Self> {
        let root = Rc::new(outer.open_dir(OsStr::new(name))?);
        let outer = Arc::new(outer);
        Ok(Self {
            room: Room::new(Arc::clone(&outer)),
            outer,
            name,
            layered,
            root,
            parents: HashMap::new(),
            times: Times::default(),
            clearing,
            bytes: 0,
            replaced: false,
        })
    }

    /// Puts one entry in its place, with its data.
    pub(super) fn place<R: BufRead>(
        &mut self,
        entry: &Entry,
        data: &mut Reader<R>,
    ) -> Result<(), Error> {
        let path = clean(&entry.path).map_err(|m| data.broken(m))?;
        let name = last(&path);
        if !self.layered {
            return self.place_named(entry, &path, data);
        }
        match whiteout::meaning(name).map_err(|m| data.broken(m))? {
            Meaning::Name => self.place_named(entry, &path, data),
            Meaning::Removed(name) => {
                let path = [parent(&path), name].join(&b'/');
                let path = path.strip_prefix(b"/").unwrap_or(&path);
                self.remove(path, data)
            }
            Meaning::Opaque => {
                let dir = parent(&path);
                self.parent(dir, data)?;
                self.set_opaque(dir, data)
            }
            Meaning::Bookkeeping => Ok(()),
        }
    }

    /// Whether something of the archive was put in the place of something before it.
    pub(super) fn replaced(&self) -> bool {
        self.replaced
    }

    /// Sets the times of directories; returns the bytes of all files.
    pub(super) fn finish(self) -> Result<u64, Error> {
        for (path, time) in self.times.inside_out() {
            let answer = match self.root.open_in_root(parent(path)) {
                _ if path.is_empty() => self.outer.set_modified(OsStr::new(self.name), time),
                Ok(dir) => dir.set_modified(OsStr::from_bytes(last(path)), time),
                Err(error) => Err(error),
            };
            answer.map_err(|e| failed("set the time of", path, e))?;
        }
        Ok(self.bytes)
    }

    fn place_named<R: BufRead>(
        &mut self,
        entry: &Entry,
        path: &[u8],
        data: &mut Reader<R>,
    ) -> Result<(), Error> {
        if path.is_empty() {
            return self.place_root(entry, data);
        }
        let dir = self.parent(parent(path), data)?;
        let name = OsStr::from_bytes(last(path));
        self.may_replace(&dir, name, path, entry.kind)?;
        self.room.file().map_err(|e| failed("make", path, e))?;
        match entry.kind {
            Kind::File => self.file(&dir, name, path, entry, data),
            Kind::Directory => self.directory(&dir, name, path, entry, data),
            Kind::HardLink => self.hard_link(&dir, name, path, entry, data),
            Kind::Symlink => {
                let target = OsStr::from_bytes(&entry.link);
                self.over(&dir, name, path, |dir| dir.make_symlink(name, target))
                    .map_err(|e| failed("make the symbolic link", path, e))?;
                attributes(&dir, name, entry).map_err(|e| failed("set the attributes of", path, e))
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                let (major, minor) = entry.device;
                let node = match entry.kind {
                    Kind::CharDevice => Node::CharDevice(major, minor),
                    Kind::BlockDevice => Node::BlockDevice(major, minor),
                    _ => Node::Fifo,
                };
                self.over(&dir, name, path, |dir| dir.make_node(name, node))
                    .map_err(|e| failed("make the special file", path, e))?;
                attributes(&dir, name, entry).map_err(|e| failed("set the attributes of", path, e))
            }
        }
    }

    /// Refuses to put something else in the place of a directory, and the other way round, where that
    /// is to be refused.
    fn may_replace(&self, dir: &Dir, name: &OsStr, path: &[u8], kind: Kind) -> Result<(), Error> {
        let Clearing::Refuse = self.clearing else {
            return Ok(());
        };
        let Ok(there) = dir.status(name) else {
            return Ok(());
        };
        match (there.kind == FileKind::Directory, kind == Kind::Directory) {
            (true, true) | (false, false) => Ok(()),
            (directory, _) => Err(Error::Overwrites {
                directory,
                path: format!("/{}", String::from_utf8_lossy(path)),
            }),
        }
    }

    /// The archive's own root can only be a directory.
    fn place_root<R: BufRead>(&mut self, entry: &Entry, data: &Reader<R>) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            return Err(data.broken(Malformed::Name(entry.name())));
        }
        attributes(&self.outer, OsStr::new(self.name), entry)
            .map_err(|e| failed("set the attributes of", b"/", e))?;
        self.times
            .keep(b"", entry.modified)
            .map_err(|m| data.broken(m))
    }

    fn file<R: BufRead>(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &[u8],
        entry: &Entry,
        data: &mut Reader<R>,
    ) -> Result<(), Error> {
        let mut file = self
            .over(dir, name, path, |dir| dir.create_file(name))
            .map_err(|e| failed("create", path, e))?;
        self.bytes += write(&mut file, path, entry, data, &mut self.room)?;
        sys::dir::set_file_attributes(&file, entry.uid, entry.gid, entry.mode, entry.modified)
            .and_then(|()| xattrs(dir, name, entry))
            .map_err(|e| failed("set the attributes of", path, e))
    }

    fn directory<R: BufRead>(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &[u8],
        entry: &Entry,
        data: &Reader<R>,
    ) -> Result<(), Error> {
        self.make_dir(dir, name, path)
            .map_err(|e| failed("make the directory", path, e))?;
        attributes(dir, name, entry).map_err(|e| failed("set the attributes of", path, e))?;
        self.times
            .keep(path, entry.modified)
            .map_err(|m| data.broken(m))
    }

    fn hard_link<R: BufRead>(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &[u8],
        entry: &Entry,
        data: &Reader<R>,
    ) -> Result<(), Error> {
        let target = clean(&entry.link).map_err(|m| data.broken(m))?;
        let missing = || {
            data.broken(Malformed::NoLinkTarget(
                String::from_utf8_lossy(&entry.link).into_owned(),
            ))
        };
        let from = self
            .root
            .open_in_root(parent(&target))
            .map_err(|_| missing())?;
        let source = OsStr::from_bytes(last(&target));
        let there = from.status(source).map_err(|_| missing())?;
        if target.is_empty() || there.kind == FileKind::Directory {
            return Err(data.broken(Malformed::Name(entry.name())));
        }
        // A link to itself, or a second time: there it is.
        if dir
            .status(name)
            .is_ok_and(|here| here.identity == there.identity)
        {
            return Ok(());
        }
        self.over(dir, name, path, |dir| dir.make_link(name, &from, source))
            .map_err(|e| failed("make the hard link", path, e))
    }

    /// A whiteout. It is about the layers below: what this one has under the name stays.
    fn remove<R: BufRead>(&mut self, path: &[u8], data: &Reader<R>) -> Result<(), Error> {
        let dir = self.parent(parent(path), data)?;
        let name = OsStr::from_bytes(last(path));
        match dir.make_node(name, WHITEOUT) {
            Err(error) if error.errno == Errno::EXIST => {
                let is_dir = dir
                    .status(name)
                    .is_ok_and(|s| s.kind == FileKind::Directory);
                if is_dir {
                    self.set_opaque(path, data)
                } else {
                    Ok(())
                }
            }
            answer => answer.map_err(|e| failed("make the whiteout of", path, e)),
        }
    }

    fn set_opaque<R: BufRead>(&self, path: &[u8], data: &Reader<R>) -> Result<(), Error> {
        let set = |dir: &Dir, name: &OsStr| {
            sys::xattr::set(
                dir,
                name,
                OsStr::new(whiteout::OPAQUE_KEY),
                whiteout::OPAQUE_VALUE,
            )
        };
        // The layer's own root may be opaque too: then nothing below shows at all.
        let answer = if path.is_empty() {
            set(&self.outer, OsStr::new(DIFF))
        } else {
            let dir = self.open_parent(parent(path), data)?;
            set(&dir, OsStr::from_bytes(last(path)))
        };
        answer.map_err(|e| failed("make opaque", path, e))
    }

    /// Makes something where something else may be, which then has to go.
    fn over<T>(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &[u8],
        make: impl Fn(&Dir) -> sys::Result<T>,
    ) -> sys::Result<T> {
        match make(dir) {
            Err(error) if error.errno == Errno::EXIST => {
                self.clear(dir, name, path)?;
                make(dir)
            }
            answer => answer,
        }
    }

    /// Makes a directory, or keeps the one that is there.
    fn make_dir(&mut self, dir: &Dir, name: &OsStr, path: &[u8]) -> sys::Result<()> {
        match dir.make_dir(name) {
            Err(error) if error.errno == Errno::EXIST => {}
            answer => return answer,
        }
        let there = dir.status(name)?;
        if there.kind == FileKind::Directory {
            return Ok(());
        }
        self.clear(dir, name, path)?;
        dir.make_dir(name)?;
        if is_whiteout(&there) {
            // The layer removes what was below and brings its own.
            let key = OsStr::new(whiteout::OPAQUE_KEY);
            sys::xattr::set(dir, name, key, whiteout::OPAQUE_VALUE)?;
        }
        Ok(())
    }

    /// Removes what an earlier entry left.
    fn clear(&mut self, dir: &Dir, name: &OsStr, path: &[u8]) -> sys::Result<()> {
        self.replaced = true;
        if !matches!(self.clearing, Clearing::Discard(_)) {
            refuse_mount(dir, name)?;
        }
        match dir.status(name)?.kind {
            FileKind::Directory => {
                match self.clearing {
                    Clearing::Discard(trash) => trash.discard_at(dir, name)?,
                    Clearing::Remove | Clearing::Refuse => remove(dir, name, 0)?,
                }
                self.parents.clear();
                self.times.forget(path);
                Ok(())
            }
            FileKind::Symlink => {
                self.parents.clear();
                dir.remove_file(name)
            }
            _ => dir.remove_file(name),
        }
    }

    /// The directory at `path`, made with all above it where the archive did not name it.
    fn parent<R: BufRead>(&mut self, path: &[u8], data: &Reader<R>) -> Result<Rc<Dir>, Error> {
        if path.is_empty() {
            return Ok(Rc::clone(&self.root));
        }
        if let Some(dir) = self.parents.get(path) {
            return Ok(Rc::clone(dir));
        }
        let dir = match self.root.open_in_root(path) {
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => {
                self.make_parents(path, data)?
            }
            answer => answer.map_err(|e| failed("open the directory", path, e))?,
        };
        if self.parents.len() == MAX_PARENTS {
            self.parents.clear();
        }
        let dir = Rc::new(dir);
        self.parents.insert(path.to_vec(), Rc::clone(&dir));
        Ok(dir)
    }

    fn make_parents<R: BufRead>(&mut self, path: &[u8], data: &Reader<R>) -> Result<Dir, Error> {
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'/')
            .map(|(i, _)| i);
        for end in ends.chain([path.len()]).collect::<Vec<_>>() {
            let path = &path[..end];
            if self.root.open_in_root(path).is_ok() {
                continue;
            }
            let dir = self.open_parent(parent(path), data)?;
            let name = OsStr::from_bytes(last(path));
            let made = match dir.status(name) {
                Ok(there) if !is_whiteout(&there) => {
                    let path = String::from_utf8_lossy(path).into_owned();
                    return Err(data.broken(Malformed::NotADirectory(path)));
                }
                _ => self
                    .make_dir(&dir, name, path)
                    .and_then(|()| dir.set_mode(name, 0o755)),
            };
            made.map_err(|e| failed("make the directory", path, e))?;
        }
        self.open_parent(path, data)
    }

    fn open_parent<R: BufRead>(&self, path: &[u8], data: &Reader<R>) -> Result<Dir, Error> {
        self.root
            .open_in_root(path)
            .map_err(|error| match error.errno {
                Errno::NOTDIR => data.broken(Malformed::NotADirectory(
                    String::from_utf8_lossy(path).into_owned(),
                )),
                _ => failed("open the directory", path, error),
            })
    }
}

/// Refuses to remove what something is mounted on: all that is in it is somebody else's. The kernel does
/// so itself only in the mount namespace of whoever asks.
fn refuse_mount(dir: &Dir, name: &OsStr) -> sys::Result<()> {
    match sys::mount::id_at(dir, name)? == sys::mount::id(dir)? {
        true => Ok(()),
        false => Err(sys::Error {
            call: "unlinkat",
            errno: Errno::BUSY,
        }),
    }
}

/// Removes a directory with all that is in it, as far as nothing is mounted there.
fn remove(parent: &Dir, name: &OsStr, depth: usize) -> sys::Result<()> {
    /// Directories open at a time. What lies deeper is refused.
    const MAX_DEPTH: usize = 256;
    if depth == MAX_DEPTH {
        return Err(sys::Error {
            call: "unlinkat",
            errno: Errno::NAMETOOLONG,
        });
    }
    let dir = parent.open_dir(name)?;
    let entries: Vec<_> = dir.entries()?.collect::<sys::Result<_>>()?;
    for (entry, _) in entries {
        let entry = sys::dir::name(&entry);
        refuse_mount(&dir, entry)?;
        match dir.status(entry)?.kind {
            FileKind::Directory => remove(&dir, entry, depth + 1)?,
            _ => dir.remove_file(entry)?,
        }
    }
    parent.remove_dir(name)
}

/// Writes a file's data; returns how much it was.
fn write<R: BufRead>(
    file: &mut std::fs::File,
    path: &[u8],
    entry: &Entry,
    data: &mut Reader<R>,
    room: &mut Room,
) -> Result<u64, Error> {
    let wrong = |error: std::io::Error| {
        let errno = Errno(error.raw_os_error().unwrap_or(0));
        failed(
            "write",
            path,
            sys::Error {
                call: "write",
                errno,
            },
        )
    };
    let Some(pieces) = &entry.pieces else {
        return copy(file, 0, entry.size, data, room, wrong).map(|()| entry.size);
    };
    let mut bytes = 0;
    for piece in pieces {
        file.seek(SeekFrom::Start(piece.offset)).map_err(wrong)?;
        copy(file, piece.offset, piece.length, data, room, wrong)?;
        bytes += piece.length;
    }
    file.set_len(entry.size).map_err(wrong)?;
    Ok(bytes)
}

fn copy<R: BufRead>(
    file: &mut std::fs::File,
    mut offset: u64,
    mut left: u64,
    data: &mut Reader<R>,
    room: &mut Room,
    wrong: impl Fn(std::io::Error) -> Error,
) -> Result<(), Error> {
    let mut writing = offset;
    while left > 0 {
        let bytes = data.data()?;
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if count == 0 {
            return Err(data.broken(Malformed::Truncated));
        }
        room.bytes(count).map_err(|e| wrong(e.into()))?;
        file.write_all(&bytes[..count]).map_err(&wrong)?;
        data.consume(count);
        left -= count as u64;
        offset += count as u64;
        write_early(file, &mut writing, offset);
    }
    Ok(())
}

/// Owner, permissions, attributes and time of what is not a regular file. The owner comes first:
/// changing it clears set-id bits and capabilities.
fn attributes(dir: &Dir, name: &OsStr, entry: &Entry) -> sys::Result<()> {
    dir.set_owner(name, entry.uid, entry.gid)?;
    if entry.kind != Kind::Symlink {
        dir.set_mode(name, entry.mode)?;
    }
    xattrs(dir, name, entry)?;
    if entry.kind != Kind::Directory {
        dir.set_modified(name, entry.modified)?;
    }
    Ok(())
}

fn xattrs(dir: &Dir, name: &OsStr, entry: &Entry) -> sys::Result<()> {
    for (key, value) in &entry.xattrs {
        if whiteout::is_reserved(key) {
            continue;
        }
        match sys::xattr::set(dir, name, OsStr::from_bytes(key), value) {
            // The file system has none of that kind, or not on links and devices: as Docker does.
            Err(error) if matches!(error.errno, Errno::OPNOTSUPP | Errno::PERM) => {}
            answer => answer?,
        }
    }
    Ok(())
}

fn failed(action: &'static str, path: &[u8], source: sys::Error) -> Error {
    Error::Place {
        action,
        entry: String::from_utf8_lossy(path).into_owned(),
        source,
    }
}

/// A path inside the root without `.` and `..`; the root itself is empty. Absolute ones are inside,
/// those that climb out are refused, as Docker does: no honest archive has them.
pub(crate) fn clean(path: &[u8]) -> Result<Vec<u8>, Malformed> {
    let text = || String::from_utf8_lossy(path).into_owned();
    if path.contains(&0) {
        return Err(Malformed::Name(text()));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop().ok_or_else(|| Malformed::Escapes(text()))?),
            part => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

/// The path without its last component.
pub(super) fn parent(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|b| *b == b'/')
        .map_or(&[], |slash| &path[..slash])
}

/// The last component.
pub(super) fn last(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|b| *b == b'/')
        .map_or(path, |slash| &path[slash + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let show = |path: &str| match clean(path.as_bytes()) {
            Ok(path) => String::from_utf8(path).unwrap(),
            Err(error) => error.to_string(),
        };
        let table = [
            "./a//b/",
            "/etc/passwd",
            "a/../b",
            ".",
            "",
            "../x",
            "a/../../x",
            "a\0b",
        ]
        .map(|path| format!("{path:?}: {}", show(path)));
        assert_eq!(
            table,
            [
                "\"./a//b/\": a/b",
                "\"/etc/passwd\": etc/passwd",
                "\"a/../b\": b",
                "\".\": ",
                "\"\": ",
                "\"../x\": the path \"../x\" leads outside of the root",
                "\"a/../../x\": the path \"a/../../x\" leads outside of the root",
                "\"a\\0b\": the path \"a\\0b\" cannot be a file's name",
            ]
        );
        assert_eq!(
            (parent(b"a/b/c"), last(b"a/b/c")),
            (b"a/b".as_slice(), b"c".as_slice())
        );
        assert_eq!(
            (parent(b"a"), last(b"a")),
            (b"".as_slice(), b"a".as_slice())
        );
    }
}
