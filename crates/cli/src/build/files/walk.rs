//! A walk of a directory in the order of the protocol: names of a directory by their bytes, what is in a
//! directory right behind it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use buildkit::mode;
use buildkit::sync::Stat;
use sys::dir::{self, Dir, Kind};

use super::select::{Known, Selection, Verdict};

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// A file cannot be read.
    #[error("{call} {path}: {}", .source.errno)]
    Unreadable {
        /// What was tried.
        call: &'static str,
        /// Which file.
        path: String,
        /// Why.
        source: sys::Error,
    },
    /// A name that the protocol cannot carry.
    #[error(
        "the name of {0:?} is no UTF-8, which a build's context has to be: rename it, or name it in .dockerignore"
    )]
    Name(OsString),
    /// Whoever wanted the files is gone.
    #[error("the daemon does not want them any more")]
    Gone,
}

/// A directory while it is walked.
struct Level {
    path: String,
    dir: Dir,
    /// Names still to come, the next one last.
    names: Vec<OsString>,
    known: Known,
    /// What it is, until it has been told of.
    own: Option<Stat>,
}

/// Tells of everything that is selected.
pub(super) fn walk(
    root: &Dir,
    selection: &Selection,
    tell: &mut dyn FnMut(Stat) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let own = root
        .open_dir(OsStr::new("."))
        .map_err(|source| unreadable("open", ".", source))?;
    let mut open = vec![level(String::new(), own, Known::default(), None)?];
    while let Some(top) = open.last_mut() {
        let Some(entry) = top.names.pop() else {
            open.pop();
            continue;
        };
        let Some(name) = entry.to_str() else {
            return Err(Stopped::Name(entry));
        };
        let path = super::join(&top.path, name);
        let status = top.dir.status(&entry);
        let status = status.map_err(|source| unreadable("lstat", &path, source))?;
        if status.kind == Kind::Socket {
            continue;
        }
        let directory = status.kind == Kind::Directory;
        let (verdict, known) = selection.of(&path, directory, &top.known);
        if verdict == Verdict::Skip {
            continue;
        }
        let stat = stat(&top.dir, &entry, &path, &status)?;
        if !directory {
            ahead(&mut open, tell)?;
            tell(stat)?;
            continue;
        }
        let inner = top.dir.open_dir(&entry);
        let inner = inner.map_err(|source| unreadable("open", &path, source))?;
        let own = match verdict {
            Verdict::Take => {
                ahead(&mut open, tell)?;
                tell(stat)?;
                None
            }
            _ => Some(stat),
        };
        open.push(level(path, inner, known, own)?);
    }
    Ok(())
}

/// Tells of the directories above that wait for something in them.
fn ahead(
    open: &mut [Level],
    tell: &mut dyn FnMut(Stat) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    open.iter_mut()
        .filter_map(|level| level.own.take())
        .try_for_each(tell)
}

fn level(path: String, dir: Dir, known: Known, own: Option<Stat>) -> Result<Level, Stopped> {
    let entries = dir.entries();
    let entries = entries.map_err(|source| unreadable("open", &path, source))?;
    let names: sys::Result<Vec<OsString>> = entries
        .map(|entry| entry.map(|(name, _)| dir::name(&name).to_owned()))
        .collect();
    let mut names = names.map_err(|source| unreadable("readdir", &path, source))?;
    names.sort_unstable_by(|a, b| b.as_bytes().cmp(a.as_bytes()));
    Ok(Level {
        path,
        dir,
        names,
        known,
        own,
    })
}

fn stat(dir: &Dir, name: &OsStr, path: &str, status: &dir::Status) -> Result<Stat, Stopped> {
    let linkname = match status.kind {
        Kind::Symlink => {
            let target = dir.read_symlink(name);
            let target = target.map_err(|source| unreadable("readlink", path, source))?;
            target.to_string_lossy().into_owned()
        }
        _ => String::new(),
    };
    let (seconds, nanos) = status.modified;
    let size = match status.kind {
        Kind::File => i64::try_from(status.size).unwrap_or(i64::MAX),
        _ => 0,
    };
    Ok(Stat {
        path: path.to_owned(),
        mode: mode::go(status.kind, status.mode),
        size,
        modified: seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanos.into()),
        linkname,
        major: status.device.0.into(),
        minor: status.device.1.into(),
        // Whose they are here is nobody's business there: owner and group stay 0.
        ..Stat::default()
    })
}

pub(super) fn unreadable(call: &'static str, path: &str, source: sys::Error) -> Stopped {
    Stopped::Unreadable {
        call,
        path: path.to_owned(),
        source,
    }
}
