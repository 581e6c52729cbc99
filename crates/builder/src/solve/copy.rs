//! Copies files between roots: what `COPY` and `ADD` do.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use storage::{Among, Storage};
use sys::Errno;
use sys::dir::{Dir, Kind, Node};
use types::ErrorKind;

use super::digest::is_copied;
use super::tree::{self, Filter, Found, Place, failed, locate};
use super::{Failure, mode, name};
use crate::graph::{CopyFiles, FileMode};

/// Seconds since the epoch and nanoseconds.
type Time = (i64, u32);

pub(super) fn time_of(nanos: i64) -> Time {
    let part = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
    (nanos.div_euclid(1_000_000_000), part)
}

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    (since.as_secs().cast_signed(), since.subsec_nanos())
}

/// What is made belongs to these, and is of this time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    pub(super) owner: Option<(u32, u32)>,
    pub(super) time: Option<Time>,
}

/// Where files are copied to.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The root, which is an overlay.
    pub(super) root: &'a Dir,
    /// What is written to by way of that.
    pub(super) upper: Option<&'a Dir>,
}

impl<'a> Target<'a> {
    /// A directory of whatever kind.
    pub(super) fn plain(root: &'a Dir) -> Self {
        Self { root, upper: None }
    }
}

/// Does one copy.
pub(super) fn copy(
    from: &Dir,
    Target { root: to, upper }: Target<'_>,
    what: &CopyFiles,
    marks: Marks,
) -> Result<(), Failure> {
    for path in &what.required {
        if locate(from, path, true)?.is_none() {
            return Err(not_found(path));
        }
    }
    let paths = match what.wildcard {
        true => tree::expand(from, &what.source)?,
        false => vec![what.source.clone()],
    };
    if paths.is_empty() && !what.allow_empty {
        return Err(not_found(&what.source));
    }
    let mut copier = Copier {
        to,
        upper,
        what,
        marks,
        filter: Filter::new(&what.include, &what.exclude)?,
        links: HashMap::new(),
        times: Vec::new(),
        above: None,
        fresh: HashSet::new(),
    };
    for path in paths {
        let place = locate(from, &path, what.follow)?;
        let place = place.ok_or_else(|| not_found(&path))?;
        copier.fresh.clear();
        copier.one(&path, &place)?;
    }
    copier.finish()
}

fn not_found(path: &str) -> Failure {
    let path = Path::new("/").join(path.trim_start_matches('/'));
    let sentence = format!("{:?}: not found", path.display().to_string());
    Failure::new(ErrorKind::NotFound, sentence)
}

/// A directory that is put into.
struct Opened {
    dir: Dir,
    /// Whether it is the upper directory's own: of an overlay's directory that this walk has made nothing is
    /// anywhere else, and to make files there costs half of what it costs by way of the overlay. Nothing below
    /// such a directory has been looked for in the overlay, which therefore finds all when it is.
    direct: bool,
}

struct Copier<'a> {
    to: &'a Dir,
    upper: Option<&'a Dir>,
    what: &'a CopyFiles,
    marks: Marks,
    filter: Filter,
    /// Files of several names: where the first copy is.
    links: HashMap<(u64, u64), String>,
    /// Directories get their times last, for what is put into them changes them.
    times: Vec<(String, Time)>,
    /// The directory that the last name was put into.
    above: Option<(String, Opened)>,
    /// Directories that this walk has made: nothing is in the way there.
    fresh: HashSet<String>,
}

