//! Sources of bind mounts: `-v` makes what is missing, `--mount` refuses it.

use std::io;
use std::path::{Path, PathBuf};

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

/// Makes the sources that may be made. Returns the topmost directory made for each, to be taken
/// away again if the start fails.
pub(super) fn make_sources(mounts: &[MountRequest]) -> Result<Vec<PathBuf>, Error> {
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
                Ok(Some(top)) => made.push(top),
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
pub(super) fn remove_sources(made: &[PathBuf]) {
    for top in made {
        remove_empty(top);
    }
}

fn make_dirs(path: &Path) -> io::Result<Option<PathBuf>> {
    if path.exists() {
        return Ok(None);
    }
    let missing = path.ancestors().take_while(|p| !p.exists()).last();
    let top = missing.map(Path::to_owned);
    std::fs::create_dir_all(path)?;
    Ok(top)
}

/// Removes a tree of empty directories; stops at the first thing that is none.
fn remove_empty(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // Fails where somebody put something in: that is theirs now.
    let _ = std::fs::remove_dir(dir);
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
        assert_eq!(made, [dir.path().join("a")]);
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
}
