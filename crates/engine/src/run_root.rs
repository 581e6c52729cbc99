//! Whose containers a run root holds: a daemon takes what it does not know there for left behind, and
//! kills it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// The data root, as it was found last.
const OWNER: &str = "data-root";

/// Takes a run root for the containers of a data root, unless those of another one are in it.
pub(crate) fn claim(run_root: &Path, data_root: &Path) -> Result<(), Error> {
    let own = fs::canonicalize(data_root).map_err(Error::io(format!(
        "find the data root {}",
        data_root.display()
    )))?;
    let path = run_root.join(OWNER);
    let owner = fs::read_to_string(&path).ok().map(PathBuf::from);
    match owner {
        Some(owner) if owner == own => return Ok(()),
        Some(owner) if holds_containers(run_root)? => {
            return Err(Error::RunRoot {
                run_root: run_root.to_owned(),
                owner,
                data_root: own,
            });
        }
        _ => {}
    }
    sys::file::replace_unsynced(&path, own.to_string_lossy().as_bytes(), 0o600)
        .map_err(Error::kernel(format!("write {}", path.display())))
}

fn holds_containers(run_root: &Path) -> Result<bool, Error> {
    let dir = run_root.join("containers");
    let entries = fs::read_dir(&dir).map_err(Error::io(format!("look into {}", dir.display())))?;
    Ok(entries.count() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_root_changes_hands_when_nothing_runs() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let (run, one, two) = (at("run"), at("one"), at("two"));
        let containers = at("run/containers");
        claim(&run, &one).unwrap();
        let container = containers.join("c0ffee");
        fs::create_dir(&container).unwrap();
        claim(&run, &one).unwrap();
        let refused = claim(&run, &two).unwrap_err().to_string();
        let words = [run.display(), one.display(), two.display()].map(|path| path.to_string());
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
        fs::remove_dir(&container).unwrap();
        claim(&run, &two).unwrap();
    }
}