impl Copier<'_> {
    fn one(&mut self, path: &str, place: &Place) -> Result<(), Failure> {
        let what = self.what;
        let target = &what.target;
        let base = match path.trim_end_matches('/').rsplit('/').next() {
            None | Some("") => ".",
            Some(name) => name,
        };
        let is_dir = place.status.kind == Kind::Directory;
        if is_dir && what.contents {
            return self.contents(place, target);
        }
        if !is_dir && !self.filter.takes(base) {
            return Ok(());
        }
        if what.unpack && place.status.kind == Kind::File && self.unpack(place, target)? {
            return Ok(());
        }
        let existing = locate(self.to, target, true)?;
        let into = target.ends_with('/')
            || existing.is_some_and(|place| place.status.kind == Kind::Directory);
        let target = match into {
            true => format!("{}/{base}", target.trim_end_matches('/')),
            // A link that names the target is followed, also one that leads to nothing yet.
            false => tree::led_to(self.to, target)?,
        };
        self.make_above(&target)?;
        if is_dir {
            return self.contents(place, &target);
        }
        let found = Found {
            dir: &place.dir,
            name: &place.name,
            status: place.status,
            path: base,
        };
        self.put(&found, &target)
    }

    /// What is in a directory into another.
    fn contents(&mut self, place: &Place, target: &str) -> Result<(), Failure> {
        let source = place
            .dir
            .open_dir(&place.name)
            .map_err(failed("open", target))?;
        let mut base = target.trim_end_matches('/').to_owned();
        match target.ends_with('/') {
            true => make_dirs(self.to, &base, self.marks)?,
            false => self.make_above(&base)?,
        }
        let there = locate(self.to, target, true)?;
        if there.is_none() {
            base = tree::led_to(self.to, &base)?;
            self.make_above(&base)?;
        }
        match there {
            None => {
                let mut status = place.status;
                if place.name == "." {
                    // The root of a context is nobody's: who keeps it has given it its mode.
                    status.mode = 0o755;
                }
                let found = Found {
                    dir: &place.dir,
                    name: &place.name,
                    status,
                    path: "",
                };
                self.put(&found, &base)?;
            }
            Some(there) if there.status.kind != Kind::Directory => {
                return Err(not_a_directory(target));
            }
            Some(there) => self.describe_existing(&there, place, &base)?,
        }
        let filter = std::mem::take(&mut self.filter);
        let walked = tree::walk(&source, &filter, &mut |found| {
            self.put(found, &format!("{base}/{}", found.path))
        });
        self.filter = filter;
        walked
    }

    /// A directory that is copied into stays what it is, but for its time and for a mode that is asked for.
    fn describe_existing(
        &mut self,
        there: &Place,
        place: &Place,
        target: &str,
    ) -> Result<(), Failure> {
        let bits = match &self.what.mode {
            None => None,
            Some(FileMode::Bits(bits)) => Some(*bits),
            Some(FileMode::Words(words)) => Some(mode::apply(words, there.status.mode, true)),
        };
        if let Some(bits) = bits.filter(|_| !target.is_empty()) {
            let set = there.dir.set_mode(&there.name, bits);
            set.map_err(failed("change the mode of", target))?;
        }
        if place.name != "." {
            let time = self.marks.time.unwrap_or(place.status.modified);
            self.times.push((target.to_owned(), time));
        }
        Ok(())
    }

    fn make_above(&self, target: &str) -> Result<(), Failure> {
        let target = target.trim_end_matches('/');
        match target.rsplit_once('/') {
            Some((above, _)) if !above.is_empty() => {
                if !self.what.make_target && locate(self.to, above, true)?.is_none() {
                    return Err(not_found(above));
                }
                make_dirs(self.to, above, self.marks)
            }
            _ => Ok(()),
        }
    }

    /// Puts one name at a path whose directory is there.
    fn put(&mut self, found: &Found<'_>, target: &str) -> Result<(), Failure> {
        let (above, name) = target.rsplit_once('/').unwrap_or(("", target));
        let known = self.above.take().filter(|(known, _)| known == above);
        let opened = match known {
            Some((_, opened)) => opened,
            None => self.open(above)?,
        };
        self.put_into(&opened, (above, &name::name(name)), found, target)?;
        self.above = Some((above.to_owned(), opened));
        Ok(())
    }

    fn open(&self, path: &str) -> Result<Opened, Failure> {
        let bytes = name::bytes(path);
        // The upper directory's own directories hide all else: the same names lead to the same ones.
        let upper = self.upper.filter(|_| self.fresh.contains(path));
        if let Some(Ok(dir)) = upper.map(|upper| upper.open_in_root_without_links(&bytes)) {
            return Ok(Opened { dir, direct: true });
        }
        let dir = self.to.open_in_root(&bytes).map_err(failed("open", path))?;
        Ok(Opened { dir, direct: false })
    }

    fn put_into(
        &mut self,
        opened: &Opened,
        (above, name): (&str, &OsStr),
        found: &Found<'_>,
        target: &str,
    ) -> Result<(), Failure> {
        let dir = &opened.dir;
        match self.fresh.contains(above) {
            true if found.status.kind == Kind::Directory => {
                self.fresh.insert(target.to_owned());
            }
            true => {}
            false if !self.make_room(dir, name, found, target)? => return Ok(()),
            false => {}
        }
        if self.link(opened, (above, name), found, target)? {
            return Ok(());
        }
        if found.status.kind == Kind::File {
            return self.file(dir, name, found, target);
        }
        self.make(dir, name, found, target)?;
        self.describe(dir, name, found, target)
    }

    /// A regular file with all that it is, by its descriptor.
    fn file(
        &self,
        dir: &Dir,
        name: &OsStr,
        found: &Found<'_>,
        target: &str,
    ) -> Result<(), Failure> {
        // What it is has been seen, and nobody changes it: it is the builder's own.
        let from = found.dir.open_file(found.name);
        let from = from.map_err(failed("open", found.path))?;
        let to = dir.create_file(name).map_err(failed("create", target))?;
        sys::copy::content(&from, &to).map_err(failed("create", target))?;
        let (uid, gid) = self.owner(found);
        let time = self.marks.time.unwrap_or(found.status.modified);
        sys::dir::set_file_attributes(&to, uid, gid, self.bits(found), time)
            .map_err(failed("describe", target))?;
        if sys::xattr::list_open(&from).is_ok_and(|keys| !keys.is_empty()) {
            copy_attributes(found, dir, name);
        }
        Ok(())
    }

    fn owner(&self, found: &Found<'_>) -> (u32, u32) {
        let own = (found.status.uid, found.status.gid);
        self.marks.owner.unwrap_or(own)
    }

    fn bits(&self, found: &Found<'_>) -> u32 {
        let status = &found.status;
        match &self.what.mode {
            None => status.mode,
            Some(FileMode::Bits(bits)) => *bits,
            Some(FileMode::Words(words)) => {
                mode::apply(words, status.mode, status.kind == Kind::Directory)
            }
        }
    }

    /// Removes what is in the way; false when nothing more has to be done.
    fn make_room(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        found: &Found<'_>,
        target: &str,
    ) -> Result<bool, Failure> {
        let there = match dir.status(name) {
            Err(error) if error.errno == Errno::NOENT => {
                if found.status.kind == Kind::Directory {
                    self.fresh.insert(target.to_owned());
                }
                return Ok(true);
            }
            answer => answer.map_err(failed("look at", target))?,
        };
        let new_dir = found.status.kind == Kind::Directory;
        let old_dir = there.kind == Kind::Directory;
        match (new_dir, old_dir) {
            (true, true) => Ok(true),
            (false, false) => {
                dir.remove_file(name).map_err(failed("replace", target))?;
                Ok(true)
            }
            (true, false) if self.what.replace => {
                dir.remove_file(name).map_err(failed("replace", target))?;
                Ok(true)
            }
            (false, true) if self.what.replace => {
                remove_all(dir, name, target)?;
                Ok(true)
            }
            (true, false) => Err(not_a_directory(target)),
            (false, true) => {
                let sentence = format!("cannot copy a file over the directory {target}");
                Err(Failure::invalid(sentence))
            }
        }
    }

    /// A second name of a file that was copied.
    fn link(
        &mut self,
        opened: &Opened,
        (above, name): (&str, &OsStr),
        found: &Found<'_>,
        target: &str,
    ) -> Result<bool, Failure> {
        if found.status.links < 2 || found.status.kind != Kind::File {
            return Ok(false);
        }
        let Some(first) = self.links.get(&found.status.identity) else {
            self.links.insert(found.status.identity, target.to_owned());
            return Ok(false);
        };
        let (first_above, first_name) = first.rsplit_once('/').unwrap_or(("", first));
        let first_name = &name::name(first_name);
        let from = self.open(first_above)?;
        let linked = match from.direct == opened.direct {
            true => opened.dir.make_link(name, &from.dir, first_name),
            // Of both of them only the overlay knows.
            false => {
                let overlay = |path: &str| self.to.open_in_root(&name::bytes(path));
                overlay(above)
                    .and_then(|into| into.make_link(name, &overlay(first_above)?, first_name))
            }
        };
        match linked {
            // Something else has taken its place.
            Err(error) if error.errno == Errno::NOENT => {
                self.links.insert(found.status.identity, target.to_owned());
                Ok(false)
            }
            linked => linked.map_err(failed("link", target)).map(|()| true),
        }
    }

    fn make(
        &self,
        dir: &Dir,
        name: &OsStr,
        found: &Found<'_>,
        target: &str,
    ) -> Result<(), Failure> {
        let (major, minor) = found.status.device;
        let made = match found.status.kind {
            Kind::Directory => match dir.make_dir(name) {
                Err(error) if error.errno == Errno::EXIST => Ok(()),
                answer => answer,
            },
            Kind::Symlink => {
                let to = found.dir.read_symlink(found.name);
                let to = to.map_err(failed("read", found.path))?;
                dir.make_symlink(name, OsStr::from_bytes(to.as_bytes()))
            }
            Kind::CharDevice => dir.make_node(name, Node::CharDevice(major, minor)),
            Kind::BlockDevice => dir.make_node(name, Node::BlockDevice(major, minor)),
            Kind::Fifo => dir.make_node(name, Node::Fifo),
            // Somebody listens there, or did: nothing to copy.
            Kind::File | Kind::Socket | Kind::Unknown => Ok(()),
        };
        made.map_err(failed("create", target))
    }

    fn describe(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        found: &Found<'_>,
        target: &str,
    ) -> Result<(), Failure> {
        let status = &found.status;
        if matches!(status.kind, Kind::Socket | Kind::Unknown) {
            return Ok(());
        }
        let (uid, gid) = self.owner(found);
        dir.set_owner(name, uid, gid)
            .map_err(failed("change the owner of", target))?;
        if status.kind != Kind::Symlink {
            dir.set_mode(name, self.bits(found))
                .map_err(failed("change the mode of", target))?;
            copy_attributes(found, dir, name);
        }
        let time = self.marks.time.unwrap_or(status.modified);
        if status.kind == Kind::Directory {
            self.times.push((target.to_owned(), time));
            return Ok(());
        }
        dir.set_modified(name, time)
            .map_err(failed("change the time of", target))
    }

    /// Unpacks an archive; false when the file is none.
    fn unpack(&mut self, place: &Place, target: &str) -> Result<bool, Failure> {
        let file = place.dir.open_regular(&place.name);
        let file = file.map_err(failed("open", target))?;
        if !Storage::is_archive(&file) {
            return Ok(false);
        }
        make_dirs(self.to, target, self.marks)?;
        let root = self
            .to
            .open_dir(OsStr::new("."))
            .map_err(failed("open", "/"))?;
        let among = Among {
            replace: true,
            owner: self.marks.owner,
            ids: None,
            stay: false,
        };
        let into = target.trim_matches('/');
        storage::unpack_among(root, &name::bytes(into), BufReader::new(file), among)?;
        Ok(true)
    }

    fn finish(self) -> Result<(), Failure> {
        for (path, time) in self.times.iter().rev() {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let set = match self.fresh.contains(above) {
                true => {
                    let opened = self.open(above)?;
                    opened.dir.set_modified(&name::name(name), *time)
                }
                false => match locate(self.to, path, true)? {
                    Some(place) => place.dir.set_modified(&place.name, *time),
                    None => continue,
                },
            };
            set.map_err(failed("change the time of", path))?;
        }
        Ok(())
    }
}

