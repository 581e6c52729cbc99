//! What a container's cgroup is going to be, in a word that a later process can remove it by.

use oci_spec::runtime::{Linux, Spec};
use types::ProcessRef;

use super::path::{self, Place};
use super::{CgroupDriver, Group};
use crate::Saved;
use crate::error::Error;

/// The path, or the unit that systemd is to make. For a note of what may be left when the maker is
/// killed; [`crate::Container::remove_unfinished`] reads it.
pub fn planned(spec: &Spec, id: &str, driver: CgroupDriver) -> Result<String, Error> {
    let default = Linux::default();
    let linux = spec.linux().as_ref().unwrap_or(&default);
    Ok(match path::place(linux, id, driver)? {
        Place::Path(path) => path,
        Place::Unit(name) => name.unit,
    })
}

/// Removes what was planned, with whatever is in it.
pub(crate) fn remove_planned(planned: &str) -> Result<(), Error> {
    // The root of the hierarchies is nobody's to empty.
    if planned.trim_matches('/').is_empty() {
        return Ok(());
    }
    Group::remove_remains(&saved(planned))
}

fn saved(planned: &str) -> Saved {
    let is_path = planned.starts_with('/');
    let text = |wanted: bool| wanted.then(|| planned.to_owned());
    Saved {
        id: String::new(),
        bundle: std::path::PathBuf::new(),
        process: ProcessRef { pid: 0, started: 0 },
        cgroup: text(is_path).unwrap_or_default(),
        directories: Vec::new(),
        unit: text(!is_path),
        shared_root: None,
        namespaces: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_units_are_told_apart() {
        assert_eq!(saved("/brig/x").cgroup, "/brig/x");
        assert_eq!(saved("brig-x.scope").unit.as_deref(), Some("brig-x.scope"));
        assert_eq!(saved("brig-x.scope").cgroup, "");
    }
}
