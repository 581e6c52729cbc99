//! The directory that files are received into: what is told of is compared with what is there, in the
//! order of a walk, and what is not told of goes.
//!
//! Every name is one component below a directory held by its descriptor: no path of the client's is
//! resolved, so neither `..` nor a link it has sent leads anywhere.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use buildkit::sync::Stat;
use sys::dir::{self, Dir, Node};

use super::Error;
use super::mode::{Kind, permissions, time};
use crate::solve::Change;

/// The longest path, as the kernel has it.
const LONGEST_PATH: usize = 4096;
/// The longest name.
const LONGEST_NAME: usize = 255;
/// So many files are received at most.
const MOST_FILES: u32 = 2_000_000;

/// What is to be done about a file's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Nothing: it is there, or has none.
    Kept,
    /// They are wanted.
    Wanted,
}

/// A tree while it is compared.
pub(super) struct Tree<'a> {
    root: &'a Dir,
    /// The directories from the root to where the walk is.
    open: Vec<Level>,
    /// What is set when all is there, as making files changes it.
    directories: Vec<Stat>,
    /// Second names, made when their files are there.
    links: Vec<Stat>,
    seen: u32,
    /// What is another thing than it was before.
    changes: Vec<Change>,
}

/// A directory on the way.
struct Level {
    path: String,
    /// None is the root.
    dir: Option<Dir>,
    /// What was there before and has not been told of.
    left: BTreeSet<OsString>,
    told: BTreeSet<String>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: &'a Dir) -> Result<Self, Error> {
        let mut tree = Self {
            root,
            open: Vec::new(),
            directories: Vec::new(),
            links: Vec::new(),
            seen: 0,
            changes: Vec::new(),
        };
        let own = root.open_dir(OsStr::new(".")).map_err(at("."))?;
        let left = names(&own).map_err(at("."))?;
        tree.open.push(Level {
            path: String::new(),
            dir: None,
            left,
            told: BTreeSet::new(),
        });
        Ok(tree)
    }

    /// Takes the next file of the walk.
    pub(super) fn take(&mut self, stat: Stat) -> Result<Bytes, Error> {
        self.seen += 1;
        if self.seen > MOST_FILES {
            let sentence = format!("it has more than {MOST_FILES} files");
            return Err(Error::Protocol(sentence));
        }
        let (above, name) = split(&stat.path)?;
        if stat.linkname.len() > LONGEST_PATH {
            let sentence = format!(
                "the link {:?} is longer than {LONGEST_PATH} bytes",
                stat.path
            );
            return Err(Error::Protocol(sentence));
        }
        self.climb(above)?;
        let name = OsStr::new(name).to_owned();
        let Some(level) = self.open.last_mut() else {
            return Err(out_of_order(&stat.path));
        };
        if !level.told.insert(name.to_string_lossy().into_owned()) {
            let sentence = format!("{:?} is there twice", stat.path);
            return Err(Error::Protocol(sentence));
        }
        let there = level.left.remove(&name);
        let failed = at(&stat.path);
        let dir = level.dir.as_ref().unwrap_or(self.root);
        let kind = Kind::of(&stat)?;
        if kind == Kind::Directory {
            return self.enter(&name, there, stat);
        }
        if there && same(dir, &name, &stat, kind) {
            return Ok(Bytes::Kept);
        }
        self.changes.push(Change::all(&stat.path));
        match kind {
            Kind::File if !stat.linkname.is_empty() => {
                clear(dir, &name, there).map_err(failed)?;
                self.links.push(stat);
                Ok(Bytes::Kept)
            }
            Kind::File => {
                if there && !is_file(dir, &name) {
                    clear(dir, &name, there).map_err(failed)?;
                }
                Ok(Bytes::Wanted)
            }
            Kind::Socket => {
                clear(dir, &name, there).map_err(failed)?;
                Ok(Bytes::Kept)
            }
            Kind::Link => {
                clear(dir, &name, there).map_err(&failed)?;
                let target = OsStr::new(&stat.linkname);
                dir.make_symlink(&name, target).map_err(&failed)?;
                dir.set_owner(&name, stat.uid, stat.gid).map_err(&failed)?;
                dir.set_modified(&name, time(&stat)).map_err(failed)?;
                Ok(Bytes::Kept)
            }
            kind => {
                clear(dir, &name, there).map_err(&failed)?;
                dir.make_node(&name, node(kind, &stat)?).map_err(&failed)?;
                attributes(dir, &name, &stat).map_err(failed)?;
                Ok(Bytes::Kept)
            }
        }
    }

    /// Leaves directories until the walk is in the one that is named.
    fn climb(&mut self, above: &str) -> Result<(), Error> {
        while let Some(level) = self.open.last() {
            if level.path == above {
                return Ok(());
            }
            self.leave()?;
        }
        Err(out_of_order(above))
    }

    /// What was not told of goes.
    fn leave(&mut self) -> Result<(), Error> {
        let Some(level) = self.open.pop() else {
            return Ok(());
        };
        let dir = level.dir.as_ref().unwrap_or(self.root);
        for name in &level.left {
            let gone = join(&level.path, &name.to_string_lossy());
            self.changes.push(Change::all(&gone));
            clear(dir, name, true).map_err(at(&level.path))?;
        }
        Ok(())
    }

    fn enter(&mut self, name: &OsStr, there: bool, stat: Stat) -> Result<Bytes, Error> {
        let failed = at(&stat.path);
        let dir = self.open.last().and_then(|level| level.dir.as_ref());
        let dir = dir.unwrap_or(self.root);
        let is_dir = there
            && dir
                .status(name)
                .is_ok_and(|status| status.kind == dir::Kind::Directory);
        if !is_dir {
            clear(dir, name, there).map_err(&failed)?;
            dir.make_dir(name).map_err(&failed)?;
            self.changes.push(Change::all(&stat.path));
        }
        let own = dir.open_dir(name).map_err(&failed)?;
        let left = names(&own).map_err(failed)?;
        self.open.push(Level {
            path: stat.path.clone(),
            dir: Some(own),
            left,
            told: BTreeSet::new(),
        });
        self.directories.push(stat);
        Ok(Bytes::Kept)
    }

    /// The walk is at its end.
    pub(super) fn walked(&mut self) -> Result<(), Error> {
        while !self.open.is_empty() {
            self.leave()?;
        }
        Ok(())
    }

    /// All bytes are there: second names, and what directories are. What is another thing than it was before.
    pub(super) fn finish(self) -> Result<Vec<Change>, Error> {
        let mut changes = self.changes;
        for stat in &self.links {
            link(self.root, stat)?;
        }
        // Those below first: to set what is below changes nothing above.
        for stat in self.directories.iter().rev() {
            let (above, name) = split(&stat.path)?;
            let failed = at(&stat.path);
            let dir = parent(self.root, above).map_err(&failed)?;
            let name = OsStr::new(name);
            let status = dir.status(name).map_err(&failed)?;
            if differs(&status, stat) {
                attributes(&dir, name, stat).map_err(failed)?;
                changes.push(Change::own(&stat.path));
            }
        }
        Ok(changes)
    }
}