fn not_a_directory(target: &str) -> Failure {
    Failure::invalid(format!("cannot copy to non-directory: {target}"))
}

/// Attributes that cannot be had there are left out, as by other builders.
fn copy_attributes(found: &Found<'_>, dir: &Dir, name: &OsStr) {
    let keys = sys::xattr::list(found.dir, found.name).unwrap_or_default();
    for key in keys.iter().filter(|key| is_copied(key)) {
        if let Ok(value) = sys::xattr::get(found.dir, found.name, key) {
            let _ = sys::xattr::set(dir, name, key, &value);
        }
    }
}

/// Makes a directory with those above it, unless they are there.
pub(super) fn make_dirs(root: &Dir, path: &str, marks: Marks) -> Result<(), Failure> {
    let mut done = String::new();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        let above = done.clone();
        done = format!("{done}/{part}");
        match locate(root, &done, true)? {
            Some(place) if place.status.kind == Kind::Directory => continue,
            Some(_) => return Err(not_a_directory(&done)),
            // What a link leads to, where that is not there yet.
            None if locate(root, &done, false)?.is_some() => {
                make_dirs(root, &tree::led_to(root, &done)?, marks)?;
            }
            None => make_dir(root, &above, part, 0o755, marks)?,
        }
    }
    Ok(())
}

