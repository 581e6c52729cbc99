//! A tree into an empty directory: owners, modes, times, attributes, hard links, holes; by reference
//! where the file system can.
//!
//! Somebody may change what is read meanwhile, and lead nowhere by it: no name is followed, and what
//! is opened has been looked at. The same holds for what is written: containers may have the volume,
//! and owner, mode, attributes and times are given to what was made, not to what has its name now.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use sys::Errno;
use sys::copy::Copied;
use sys::dir::{self, Dir, Entries, Kind, Node, Status};
use sys::pin::Pinned;

use super::linked::Linked;
use crate::layer::is_reserved;

/// Directories open at a time, each with its copy. What lies deeper is refused.
const MAX_DEPTH: usize = 256;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopiedTree {
    /// Files whose bytes were not copied, because they are shared until one side is changed.
    pub by_reference: u64,
    /// Files whose bytes were.
    pub by_bytes: u64,
}

/// Why a tree could not be copied, and at which path in it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) path: Vec<u8>,
    pub(crate) source: sys::Error,
}

/// One directory on the way down.
struct Level {
    from: Dir,
    to: Dir,
    entries: Entries,
    /// How long the path was before this directory's name.
    length: usize,
    name: OsString,
    status: Status,
}

struct Copy {
    /// The path of what is being copied, from the root of the tree.
    path: Vec<u8>,
    /// Files of several names: where the first one was put.
    linked: Linked,
    copied: CopiedTree,
}

/// Copies everything in `from`, and the directory's own attributes.
pub(crate) fn tree(from: &Dir, to: &Dir) -> Result<CopiedTree, Failure> {
    let mut copy = Copy {
        path: Vec::new(),
        linked: Linked::default(),
        copied: CopiedTree::default(),
    };
    let at_root = |source| Failure {
        path: Vec::new(),
        source,
    };
    // A descriptor of its own to read names from.
    let here = OsStr::new(".");
    let status = from.own_status().map_err(at_root)?;
    let reading = from.open_dir(here).map_err(at_root)?;
    let root = to.open_dir(here).map_err(at_root)?;
    match copy.below(reading, root, status) {
        Ok(()) => {}
        Err(source) => {
            return Err(Failure {
                path: copy.path,
                source,
            });
        }
    }
    attributes(from, here, &Pinned::of(to), &status).map_err(at_root)?;
    Ok(copy.copied)
}

/// What cannot be kept in mind, as a copy fails.
fn kept(error: rusqlite::Error) -> sys::Error {
    let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    sys::Error {
        call: "write",
        errno: if full { Errno::NOSPC } else { Errno::IO },
    }
}

impl Copy {
    fn below(&mut self, from: Dir, to: Dir, status: Status) -> sys::Result<()> {
        let root = to.open_dir(OsStr::new("."))?;
        let entries = from.entries()?;
        let mut levels = vec![Level {
            from,
            to,
            entries,
            length: 0,
            name: OsString::new(),
            status,
        }];
        loop {
            let depth = levels.len();
            let Some(level) = levels.last_mut() else {
                return Ok(());
            };
            let Some(entry) = level.entries.next() else {
                let done = levels.pop();
                if let (Some(done), Some(above)) = (done, levels.last()) {
                    attributes(&above.from, &done.name, &Pinned::of(&done.to), &done.status)?;
                    self.path.truncate(done.length);
                }
                continue;
            };
            let (name, _) = entry?;
            let name = dir::name(&name);
            let length = self.path.len();
            self.enter(name);
            match self.one(level, &root, name, depth)? {
                Some(next) => levels.push(Level { length, ..next }),
                None => self.path.truncate(length),
            }
        }
    }

    fn enter(&mut self, name: &OsStr) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.as_bytes());
    }

    /// Copies one name; a directory is to be gone into.
    fn one(
        &mut self,
        level: &Level,
        root: &Dir,
        name: &OsStr,
        depth: usize,
    ) -> sys::Result<Option<Level>> {
        let (from, to) = (&level.from, &level.to);
        let status = match from.status(name) {
            // It is gone since the directory was read.
            Err(error) if error.errno == Errno::NOENT => return Ok(None),
            answer => answer?,
        };
        if status.links > 1
            && status.kind != Kind::Directory
            && self.link(root, to, name, &status)?
        {
            return Ok(None);
        }
        let (major, minor) = status.device;
        match status.kind {
            Kind::Directory => return directory(from, to, name, status, depth).map(Some),
            Kind::File => return self.file(from, to, name, &status).map(|()| None),
            Kind::Symlink => to.make_symlink(name, dir::name(&from.read_symlink(name)?))?,
            Kind::CharDevice => to.make_node(name, Node::CharDevice(major, minor))?,
            Kind::BlockDevice => to.make_node(name, Node::BlockDevice(major, minor))?,
            Kind::Fifo => to.make_node(name, Node::Fifo)?,
            // A socket without its listener is good for nothing.
            Kind::Socket | Kind::Unknown => return Ok(None),
        }
        attributes(from, name, &made(to, name, &status)?, &status)?;
        Ok(None)
    }

    /// A further name of a file that was copied already; whether it was one.
    fn link(&mut self, root: &Dir, to: &Dir, name: &OsStr, status: &Status) -> sys::Result<bool> {
        let names = status.links;
        let first = self.linked.first(status.identity, names, &self.path);
        let Some(first) = first.map_err(kept)? else {
            return Ok(false);
        };
        let (parent, last) = match first.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&first[..slash], &first[slash + 1..]),
            None => (&[][..], first.as_slice()),
        };
        to.make_link(name, &root.open_in_root(parent)?, OsStr::from_bytes(last))?;
        Ok(true)
    }

    fn file(&mut self, from: &Dir, to: &Dir, name: &OsStr, status: &Status) -> sys::Result<()> {
        let source = from.open_regular(name)?;
        let copy = to.create_file(name)?;
        match sys::copy::content(&source, &copy)? {
            Copied::ByReference => self.copied.by_reference += 1,
            Copied::Bytes => self.copied.by_bytes += 1,
        }
        attributes(from, name, &Pinned::of(&copy), status)
    }
}

