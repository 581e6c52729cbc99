//! What a step has read, as a digest: of files their contents and what describes them, never their times.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest as _, Sha256};
use sys::Errno;
use sys::dir::{Dir, Kind};
use types::Digest;

use super::known::{Content, Known};
use super::tree::{self, Filter, Found, failed};
use super::{Failure, name};
use crate::graph::Selection;

const BUFFER: usize = 128 << 10;

/// The digest of a text.
pub(super) fn text(text: &str) -> Digest {
    Digest::sha256(Sha256::digest(text.as_bytes()).into())
}

/// The digest of all that some selections name.
pub(super) fn selections(root: &Dir, selections: &[Selection]) -> Result<Digest, Failure> {
    let mut hash = Hash::default();
    for selection in selections {
        hash.selection(root, selection)?;
    }
    Ok(hash.end())
}

/// The same of files of which something may be known: what is not is found out, and known then.
pub(super) fn known(
    root: &Dir,
    selections: &[Selection],
    known: &Known,
) -> Result<Digest, Failure> {
    let what = format!("{selections:?}");
    if let Some(digest) = known.get(&what) {
        return Ok(digest);
    }
    let mut hash = Hash {
        known: Some(known),
        read: Some(Vec::new()),
        ..Hash::default()
    };
    for selection in selections {
        hash.selection(root, selection)?;
    }
    let read = hash.read.take();
    let digest = hash.end();
    known.add(what, digest.clone(), read);
    Ok(digest)
}

/// A path as the root's files are known by, if that is where it leads: neither up nor by links.
fn straight(root: &Dir, path: &str, follow: bool) -> Option<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        return None;
    }
    let path = parts.join("/");
    let (above, last) = path.rsplit_once('/').unwrap_or((".", &path));
    let there = root
        .open_in_root_without_links(&name::bytes(above))
        .and_then(|dir| dir.status(&name::name(if last.is_empty() { "." } else { last })));
    let is_straight = match there {
        Ok(status) => !follow || status.kind != Kind::Symlink,
        // Whatever comes to be there is a change there.
        Err(error) => error.errno == Errno::NOENT,
    };
    is_straight.then_some(path)
}

#[derive(Default)]
struct Hash<'a> {
    sum: Sha256,
    /// What is known of the files already.
    known: Option<&'a Known>,
    /// The paths that all which was read is at or below; none when it cannot be said.
    read: Option<Vec<String>>,
    /// The path of the selection, as [`Known`] has it; none of one that it cannot have.
    top: Option<String>,
    /// Files of several names, by the first one seen.
    links: HashMap<(u64, u64), String>,
}

impl<'a> Hash<'a> {
    fn end(self) -> Digest {
        Digest::sha256(self.sum.finalize().into())
    }

    fn field(&mut self, bytes: &[u8]) {
        self.sum.update((bytes.len() as u64).to_be_bytes());
        self.sum.update(bytes);
    }

    fn selection(&mut self, root: &Dir, selection: &Selection) -> Result<(), Failure> {
        let path = match selection.path.as_str() {
            "" => "/",
            path => path,
        };
        let paths = match selection.wildcard {
            true => tree::expand(root, path)?,
            false => vec![path.to_owned()],
        };
        let filter = Filter::new(&selection.include, &selection.exclude)?;
        self.field(b"selection");
        if self.known.is_none() || (selection.wildcard && tree::is_pattern(path)) {
            // Any new name may be one of those that are meant.
            self.read = None;
        }
        for path in paths {
            self.field(path.as_bytes());
            self.top = self
                .known
                .and_then(|_| straight(root, &path, selection.follow));
            match (&mut self.read, &self.top) {
                (Some(read), Some(top)) => read.push(top.clone()),
                (read, _) => *read = None,
            }
            let Some(place) = tree::locate(root, &path, selection.follow)? else {
                self.field(b"absent");
                continue;
            };
            self.found(&Found {
                dir: &place.dir,
                name: &place.name,
                status: place.status,
                path: "",
            })?;
            if place.status.kind == Kind::Directory {
                let dir = place
                    .dir
                    .open_dir(&place.name)
                    .map_err(failed("open", &path))?;
                tree::walk(&dir, &filter, &mut |found| self.found(found))?;
            }
        }
        Ok(())
    }

    fn found(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let status = &found.status;
        self.field(found.path.as_bytes());
        let numbers = [
            status.mode,
            status.uid,
            status.gid,
            status.device.0,
            status.device.1,
        ];
        for number in numbers {
            self.sum.update(number.to_be_bytes());
        }
        self.field(format!("{:?}", status.kind).as_bytes());
        if status.links > 1 && status.kind == Kind::File {
            let first = self.links.entry(status.identity);
            let first = first.or_insert_with(|| found.path.to_owned()).clone();
            self.field(first.as_bytes());
        }
        match status.kind {
            Kind::File => {
                self.sum.update(status.size.to_be_bytes());
                let path = self.known_by(found);
                if let Some((known, path)) = &path
                    && let Some(content) = known.content(path)
                {
                    self.sum.update(content);
                    return Ok(());
                }
                let (file, content) = content(found)?;
                self.sum.update(content);
                // Hardly any has one.
                if sys::xattr::list_open(&file).is_ok_and(|keys| keys.is_empty()) {
                    if let Some((known, path)) = path {
                        known.add_content(path, content);
                    }
                    return Ok(());
                }
            }
            Kind::Symlink => {
                let target = found.dir.read_symlink(found.name);
                let target = target.map_err(failed("read", found.path))?;
                self.field(target.as_bytes());
            }
            _ => {}
        }
        self.attributes(found)
    }