pub(super) fn make_dir(
    root: &Dir,
    above: &str,
    name: &str,
    mode: u32,
    marks: Marks,
) -> Result<(), Failure> {
    let path = format!("{above}/{name}");
    let dir = root
        .open_in_root(&name::bytes(above))
        .map_err(failed("open", above))?;
    let name = &name::name(name);
    dir.make_dir(name).map_err(failed("create", &path))?;
    describe_new(&dir, name, mode, marks, &path)
}

pub(super) fn describe_new(
    dir: &Dir,
    name: &OsStr,
    mode: u32,
    marks: Marks,
    path: &str,
) -> Result<(), Failure> {
    let (uid, gid) = marks.owner.unwrap_or_default();
    dir.set_owner(name, uid, gid)
        .and_then(|()| dir.set_mode(name, mode))
        .and_then(|()| dir.set_modified(name, marks.time.unwrap_or_else(now)))
        .map_err(failed("describe", path))
}

/// Makes a file in the place of what is there.
pub(super) fn make_file(
    root: &Dir,
    path: &str,
    data: &[u8],
    mode: u32,
    marks: Marks,
) -> Result<(), Failure> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = root
        .open_in_root(&name::bytes(above))
        .map_err(failed("open", above))?;
    let name = &name::name(name);
    if dir.status(name).is_ok() {
        dir.remove_file(name).map_err(failed("replace", path))?;
    }
    let mut file = dir.create_file(name).map_err(failed("create", path))?;
    let written = file.write_all(data);
    written.map_err(|error| Failure::internal(format!("cannot write {path}: {error}")))?;
    describe_new(&dir, name, mode, marks, path)
}

