//! Sources of bind mounts: `-v` makes what is missing, `--mount` refuses it.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path};

use sys::dir::Dir;
use types::{MountKind, MountRequest};

use super::check::Invalid;
use crate::Error;

/// Refuses sources that must be there and are not.
pub(super) fn check_sources(mounts: &[MountRequest]) -> Result<(), Invalid> {
    for mount in mounts {
        if let MountKind::Bind {
            source,
            create_source: false,
            ..
        } = &mount.kind
            && Path::new(source).symlink_metadata().is_err()
        {
            return Err(Invalid::Mount {
                kind: "bind",
                reason: format!("bind source path does not exist: {source}"),
            });
        }
    }
    Ok(())
}

/// Makes the sources that may be made. Returns what was made, to be taken away again if the start
/// fails.
pub(super) fn make_sources(mounts: &[MountRequest]) -> Result<Vec<Made>, Error> {
    let mut made = Vec::new();
    for mount in mounts {
        if let MountKind::Bind {
            source,
            create_source: true,
            ..
        } = &mount.kind
        {
            let source = Path::new(source);
            match make_dirs(source) {
                Ok(None) => {}
                Ok(Some(dirs)) => made.push(dirs),
                Err(source_error) => {
                    remove_sources(&made);
                    let what = format!("make the bind source {}", source.display());
                    return Err(Error::io(what)(source_error));
                }
            }
        }
    }
    Ok(made)
}

/// Takes away what [`make_sources`] made, as far as nobody has put anything there.
pub(super) fn remove_sources(made: &[Made]) {
    for dirs in made {
        dirs.remove();
    }
}

/// Directories that were made for one source, each in the one before.
#[derive(Debug)]
pub(super) struct Made {
    /// What was there already. Held open, and all below is reached from here without following
    /// links: others may own these directories and put something else in their place.
    parent: Dir,
    names: Vec<OsString>,
}

impl Made {
    /// The innermost first. What is not empty, or no directory any more, is somebody's and stays.
    fn remove(&self) {
        let mut opened: Vec<Dir> = Vec::new();
        for name in &self.names[..self.names.len().saturating_sub(1)] {
            match opened.last().unwrap_or(&self.parent).open_dir(name) {
                Ok(dir) => opened.push(dir),
                Err(_) => break,
            }
        }
        let dirs = std::iter::once(&self.parent).chain(&opened);
        let pairs: Vec<_> = dirs.zip(&self.names).collect();
        for (dir, name) in pairs.into_iter().rev() {
            let _ = dir.remove_dir(name);
        }
    }
}

fn make_dirs(path: &Path) -> io::Result<Option<Made>> {
    let missing = path.ancestors().take_while(|p| !p.exists()).last();
    let Some(there) = missing.and_then(Path::parent) else {
        return Ok(None);
    };
    let below = path.strip_prefix(there).unwrap_or(path);
    let made = Made {
        parent: Dir::open(there)?,
        names: below
            .components()
            .map_while(|part| match part {
                Component::Normal(name) => Some(name.to_owned()),
                _ => None,
            })
            .collect(),
    };
    match std::fs::create_dir_all(path) {
        Ok(()) => Ok(Some(made)),
        Err(error) => {
            made.remove();
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &Path, create_source: bool) -> MountRequest {
        MountRequest {
            kind: MountKind::Bind {
                source: source.to_str().unwrap().to_owned(),
                propagation: None,
                create_source,
                recursive: true,
                read_only_non_recursive: false,
                read_only_force_recursive: false,
                bind_mode: None,
                id_map: None,
            },
            target: "/x".to_owned(),
            read_only: false,
        }
    }

    #[test]
    fn a_missing_source_is_made_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("a/b/c");
        assert_eq!(
            check_sources(&[bind(&source, false)])
                .unwrap_err()
                .to_string(),
            format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                source.display()
            )
        );
        assert_eq!(check_sources(&[bind(&source, true)]), Ok(()));
        let made = make_sources(&[bind(&source, true)]).unwrap();
        assert!(source.is_dir());
        assert_eq!(made[0].names, ["a", "b", "c"]);
        assert!(make_sources(&[bind(&source, true)]).unwrap().is_empty());
        remove_sources(&made);
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn what_others_put_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("a/b");
        let made = make_sources(&[bind(&source, true)]).unwrap();
        std::fs::File::create(dir.path().join("a/theirs")).unwrap();
        remove_sources(&made);
        assert!(dir.path().join("a/theirs").exists());
        assert!(!source.exists());
    }
    #[test]
    fn a_link_put_in_their_place_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("theirs/b");
        std::fs::create_dir_all(&theirs).unwrap();
        let made = make_sources(&[bind(&dir.path().join("a/b"), true)]).unwrap();
        std::fs::rename(dir.path().join("a"), dir.path().join("moved")).unwrap();
        std::os::unix::fs::symlink("theirs", dir.path().join("a")).unwrap();
        remove_sources(&made);
        assert!(theirs.is_dir());
        assert!(dir.path().join("a").is_symlink());
    }

    #[test]
    fn a_source_that_cannot_be_made_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("a/b").join("c".repeat(300));
        let error = make_sources(&[bind(&source, true)]).unwrap_err();
        assert!(
            error.to_string().contains("make the bind source"),
            "{error}"
        );
        assert!(!dir.path().join("a").exists());
    }
}