    /// Where something may be known of a file, and as what.
    fn known_by(&self, found: &Found<'_>) -> Option<(&'a Known, String)> {
        let known = self.known?;
        let path = match (self.top.as_deref()?, found.path) {
            (top, "") => top.to_owned(),
            ("", path) => path.to_owned(),
            (top, path) => format!("{top}/{path}"),
        };
        Some((known, path))
    }

    fn attributes(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let keys = sys::xattr::list(found.dir, found.name);
        let mut keys = keys.map_err(failed("read the attributes of", found.path))?;
        keys.retain(|key| is_copied(key));
        keys.sort();
        for key in keys {
            if let Ok(value) = sys::xattr::get(found.dir, found.name, &key) {
                self.field(key.as_bytes());
                self.field(&value);
            }
        }
        Ok(())
    }
}

/// An open file, and the digest of its bytes.
fn content(found: &Found<'_>) -> Result<(File, Content), Failure> {
    // What it is has been seen, and nobody changes it: it is the builder's own.
    let file = found.dir.open_file(found.name);
    let mut file = file.map_err(failed("open", found.path))?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; BUFFER.min(usize::try_from(found.status.size).unwrap_or(BUFFER) + 1)];
    loop {
        let count = match file.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let sentence = format!("cannot read {}: {error}", found.path);
                return Err(Failure::internal(sentence));
            }
            Ok(0) => return Ok((file, sum.finalize().into())),
            Ok(count) => count,
        };
        sum.update(&buffer[..count]);
    }
}

/// Whether an attribute is a file's own: not overlayfs's, nor what the machine gives.
pub(super) fn is_copied(key: &OsStr) -> bool {
    let key = key.as_bytes();
    !key.starts_with(b"trusted.")
        && !key.starts_with(b"user.overlay.")
        && !matches!(key, b"security.selinux" | b"security.ima" | b"security.evm")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's own files")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::super::known::Change;
    use super::*;

    fn selection(path: &str) -> Vec<Selection> {
        vec![Selection {
            path: path.to_owned(),
            wildcard: true,
            follow: true,
            ..Selection::default()
        }]
    }

    /// Does a change to a tree, says that it has been done, and answers which selections were forgotten. What is
    /// found out then of all of them is what somebody finds who knows nothing.
    fn after(told: &[Change], change: impl FnOnce(&Path)) -> Vec<&'static str> {
        const ALL: [&str; 7] = ["/a", "/b", "/link/deep", "/b/../a", "/*/f", "/none", "/"];
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        fs::create_dir_all(path.join("a/deep")).unwrap();
        fs::create_dir(path.join("b")).unwrap();
        for name in ["a/f", "a/deep/f", "b/f"] {
            fs::write(path.join(name), name).unwrap();
        }
        symlink("a", path.join("link")).unwrap();
        let root = Dir::open(path).unwrap();
        let memory = Known::default();
        let find = |text| known(&root, &selection(text), &memory).unwrap();
        ALL.iter().for_each(|text| drop(find(text)));
        change(path);
        memory.forget(told);
        let is_forgotten = |text: &&str| memory.get(&format!("{:?}", selection(text))).is_none();
        let forgotten = ALL.into_iter().filter(is_forgotten).collect();
        for text in ALL {
            assert_eq!(
                find(text),
                selections(&root, &selection(text)).unwrap(),
                "{text}"
            );
        }
        forgotten
    }

    #[test]
    fn what_is_known_is_what_would_be_found() {
        let always = ["/link/deep", "/b/../a", "/*/f", "/"];
        let with = |first: &[&'static str]| [first, always.as_slice()].concat();
        let b = after(&[Change::all("b/f")], |root| {
            fs::write(root.join("b/f"), "B/F").unwrap();
        });
        assert_eq!(b, with(&["/b"]));
        let deep = after(&[Change::all("a/deep")], |root| {
            fs::remove_dir_all(root.join("a/deep")).unwrap();
            fs::write(root.join("a/deep"), "a file").unwrap();
        });
        assert_eq!(deep, with(&["/a"]));
        let link = after(&[Change::all("link")], |root| {
            fs::remove_file(root.join("link")).unwrap();
            symlink("b", root.join("link")).unwrap();
        });
        assert_eq!(link, always);
        let none = after(&[Change::all("none")], |root| {
            symlink("a", root.join("none")).unwrap();
        });
        assert_eq!(none, ["/link/deep", "/b/../a", "/*/f", "/none", "/"]);
        assert!(after(&[], |_| {}).is_empty());
    }

    #[test]
    fn bytes_of_files_that_have_not_changed_are_not_read_again() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        fs::write(path.join("one"), "1").unwrap();
        fs::write(path.join("other"), "2").unwrap();
        let root = Dir::open(path).unwrap();
        let memory = Known::default();
        let first = known(&root, &selection("/"), &memory).unwrap();
        // Behind the back of whoever tells of changes: nobody looks.
        fs::write(path.join("one"), "3").unwrap();
        memory.forget(&[Change::all("other")]);
        assert_eq!(known(&root, &selection("/"), &memory).unwrap(), first);
        memory.forget(&[Change::all("one")]);
        assert_ne!(known(&root, &selection("/"), &memory).unwrap(), first);
    }
}
