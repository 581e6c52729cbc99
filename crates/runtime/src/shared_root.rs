//! The root of a container that has mounts but no mount namespace for them: it is mounted on itself
//! where its caller is, with all the others inside, so that they can go together.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sys::mount::Mounted;

use crate::error::{Doing, Error};

/// Where it is mounted, and which mount it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedRoot {
    path: PathBuf,
    /// Never another's, where the kernel has such numbers.
    mount: u64,
    /// By which the mount table calls it.
    number: u64,
}

/// What word is left under, in a directory of the caller's.
const NOTE: &str = "mounts";

impl SharedRoot {
    pub(crate) fn new(path: PathBuf, mounted: &Mounted) -> Result<Self, Error> {
        let action = || format!("look at the mount for {}", path.display());
        let mount = sys::mount::unique_id(mounted).doing(action)?;
        let number = sys::mount::id(mounted).doing(action)?;
        Ok(Self {
            path,
            mount,
            number,
        })
    }

    /// Leaves word of it before it is mounted, for whoever finds the maker killed. As a symbolic
    /// link, because that is there whole or not at all.
    pub(crate) fn note(&self, dir: &Path) -> Result<(), Error> {
        let text = format!("{} {} {}", self.mount, self.number, self.path.display());
        sys::fd::open_dir(dir)
            .and_then(|dir| sys::root::make_link(dir, OsStr::new(NOTE), &text))
            .doing(|| format!("leave word in {} of the mounts to come", dir.display()))
    }

    /// The one that word was left of in a directory, by [`crate::CreateRequest::note_mounts_in`].
    /// None: of none.
    pub fn noted(dir: &Path) -> Result<Option<Self>, Error> {
        let read = sys::fd::open_dir(dir).and_then(|dir| {
            let text = sys::root::read_link(dir, OsStr::new(NOTE))?;
            let malformed = sys::Error {
                call: "readlink",
                errno: sys::Errno::INVAL,
            };
            text.to_str().and_then(parse).ok_or(malformed)
        });
        match read {
            Ok(noted) => Ok(Some(noted)),
            Err(error) if error.errno == sys::Errno::NOENT => Ok(None),
            Err(error) => Err(error).doing(|| format!("read {}/{NOTE}", dir.display())),
        }
    }

    /// Whether it is what is seen at a path.
    pub fn is_at(&self, path: &Path) -> bool {
        let there = sys::fd::open_path(path).and_then(sys::mount::unique_id);
        there == Ok(self.mount)
    }

    /// Takes it away, if it is there. What somebody else has mounted in its place stays; what is on
    /// top of it is in the way.
    pub fn remove(&self) -> Result<(), Error> {
        let action = || format!("take the mounts off {}", self.path.display());
        if self.is_at(&self.path) {
            return sys::mount::detach(&self.path).doing(action);
        }
        if self.is_covered().doing(action)? {
            let path = self.path.clone();
            return Err(Error::Covered { path });
        }
        Ok(())
    }

    /// Whether it is in the mount table all the same.
    fn is_covered(&self) -> sys::Result<bool> {
        let Ok(top) = sys::fd::open_path(&self.path) else {
            return Ok(false);
        };
        // By the name that the mount table has for it.
        let link = format!("/proc/self/fd/{}", top.as_raw_fd());
        let Ok(path) = std::fs::read_link(link) else {
            return Ok(false);
        };
        let table = sys::fd::open_read(Path::new("/proc/self/mountinfo"))?;
        let table = sys::fd::read_to_end(table, 64 << 20)?;
        let number = self.number.to_string();
        let lines = table.split(|byte| *byte == b'\n');
        // Where it is as well: when it is gone, another may be called so.
        let mut ours =
            lines.filter(|line| line.split(|b| *b == b' ').next() == Some(number.as_bytes()));
        Ok(ours.any(|line| crate::init::mount_points(line).contains(&path)))
    }
}

fn parse(text: &str) -> Option<SharedRoot> {
    let mut words = text.splitn(3, ' ');
    Some(SharedRoot {
        mount: words.next()?.parse().ok()?,
        number: words.next()?.parse().ok()?,
        path: words.next().map(PathBuf::from)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SharedRoot::noted(dir.path()).unwrap().is_none());
        assert!(SharedRoot::noted(&dir.path().join("x")).unwrap().is_none());
        let root = SharedRoot {
            path: PathBuf::from("/with blanks/in it"),
            mount: 1 << 40,
            number: 7,
        };
        root.note(dir.path()).unwrap();
        assert_eq!(SharedRoot::noted(dir.path()).unwrap(), Some(root));
        for wrong in ["", "1 2", "1 x /", "-1 2 /"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
