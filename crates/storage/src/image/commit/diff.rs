//! What a container's own layer changes, as an archive (OCI image specification, "Layer"): files that
//! are new or changed, the directories on the way to them, and what stands for what is gone.
//!
//! A directory is told when it is not what the image has, or with the first thing in it that is told:
//! who only looked into it has changed nothing. In order, so that the same files make the same archive.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use sys::dir::{self, Dir, Kind, Status};

use crate::error::Error;
use crate::layer::{GONE, OPAQUE_NAME, is_opaque, is_reserved, is_whiteout};
use crate::volume::archive::Export;

/// Directories open at a time.
const MAX_DEPTH: usize = 256;

/// Writes it; whether there is anything in it. `below` is what the image has, and `places` are paths
/// that are not told where it has nothing.
pub(super) fn write(
    upper: &Dir,
    below: &Dir,
    places: &[&str],
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let mut walk = Walk {
        out: Export::new(out),
        places,
        any: false,
    };
    walk.directory(upper, Some(below), None, 0)?;
    let any = walk.any;
    walk.out.end()?;
    Ok(any)
}

struct Walk<'a> {
    out: Export<'a>,
    places: &'a [&'a str],
    any: bool,
}

/// A directory on the way down.
struct Way<'a> {
    above: Option<&'a Way<'a>>,
    /// What it is in, and what it is called there.
    holder: &'a Dir,
    name: &'a OsStr,
    status: Status,
    /// Of its path.
    length: usize,
    told: Cell<bool>,
}

impl Walk<'_> {
    fn directory(
        &mut self,
        upper: &Dir,
        below: Option<&Dir>,
        way: Option<&Way<'_>>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth == MAX_DEPTH {
            let errno = sys::Errno::NAMETOOLONG;
            return Err(self.out.failed(sys::Error {
                call: "openat",
                errno,
            }));
        }
        let length = self.out.path.len();
        for name in self.out.names(upper)? {
            let name = dir::name(&name);
            if length > 0 {
                self.out.path.push(b'/');
            }
            self.out.path.extend_from_slice(name.as_bytes());
            // It may go while it is looked at.
            match upper.status(name) {
                Err(error) if error.errno == sys::Errno::NOENT => {}
                Err(error) => return Err(self.out.failed(error)),
                Ok(here) => self.entry(upper, below, way, (name, here), depth)?,
            }
            self.out.path.truncate(length);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        upper: &Dir,
        below: Option<&Dir>,
        way: Option<&Way<'_>>,
        (name, here): (&OsStr, Status),
        depth: usize,
    ) -> Result<(), Error> {
        let there = below.and_then(|below| below.status(name).ok());
        if is_whiteout(&here) {
            return match there {
                Some(_) => self.mark(way, &[GONE, name.as_bytes()].concat()),
                None => Ok(()),
            };
        }
        if there.is_none() && self.is_place() {
            return Ok(());
        }
        if name.as_bytes().starts_with(GONE) {
            let what = format!("file {}", String::from_utf8_lossy(&self.out.path));
            let problem = "cannot be in an image: names that begin with \".wh.\" stand for what is \
                           gone; rename it";
            return Err(Error::image(what, problem));
        }
        if here.kind != Kind::Directory {
            self.tell(way)?;
            self.any = true;
            return self.out.entry(upper, name, &here);
        }
        let merged = there.filter(|there| there.kind == Kind::Directory);
        let here = Way {
            above: way,
            holder: upper,
            name,
            status: here,
            length: self.out.path.len(),
            told: Cell::new(false),
        };
        self.below(&here, below, merged, depth)
    }

    /// A directory, and what is in it.
    fn below(
        &mut self,
        here: &Way<'_>,
        below: Option<&Dir>,
        merged: Option<Status>,
        depth: usize,
    ) -> Result<(), Error> {
        let opened = here.holder.open_dir(here.name);
        let opened = opened.map_err(|e| self.out.failed(e))?;
        let hides = merged.is_some() && is_opaque(here.holder, here.name);
        let beside = match (below, merged) {
            (Some(below), Some(there)) => Some((below, there)),
            _ => None,
        };
        let same = beside.is_some_and(|(below, there)| self.same(here, below, &there));
        if !same || hides {
            self.tell(Some(here))?;
        }
        if hides {
            let name = [b"/", OPAQUE_NAME].concat();
            self.out.path.extend_from_slice(&name);
            self.out.marker()?;
            self.out.path.truncate(here.length);
        }
        let shown = match beside {
            Some((below, _)) if !hides => {
                Some(below.open_dir(here.name).map_err(|e| self.out.failed(e))?)
            }
            _ => None,
        };
        self.directory(&opened, shown.as_ref(), Some(here), depth + 1)
    }

    /// The directories on the way to something, and the last of it.
    fn tell(&mut self, way: Option<&Way<'_>>) -> Result<(), Error> {
        let Some(way) = way.filter(|way| !way.told.get()) else {
            return Ok(());
        };
        self.tell(way.above)?;
        let rest = self.out.path.split_off(way.length);
        let told = self.out.entry(way.holder, way.name, &way.status);
        self.out.path.extend_from_slice(&rest);
        way.told.set(true);
        self.any = true;
        told
    }

    /// Something called so stands for what is at the path.
    fn mark(&mut self, way: Option<&Way<'_>>, name: &[u8]) -> Result<(), Error> {
        self.tell(way)?;
        let slash = self.out.path.iter().rposition(|byte| *byte == b'/');
        let parent = slash.map_or(0, |slash| slash + 1);
        let own = self.out.path.split_off(parent);
        self.out.path.extend_from_slice(name);
        let told = self.out.marker();
        self.out.path.truncate(parent);
        self.out.path.extend_from_slice(&own);
        self.any = true;
        told
    }

    fn is_place(&self) -> bool {
        let path = self.out.path.as_slice();
        let is = |place: &&str| place.trim_start_matches('/').as_bytes() == path;
        self.places.iter().any(is)
    }

    /// Whether a directory was only copied up, because something in it was changed. That places were
    /// made in it shows in its time.
    fn same(&self, here: &Way<'_>, below: &Dir, there: &Status) -> bool {
        let own = &here.status;
        let places = self.places.iter().any(|place| {
            let (parent, _) = place.rsplit_once('/').unwrap_or_default();
            parent.trim_start_matches('/').as_bytes() == self.out.path
        });
        own.mode == there.mode
            && own.uid == there.uid
            && own.gid == there.gid
            && (places || own.modified == there.modified)
            && attributes(here.holder, here.name) == attributes(below, here.name)
    }
}

/// What is called so, with its values; what cannot be read is none.
fn attributes(dir: &Dir, name: &OsStr) -> Vec<(Vec<u8>, Vec<u8>)> {
    let keys = sys::xattr::list(dir, name).unwrap_or_default();
    let keys = keys.iter().filter(|key| !is_reserved(key.as_bytes()));
    let mut all: Vec<_> = keys
        .filter_map(|key| {
            let value = sys::xattr::get(dir, name, key).ok()?;
            Some((key.as_bytes().to_vec(), value))
        })
        .collect();
    all.sort();
    all
}