/// The directory above a file whose path has been checked.
pub(super) fn parent(root: &Dir, above: &str) -> sys::Result<Dir> {
    root.open_in_root(above.as_bytes())
}

/// The path of the directory, and the name in it.
pub(super) fn split(path: &str) -> Result<(&str, &str), Error> {
    let wrong = |why: &str| {
        let shown: String = path.chars().take(200).collect();
        Error::Protocol(format!("the path {shown:?} {why}"))
    };
    if path.len() > LONGEST_PATH {
        return Err(wrong("is longer than 4096 bytes"));
    }
    for name in path.split('/') {
        match name {
            "" => return Err(wrong("has an empty name in it")),
            "." | ".." => return Err(wrong("has a name that leads elsewhere")),
            name if name.len() > LONGEST_NAME => {
                return Err(wrong("has a name longer than 255 bytes"));
            }
            name if name.contains('\0') => return Err(wrong("has a zero byte in it")),
            _ => {}
        }
    }
    Ok(path.rsplit_once('/').unwrap_or(("", path)))
}

fn join(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    }
}

fn out_of_order(path: &str) -> Error {
    Error::Protocol(format!("{path:?} comes before its directory, or too late"))
}

fn at(path: &str) -> impl Fn(sys::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Disk {
        path: path.clone(),
        source,
    }
}