/// Makes a symbolic link in the place of what is there.
pub(super) fn make_link(root: &Dir, path: &str, target: &str, marks: Marks) -> Result<(), Failure> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = root
        .open_in_root(&name::bytes(above))
        .map_err(failed("open", above))?;
    let name = &name::name(name);
    if dir.status(name).is_ok() {
        dir.remove_file(name).map_err(failed("replace", path))?;
    }
    let (uid, gid) = marks.owner.unwrap_or_default();
    dir.make_symlink(name, OsStr::new(target))
        .and_then(|()| dir.set_owner(name, uid, gid))
        .and_then(|()| dir.set_modified(name, marks.time.unwrap_or_else(now)))
        .map_err(failed("create", path))
}

/// Removes a name with all that is below it. Links are not followed.
pub(super) fn remove_all(dir: &Dir, name: &OsStr, path: &str) -> Result<(), Failure> {
    remove_below(dir, name, path, 0)
}

fn remove_below(dir: &Dir, name: &OsStr, path: &str, depth: usize) -> Result<(), Failure> {
    if depth > tree::MAX_DEPTH {
        return Err(tree::too_deep(path));
    }
    let status = dir.status(name).map_err(failed("look at", path))?;
    if status.kind != Kind::Directory {
        return dir.remove_file(name).map_err(failed("remove", path));
    }
    let inner = dir.open_dir(name).map_err(failed("open", path))?;
    for below in tree::names(&inner, path)? {
        remove_below(&inner, &below, path, depth + 1)?;
    }
    dir.remove_dir(name).map_err(failed("remove", path))
}
