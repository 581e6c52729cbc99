//! What a step has read, as a digest: of files their contents and what describes them, never their times.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest as _, Sha256};
use sys::dir::{Dir, Kind};
use types::Digest;

use super::Failure;
use super::tree::{self, Filter, Found, failed};
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
    Ok(Digest::sha256(hash.sum.finalize().into()))
}

#[derive(Default)]
struct Hash {
    sum: Sha256,
    /// Files of several names, by the first one seen.
    links: HashMap<(u64, u64), String>,
}

impl Hash {
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
        for path in paths {
            self.field(path.as_bytes());
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
                let file = self.content(found)?;
                // Hardly any has one.
                if sys::xattr::list_open(&file).is_ok_and(|keys| keys.is_empty()) {
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

    fn content(&mut self, found: &Found<'_>) -> Result<File, Failure> {
        // What it is has been seen, and nobody changes it: it is the builder's own.
        let file = found.dir.open_file(found.name);
        let mut file = file.map_err(failed("open", found.path))?;
        self.sum.update(found.status.size.to_be_bytes());
        let mut buffer =
            vec![0; BUFFER.min(usize::try_from(found.status.size).unwrap_or(BUFFER) + 1)];
        loop {
            let count = match file.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let sentence = format!("cannot read {}: {error}", found.path);
                    return Err(Failure::internal(sentence));
                }
                Ok(0) => return Ok(file),
                Ok(count) => count,
            };
            self.sum.update(&buffer[..count]);
        }
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

/// Whether an attribute is a file's own: not overlayfs's, nor what the machine gives.
pub(super) fn is_copied(key: &OsStr) -> bool {
    let key = key.as_bytes();
    !key.starts_with(b"trusted.")
        && !key.starts_with(b"user.overlay.")
        && !matches!(key, b"security.selinux" | b"security.ima" | b"security.evm")
}