fn names(dir: &Dir) -> sys::Result<BTreeSet<OsString>> {
    let entries = dir.entries()?;
    entries
        .map(|entry| entry.map(|(name, _)| dir::name(&name).to_owned()))
        .collect()
}

/// Whether it is a regular file of this one name, which can be written over.
fn is_file(dir: &Dir, name: &OsStr) -> bool {
    let status = dir.status(name);
    status.is_ok_and(|status| status.kind == dir::Kind::File && status.links == 1)
}

/// Whether a regular file or a symbolic link is there that is not told apart from the one that is meant.
fn same(dir: &Dir, name: &OsStr, stat: &Stat, kind: Kind) -> bool {
    let Ok(status) = dir.status(name) else {
        return false;
    };
    match kind {
        Kind::File => {
            stat.linkname.is_empty()
                && status.kind == dir::Kind::File
                && status.links == 1
                && i64::try_from(status.size) == Ok(stat.size)
                && !differs(&status, stat)
        }
        Kind::Link => {
            status.kind == dir::Kind::Symlink
                && (status.uid, status.gid) == (stat.uid, stat.gid)
                && status.modified == time(stat)
                && dir
                    .read_symlink(name)
                    .is_ok_and(|target| target.as_bytes() == stat.linkname.as_bytes())
        }
        _ => false,
    }
}

fn differs(status: &dir::Status, stat: &Stat) -> bool {
    (status.mode, status.uid, status.gid) != (permissions(stat), stat.uid, stat.gid)
        || status.modified != time(stat)
}

/// The owner comes first: to set it takes set-id bits away.
fn attributes(dir: &Dir, name: &OsStr, stat: &Stat) -> sys::Result<()> {
    dir.set_owner(name, stat.uid, stat.gid)?;
    dir.set_mode(name, permissions(stat))?;
    dir.set_modified(name, time(stat))
}

fn node(kind: Kind, stat: &Stat) -> Result<Node, Error> {
    let number = |number: i64| {
        u32::try_from(number).map_err(|_| {
            let sentence = format!("{:?} has the impossible device number {number}", stat.path);
            Error::Protocol(sentence)
        })
    };
    Ok(match kind {
        Kind::Character => Node::CharDevice(number(stat.major)?, number(stat.minor)?),
        Kind::Block => Node::BlockDevice(number(stat.major)?, number(stat.minor)?),
        _ => Node::Fifo,
    })
}

fn link(root: &Dir, stat: &Stat) -> Result<(), Error> {
    let failed = at(&stat.path);
    let (above, name) = split(&stat.path)?;
    let (above_first, first) = split(&stat.linkname)?;
    let from = parent(root, above_first).map_err(&failed)?;
    let into = parent(root, above).map_err(&failed)?;
    into.make_link(OsStr::new(name), &from, OsStr::new(first))
        .map_err(failed)
}

/// Removes what has a name, with all that is below it.
fn clear(dir: &Dir, name: &OsStr, there: bool) -> sys::Result<()> {
    if !there {
        return Ok(());
    }
    if dir.status(name)?.kind != dir::Kind::Directory {
        return dir.remove_file(name);
    }
    // Not by recursion: whoever made the tree chose how deep it is.
    let mut ahead = vec![(dir.open_dir(name)?, OsString::from(name))];
    while let Some((inner, own)) = ahead.last() {
        let mut deeper = None;
        for entry in inner.entries()? {
            let (entry, _) = entry?;
            let entry = dir::name(&entry);
            if inner.status(entry)?.kind == dir::Kind::Directory {
                deeper = Some((inner.open_dir(entry)?, entry.to_owned()));
                break;
            }
            inner.remove_file(entry)?;
        }
        match deeper {
            Some(deeper) => ahead.push(deeper),
            None => {
                let own = own.clone();
                ahead.pop();
                let above = ahead.last().map_or(dir, |(above, _)| above);
                above.remove_dir(&own)?;
            }
        }
    }
    Ok(())
}
