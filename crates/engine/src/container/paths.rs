//! Paths inside a container. What they lead to is always opened by the kernel inside its root; the
//! text of where links lead is for clients, who come back with it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sys::Errno;
use sys::dir::{Dir, Kind, Status};

/// How many symbolic links are followed, as many as the kernel does.
const MAX_LINKS: u32 = 40;

/// A path without `.`, `..` and doubled slashes, and whether it can only be a directory: it ends with
/// a slash or with `/.`.
pub(super) fn clean(path: &str) -> (String, bool) {
    let directory = path.ends_with('/') || path.ends_with("/.") || path == ".";
    (crate::render::plain(path), directory)
}

/// The directory that holds the last component, and that.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some((parent, name)) => (parent, if name.is_empty() { "." } else { name }),
        None => ("", path),
    }
}

/// What is there, no link followed: where it is, what it is called there, and what it is.
pub(super) fn find<'p>(root: &Dir, path: &'p str) -> sys::Result<(Dir, &'p OsStr, Status)> {
    let (parent, name) = split(path);
    let parent = root.open_in_root(parent.as_bytes())?;
    let name = OsStr::from_bytes(name.as_bytes());
    let status = parent.status(name)?;
    Ok((parent, name, status))
}

/// Where a path leads when all links are followed, as far as there is something.
pub(super) fn follow(root: &Dir, path: &str) -> sys::Result<String> {
    let mut done = String::new();
    let mut rest: Vec<String> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            done.truncate(done.rfind('/').unwrap_or(0));
            continue;
        }
        let here = format!("{done}/{part}");
        let target = match find(root, &here) {
            Ok((parent, name, status)) if status.kind == Kind::Symlink => {
                Some(parent.read_symlink(name)?)
            }
            Err(error) if !matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => {
                return Err(error);
            }
            _ => None,
        };
        let Some(target) = target else {
            done = here;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(sys::Error {
                call: "readlinkat",
                errno: Errno::LOOP,
            });
        }
        let target = target.to_string_lossy();
        if target.starts_with('/') {
            done.clear();
        }
        rest.extend(parts(&target));
    }
    Ok(if done.is_empty() {
        "/".to_owned()
    } else {
        done
    })
}

/// Components, the last one first.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.rev().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        let links = [
            ("abs", "/a"),
            ("rel", "a/b"),
            ("up", "../../../../a"),
            ("a/back", "../rel"),
            ("loop", "loop"),
            ("gone", "/nowhere/at/all"),
        ];
        for (name, target) in links {
            std::os::unix::fs::symlink(target, at(name)).unwrap();
        }
        let root = Dir::open(dir.path()).unwrap();
        let show = |path: &str| match follow(&root, path) {
            Ok(path) => path,
            Err(error) => error.errno.to_string(),
        };
        let table = [
            "/",
            "a/b",
            "/abs/b",
            "/rel",
            "/up/b",
            "/a/back/x",
            "/loop",
            "/gone/x",
            "/../a",
        ];
        let shown = table.map(show);
        assert_eq!(shown[..6], ["/", "/a/b", "/a/b", "/a/b", "/a/b", "/a/b/x"]);
        assert!(shown[6].contains("symbolic links"), "{}", shown[6]);
        assert_eq!(shown[7..], ["/nowhere/at/all/x", "/a"]);
    }
}
