//! Paths with what symbolic links on the way lead to: the daemon asks for `link/file` and gets both the link
//! and the file.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use sys::dir::{self, Dir, Kind};
use types::ignore::{Matcher, clean};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 255;

/// The paths, and where links in them lead. A wildcard stays one; links that it matches are followed.
pub(super) fn follow(root: &Dir, paths: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in paths {
        let mut left = MOST_LINKS;
        resolve(root, path, &mut found, &mut left);
    }
    found
}

/// Inside the root, whatever `..` say.
fn inside(path: &str) -> String {
    let clean = clean(&format!("/{path}"));
    clean.trim_start_matches('/').to_owned()
}

fn resolve(root: &Dir, path: &str, found: &mut BTreeSet<String>, left: &mut usize) {
    let path = inside(path);
    let mut current = String::new();
    let mut rest = path.as_str();
    while !rest.is_empty() {
        let (part, after) = rest.split_once('/').unwrap_or((rest, ""));
        let targets = targets(root, &current, part);
        let above = std::mem::take(&mut current);
        super::join(&above, part, &mut current);
        rest = after;
        if targets.is_empty() {
            continue;
        }
        if !found.insert(current.clone()) || *left == 0 {
            return;
        }
        *left -= 1;
        for target in targets {
            resolve(root, &format!("{target}/{rest}"), found, left);
        }
        if !part.contains(['*', '?', '[']) {
            return;
        }
    }
    found.insert(current);
}

/// Where a name leads, or the links that a wildcard matches; nowhere if there is none.
fn targets(root: &Dir, above: &str, part: &str) -> Vec<String> {
    let Ok(dir) = root.open_in_root(above.as_bytes()) else {
        return Vec::new();
    };
    if !part.contains(['*', '?', '[']) {
        return link(&dir, above, OsStr::new(part)).into_iter().collect();
    }
    // What was opened only names the directory.
    let entries = dir.open_dir(OsStr::new(".")).and_then(|dir| dir.entries());
    let (Ok(matcher), Ok(entries)) = (Matcher::new([part]), entries) else {
        return Vec::new();
    };
    let links = entries.flatten().filter(|(_, kind)| *kind == Kind::Symlink);
    let links = links.filter_map(|(name, _)| {
        let name = dir::name(&name);
        matcher
            .matches(name.to_str()?)
            .then(|| link(&dir, above, name))
            .flatten()
    });
    links.collect()
}

/// Where a link leads, from the root.
fn link(dir: &Dir, above: &str, name: &OsStr) -> Option<String> {
    let status = dir.status(name).ok()?;
    if status.kind != Kind::Symlink {
        return None;
    }
    let target = dir.read_symlink(name).ok()?;
    let target = target.to_str().ok()?;
    Some(match target.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{above}/{target}"),
    })
}