fn directory(
    from: &Dir,
    to: &Dir,
    name: &OsStr,
    status: Status,
    depth: usize,
) -> sys::Result<Level> {
    if depth >= MAX_DEPTH {
        return Err(sys::Error {
            call: "openat",
            errno: Errno::NAMETOOLONG,
        });
    }
    to.make_dir(name)?;
    let from = from.open_dir(name)?;
    Ok(Level {
        entries: from.entries()?,
        from,
        to: to.open_dir(name)?,
        length: 0,
        name: name.to_owned(),
        status,
    })
}

/// The link, device or pipe that was just made; EAGAIN when somebody has put something else there.
fn made(to: &Dir, name: &OsStr, status: &Status) -> sys::Result<Pinned> {
    let made = Pinned::open(to, name)?;
    let there = made.status()?;
    if there.kind != status.kind || there.device != status.device {
        return Err(sys::Error {
            call: "openat",
            errno: Errno::AGAIN,
        });
    }
    Ok(made)
}

/// From `name` to its copy. The owner first, because changing it clears set-id bits and capabilities;
/// the times last.
fn attributes<F: AsFd>(
    from: &Dir,
    name: &OsStr,
    to: &Pinned<F>,
    status: &Status,
) -> sys::Result<()> {
    to.set_owner(status.uid, status.gid)?;
    if status.kind != Kind::Symlink {
        to.set_mode(status.mode)?;
    }
    for key in sys::xattr::list(from, name)? {
        if is_reserved(key.as_bytes()) {
            continue;
        }
        let value = match sys::xattr::get(from, name, &key) {
            Err(error) if error.errno == Errno::NODATA => continue,
            answer => answer?,
        };
        match to.set_xattr(&key, &value) {
            // The file system has none of that kind, or not on links and devices.
            Err(error) if matches!(error.errno, Errno::OPNOTSUPP | Errno::PERM) => {}
            answer => answer?,
        }
    }
    to.set_modified(status.modified)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn everything_arrives_as_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from"), temp.path().join("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir(&to).unwrap();
        sys::file::replace_unsynced(&from.join("a/file"), b"text", 0o644).unwrap();
        std::fs::hard_link(from.join("a/file"), from.join("a/b/again")).unwrap();
        symlink("/etc/passwd", from.join("a/link")).unwrap();
        let secret = std::fs::Permissions::from_mode(0o4710);
        std::fs::set_permissions(from.join("a/file"), secret).unwrap();
        std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o750)).unwrap();
        let open = |path: &std::path::Path| Dir::open(path).unwrap();
        open(&from.join("a"))
            .set_modified(OsStr::new("b"), (1_000_000, 5))
            .unwrap();
        let copied = tree(&open(&from), &open(&to)).unwrap();
        assert_eq!(copied.by_reference + copied.by_bytes, 1);
        assert_eq!(
            std::fs::read_to_string(to.join("a/b/again")).unwrap(),
            "text"
        );
        let status = |path: &str| std::fs::symlink_metadata(to.join(path)).unwrap();
        assert_eq!(status("a/file").ino(), status("a/b/again").ino());
        assert_eq!(status("a/file").mode() & 0o7777, 0o4710);
        assert_eq!(status("").mode() & 0o7777, 0o750);
        assert_eq!(status("a/b").mtime(), 1_000_000);
        assert_eq!(
            std::fs::read_link(to.join("a/link")).unwrap().to_str(),
            Some("/etc/passwd")
        );
    }

    #[test]
    fn a_tree_deeper_than_can_be_open_is_refused_by_path() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from"), temp.path().join("to"));
        std::fs::create_dir_all(from.join("d/".repeat(MAX_DEPTH + 1))).unwrap();
        std::fs::create_dir(&to).unwrap();
        let open = |path: &std::path::Path| Dir::open(path).unwrap();
        let failure = tree(&open(&from), &open(&to)).unwrap_err();
        assert_eq!(failure.source.errno, Errno::NAMETOOLONG);
        assert!(failure.path.starts_with(b"d/d/"));
    }
}
