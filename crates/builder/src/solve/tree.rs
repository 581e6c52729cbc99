//! Looking for files below a root, and walking those that a copy or a digest is about. Paths are those of
//! people who are not to be trusted: the kernel resolves them within the root.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use sys::Errno;
use sys::dir::{Dir, Kind, Status};
use types::ErrorKind;

use super::{Failure, name};
use crate::ignore::Matcher;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;
/// Directories open at a time.
pub(super) const MAX_DEPTH: usize = 256;

pub(super) fn too_deep(path: &str) -> Failure {
    let shown: String = path.chars().take(80).collect();
    Failure::invalid(format!("directories are nested too deep at {shown}"))
}

/// A name that is there, and the directory it is in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: Dir,
    pub(super) name: OsString,
    pub(super) status: Status,
}

pub(super) fn failed(what: &str, path: &str) -> impl FnOnce(sys::Error) -> Failure {
    let sentence = format!("cannot {what} {path}");
    move |error| Failure::internal(format!("{sentence}: {error}"))
}

fn is_absent(error: sys::Error) -> bool {
    matches!(error.errno, Errno::NOENT | Errno::NOTDIR)
}

/// The directory that a path's last part is in, and that part: `.` of a path that names a directory by
/// itself.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        _ if path.is_empty() => ("", "."),
        Some((_, "." | "..")) => (path, "."),
        Some((parent, name)) => (parent, name),
        None if path == "." || path == ".." => (path, "."),
        None => ("", path),
    }
}

/// What is at a path; none if nothing is. With `follow` a link at its end is followed.
pub(super) fn locate(root: &Dir, path: &str, follow: bool) -> Result<Option<Place>, Failure> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (parent, name) = split(&path);
        let dir = match root.open_in_root(&name::bytes(parent)) {
            Err(error) if is_absent(error) => return Ok(None),
            answer => answer.map_err(failed("open", &path))?,
        };
        let name = name::name(name);
        let status = match dir.status(&name) {
            Err(error) if is_absent(error) => return Ok(None),
            answer => answer.map_err(failed("look at", &path))?,
        };
        if !follow || status.kind != Kind::Symlink {
            return Ok(Some(Place { dir, name, status }));
        }
        path = next(&path, &Place { dir, name, status })?;
    }
    Err(too_many(&path))
}

/// Where a path leads when links at its end are followed, whether something is there or not.
pub(super) fn led_to(root: &Dir, path: &str) -> Result<String, Failure> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match locate(root, &path, false)? {
            Some(place) if place.status.kind == Kind::Symlink => path = next(&path, &place)?,
            _ => return Ok(path),
        }
    }
    Err(too_many(&path))
}

/// The path that a link at the end of one stands for.
fn next(path: &str, link: &Place) -> Result<String, Failure> {
    let target = link.dir.read_symlink(&link.name);
    let target = target.map_err(failed("read", path))?;
    let target = name::text(OsStr::from_bytes(target.as_bytes())).into_owned();
    let (parent, _) = split(path);
    Ok(match target.starts_with('/') {
        true => target,
        false => format!("{parent}/{target}"),
    })
}

fn too_many(path: &str) -> Failure {
    let sentence = format!("too many symbolic links at {path}");
    Failure::new(ErrorKind::Invalid, sentence)
}

/// Names in order.
pub(super) fn names(dir: &Dir, path: &str) -> Result<Vec<OsString>, Failure> {
    let entries = dir.entries().map_err(failed("read", path))?;
    let names: sys::Result<Vec<CString>> = entries.map(|entry| Ok(entry?.0)).collect();
    let names = names.map_err(failed("read", path))?;
    let names = names.into_iter();
    let mut names: Vec<_> = names.map(|n| OsString::from_vec(n.into_bytes())).collect();
    names.sort();
    Ok(names)
}

pub(super) fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '\\'])
}

/// Paths that a pattern means, in order; the path itself when it is none.
pub(super) fn expand(root: &Dir, pattern: &str) -> Result<Vec<String>, Failure> {
    let mut found = vec![String::new()];
    let parts = pattern
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    for part in parts {
        let mut next = Vec::new();
        for path in &found {
            if !is_pattern(part) {
                next.push(format!("{path}/{part}"));
                continue;
            }
            let wrong = |error| Failure::invalid(format!("invalid pattern {pattern}: {error}"));
            let matcher = Matcher::new([part]).map_err(wrong)?;
            let dir = match root.open_in_root(&name::bytes(path)) {
                Err(error) if is_absent(error) => continue,
                answer => answer.map_err(failed("open", path))?,
            };
            let dir = dir
                .open_dir(OsStr::new("."))
                .map_err(failed("open", path))?;
            for name in names(&dir, path)? {
                let name = name::text(&name);
                if matcher.matches(&name) {
                    next.push(format!("{path}/{name}"));
                }
            }
        }
        found = next;
    }
    let present = |path: &String| matches!(locate(root, path, false), Ok(Some(_)));
    if is_pattern(pattern) {
        found.retain(present);
    }
    found.iter_mut().for_each(|path| {
        if path.is_empty() {
            path.push('/');
        }
    });
    Ok(found)
}

