//! `diff`: what a container has made of its image's files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use storage::{Image, PLACES};
use sys::Errno;
use sys::dir::{Dir, Kind, Status};
use types::Lifecycle;

use crate::table::Container;
use crate::{Engine, Error, image as images};

/// Directories open at a time.
const MAX_DEPTH: usize = 256;

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The image has it, and it is not as it was.
    Modified,
    /// The image does not have it.
    Added,
    /// The image has it, and it is gone.
    Deleted,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// What became of it.
    pub kind: ChangeKind,
    /// Absolute.
    pub path: String,
}

/// Everything the container's own layer says, in order. Blocking.
pub fn changes(engine: &Engine, who: &str) -> Result<Vec<PathChange>, Error> {
    let container = engine.find(who)?;
    of_container(engine, &container).map_err(|error| {
        let removed = matches!(container.lifecycle(), Lifecycle::Removing { .. })
            || engine.find(container.id().as_str()).is_err();
        match removed {
            // Its files have gone under our hands.
            true => Error::NoContainer(who.to_owned()),
            false => error,
        }
    })
}

fn of_container(engine: &Engine, container: &Container) -> Result<Vec<PathChange>, Error> {
    let what = || format!("read what container {} has changed", container.id());
    let snapshot = engine.storage().snapshot(container.id())?;
    let upper = snapshot.mounts.iter().flat_map(|mount| &mount.options);
    let upper = upper
        .filter_map(|option| option.strip_prefix("upperdir="))
        .next();
    let upper = Dir::open(std::path::Path::new(upper.unwrap_or_default()));
    let upper = upper.map_err(Error::kernel(what()))?;
    let found = image(engine, container)?;
    let below = below(engine, &found)?;
    let mut comparison = Comparison::default();
    comparison
        .directory(&upper, Some(&below), &mut String::new(), 0)
        .map_err(Error::kernel(what()))?;
    comparison.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(comparison.changes)
}

/// The image that a container was made from, as it is for the container's platform.
pub(super) fn image(engine: &Engine, container: &Container) -> Result<Image, Error> {
    let fixed = &container.fixed;
    images::inspect_on(
        engine,
        &fixed.image.to_string(),
        fixed.spec.platform.as_ref(),
    )
}

pub(super) fn below(engine: &Engine, image: &Image) -> Result<Dir, Error> {
    let root = images::mount::open(engine, image)?;
    let dir = root.open_dir("/");
    let what = || format!("read the image {}", image.id.short());
    Ok(Dir::from(dir.map_err(Error::kernel(what()))?))
}

#[derive(Default)]
struct Comparison {
    changes: Vec<PathChange>,
}

impl Comparison {
    fn tell(&mut self, kind: ChangeKind, path: &str) {
        let path = path.to_owned();
        self.changes.push(PathChange { kind, path });
    }

    /// One directory of the layer, with the image's in its place, if that has one. Whether anything in
    /// it is not as it was.
    fn directory(
        &mut self,
        upper: &Dir,
        lower: Option<&Dir>,
        path: &mut String,
        depth: usize,
    ) -> sys::Result<bool> {
        if depth == MAX_DEPTH {
            return Err(sys::Error {
                call: "openat",
                errno: Errno::NAMETOOLONG,
            });
        }
        let length = path.len();
        let mut any = false;
        for entry in upper.entries()? {
            let Some((name, _)) = if_there(entry)? else {
                break;
            };
            let name = sys::dir::name(&name);
            path.push('/');
            path.push_str(&String::from_utf8_lossy(name.as_bytes()));
            any |= self.entry(upper, lower, name, path, depth)?;
            path.truncate(length);
        }
        Ok(any)
    }

    fn entry(
        &mut self,
        upper: &Dir,
        lower: Option<&Dir>,
        name: &OsStr,
        path: &mut String,
        depth: usize,
    ) -> sys::Result<bool> {
        let Some(here) = if_there(upper.status(name))? else {
            return Ok(false);
        };
        let there = lower.and_then(|lower| lower.status(name).ok());
        if here.kind == Kind::CharDevice && here.device == (0, 0) {
            if there.is_some() {
                self.tell(ChangeKind::Deleted, path);
            }
            return Ok(there.is_some());
        }
        if there.is_none() && PLACES.contains(&path.as_str()) {
            return Ok(false);
        }
        let was_dir = there
            .as_ref()
            .is_some_and(|there| there.kind == Kind::Directory);
        if here.kind != Kind::Directory {
            let kind = if there.is_some() {
                ChangeKind::Modified
            } else {
                ChangeKind::Added
            };
            self.tell(kind, path);
            return Ok(true);
        }
        let at = self.changes.len();
        let Some(dir) = if_there(upper.open_dir(name))? else {
            return Ok(false);
        };
        let below = match (was_dir, lower) {
            (true, Some(lower)) => Some(lower.open_dir(name)?),
            _ => None,
        };
        let hidden = is_opaque(upper, name);
        let shown = below.as_ref().filter(|_| !hidden);
        let mut any = self.directory(&dir, shown, path, depth + 1)?;
        if let (true, Some(below)) = (hidden, &below) {
            any |= self.hidden(&dir, below, path)?;
        }
        let kind = match there {
            None => Some(ChangeKind::Added),
            // Its time is that of the places made in it.
            Some(_) if path == "/etc" && !any => None,
            Some(there) if any || !same(&here, &there) => Some(ChangeKind::Modified),
            Some(_) => None,
        };
        if let Some(kind) = kind {
            let path = path.clone();
            self.changes.insert(at, PathChange { kind, path });
        }
        Ok(kind.is_some())
    }

    /// What a directory that hides the image's does not have of that. What both have was added by the
    /// look at it, and is there still.
    fn hidden(&mut self, upper: &Dir, lower: &Dir, path: &str) -> sys::Result<bool> {
        let mut any = false;
        for entry in lower.entries()? {
            let (name, _) = entry?;
            let name = sys::dir::name(&name);
            let full = format!("{path}/{}", String::from_utf8_lossy(name.as_bytes()));
            match upper.status(name) {
                Ok(_) => {
                    let known = self.changes.iter_mut().find(|change| change.path == full);
                    if let Some(known) = known {
                        known.kind = ChangeKind::Modified;
                    }
                }
                Err(_) => self.tell(ChangeKind::Deleted, &full),
            }
            any = true;
        }
        Ok(any)
    }
}

/// None for what went between the listing of its directory and the look at it: the container may run.
fn if_there<T>(found: sys::Result<T>) -> sys::Result<Option<T>> {
    match found {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

/// Whether a directory was only copied up, because something in it was changed.
fn same(here: &Status, there: &Status) -> bool {
    here.mode == there.mode
        && here.uid == there.uid
        && here.gid == there.gid
        && here.modified == there.modified
}

fn is_opaque(dir: &Dir, name: &OsStr) -> bool {
    let value = sys::xattr::get(dir, name, OsStr::new("trusted.overlay.opaque"));
    value.is_ok_and(|value| value == b"y")
}