/// Which of the files below a path.
#[derive(Debug, Default)]
pub(super) struct Filter {
    include: Option<Matcher>,
    exclude: Matcher,
}

impl Filter {
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, Failure> {
        let matcher = |patterns: &[String]| {
            Matcher::new(patterns.iter().map(String::as_str))
                .map_err(|error| Failure::invalid(format!("invalid pattern: {error}")))
        };
        Ok(Self {
            include: (!include.is_empty())
                .then(|| matcher(include))
                .transpose()?,
            exclude: matcher(exclude)?,
        })
    }

    pub(super) fn takes(&self, path: &str) -> bool {
        let wanted = |matcher: &Matcher| matcher.matches(path);
        self.include.as_ref().is_none_or(wanted) && !self.exclude.matches(path)
    }

    /// Whether nothing below a directory can be wanted.
    fn prunes(&self, path: &str) -> bool {
        self.exclude.matches(path) && self.exclude.prunes(path)
    }
}

/// One name on a walk.
pub(super) struct Found<'a> {
    /// The directory it is in.
    pub(super) dir: &'a Dir,
    pub(super) name: &'a OsStr,
    pub(super) status: Status,
    /// Below where the walk began.
    pub(super) path: &'a str,
}

/// Calls `take` with everything in `dir` that the filter takes, directories before what is in them; one
/// that is not taken itself when something in it is.
pub(super) fn walk(
    dir: &Dir,
    filter: &Filter,
    take: &mut dyn FnMut(&Found<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut walk = Walk {
        filter,
        take,
        open: Vec::new(),
    };
    walk.inside(dir, "")
}

struct Walk<'a> {
    filter: &'a Filter,
    take: &'a mut dyn FnMut(&Found<'_>) -> Result<(), Failure>,
    /// Directories on the way down that were not taken yet.
    open: Vec<Pending>,
}

struct Pending {
    parent: Dir,
    name: OsString,
    status: Status,
    path: String,
    taken: bool,
}

impl Walk<'_> {
    fn inside(&mut self, dir: &Dir, path: &str) -> Result<(), Failure> {
        if self.open.len() > MAX_DEPTH {
            return Err(too_deep(path));
        }
        let dir = dir
            .open_dir(OsStr::new("."))
            .map_err(failed("open", path))?;
        for name in names(&dir, path)? {
            let shown = name::text(&name);
            let below = match path {
                "" => shown.into_owned(),
                path => format!("{path}/{shown}"),
            };
            let status = match dir.status(&name) {
                Err(error) if is_absent(error) => continue,
                answer => answer.map_err(failed("look at", &below))?,
            };
            if status.kind == Kind::Directory {
                self.directory(&dir, &name, status, &below)?;
            } else if self.filter.takes(&below) {
                self.above()?;
                (self.take)(&Found {
                    dir: &dir,
                    name: &name,
                    status,
                    path: &below,
                })?;
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        status: Status,
        path: &str,
    ) -> Result<(), Failure> {
        if self.filter.prunes(path) {
            return Ok(());
        }
        let parent = dir
            .open_dir(OsStr::new("."))
            .map_err(failed("open", path))?;
        let inner = dir.open_dir(name).map_err(failed("open", path))?;
        self.open.push(Pending {
            parent,
            name: name.to_owned(),
            status,
            path: path.to_owned(),
            taken: false,
        });
        if self.filter.takes(path) {
            self.above()?;
        }
        self.inside(&inner, path)?;
        self.open.pop();
        Ok(())
    }

    /// Takes the directories on the way down.
    fn above(&mut self) -> Result<(), Failure> {
        for pending in self.open.iter_mut().filter(|pending| !pending.taken) {
            pending.taken = true;
            (self.take)(&Found {
                dir: &pending.parent,
                name: &pending.name,
                status: pending.status,
                path: &pending.path,
            })?;
        }
        Ok(())
    }
}
