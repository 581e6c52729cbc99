//! `linux.cgroupsPath` read. Pure.

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Spec};

use super::CgroupDriver;
use crate::error::Error;

const FIELD: &str = "linux.cgroupsPath";

/// Where the container's cgroup is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this path from the root of the hierarchies.
    Path(String),
    /// Where systemd puts this unit.
    Unit(UnitName),
}

/// A unit of systemd's, as `slice:prefix:name` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitName {
    /// The slice it is part of; empty leaves it to systemd.
    pub(crate) slice: String,
    /// Its name with the suffix.
    pub(crate) unit: String,
}

/// What the configuration says, or by the container's id where it says nothing.
pub(crate) fn place(linux: &Linux, id: &str, driver: CgroupDriver) -> Result<Place, Error> {
    let path = linux.cgroups_path().as_deref();
    let text = match path {
        None => "",
        Some(path) => path
            .to_str()
            .ok_or_else(|| Error::invalid(FIELD, "is no text"))?,
    };
    match driver {
        CgroupDriver::Direct => direct(text, id).map(Place::Path),
        CgroupDriver::Systemd => unit(text, id).map(Place::Unit),
    }
}

/// A relative path begins at the root too: where this program itself is says nothing about where
/// containers belong.
fn direct(text: &str, id: &str) -> Result<String, Error> {
    if !text.starts_with('/') && text.matches(':').count() == 2 {
        let reason = format!(
            "{text:?} names a unit of systemd: --systemd-cgroup is needed, or a path as in /group/name"
        );
        return Err(Error::invalid(FIELD, reason));
    }
    Ok(match text {
        "" => format!("/{id}"),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("/{relative}"),
    })
}

fn unit(text: &str, id: &str) -> Result<UnitName, Error> {
    if text.is_empty() {
        return Ok(UnitName {
            slice: String::new(),
            unit: format!("brig-{id}.scope"),
        });
    }
    let fields: Vec<&str> = text.split(':').collect();
    let [slice, prefix, name] = fields[..] else {
        let reason = format!("{text:?}: with the systemd driver SLICE:PREFIX:NAME is expected");
        return Err(Error::invalid(FIELD, reason));
    };
    check_slice(slice)?;
    let unit = match (name.ends_with(".slice"), prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    };
    // systemd.unit(5): the characters of a unit's name.
    let sound =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
    if name.is_empty() || unit.len() > 255 || !unit.chars().all(sound) {
        let reason = format!("{text:?}: {unit:?} is not the name of a unit");
        return Err(Error::invalid(FIELD, reason));
    }
    Ok(UnitName {
        slice: slice.to_owned(),
        unit,
    })
}

/// `a-b.slice`: each dash goes one level down, so none may stand at an end or beside another.
fn check_slice(slice: &str) -> Result<(), Error> {
    let sound = |inner: &str| {
        inner == "-" || (!inner.contains('/') && inner.split('-').all(|part| !part.is_empty()))
    };
    if slice.is_empty() || slice.strip_suffix(".slice").is_some_and(sound) {
        return Ok(());
    }
    let reason =
        format!("{slice:?} is no slice: a name as in system.slice or a-b.slice is expected");
    Err(Error::invalid(FIELD, reason))
}

/// The user of the host who is to own the cgroup (the specification, "Cgroup ownership"): the
/// container's user, where it has a user namespace and a cgroup namespace of its own, and a cgroup
/// file system that it may write to.
pub(crate) fn owner(spec: &Spec) -> Option<u32> {
    let linux = spec.linux().as_ref()?;
    let has_own = |kind: LinuxNamespaceType| {
        let own = |path: &Option<std::path::PathBuf>| match path {
            None => true,
            Some(path) => path.as_os_str().is_empty(),
        };
        let mut namespaces = linux.namespaces().iter().flatten();
        namespaces.any(|n| n.typ() == kind && own(n.path()))
    };
    if !has_own(LinuxNamespaceType::User) || !has_own(LinuxNamespaceType::Cgroup) {
        return None;
    }
    let writable = spec.mounts().iter().flatten().any(|mount| {
        let read_only = mount.options().iter().flatten().any(|o| o == "ro");
        matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2")) && !read_only
    });
    let user = spec.process().as_ref().map_or(0, |p| p.user().uid());
    let mappings = linux.uid_mappings().iter().flatten();
    writable.then(|| host_id(mappings, user))?
}

fn host_id<'a>(mut mappings: impl Iterator<Item = &'a LinuxIdMapping>, id: u32) -> Option<u32> {
    mappings.find_map(|m| {
        let offset = id.checked_sub(m.container_id())?;
        (offset < m.size()).then(|| m.host_id().checked_add(offset))?
    })
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxBuilder;

    use super::*;

    fn show(path: &str, driver: CgroupDriver) -> String {
        let linux = LinuxBuilder::default().cgroups_path(path).build().unwrap();
        match place(&linux, "id", driver) {
            Ok(Place::Path(path)) => path,
            Ok(Place::Unit(name)) => format!("{} in {:?}", name.unit, name.slice),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_are_absolute() {
        let direct = |path| show(path, CgroupDriver::Direct);
        assert_eq!(direct("/brig/x"), "/brig/x");
        assert_eq!(direct("/brig/a:b:c"), "/brig/a:b:c");
        assert_eq!(direct("y"), "/y");
        assert_eq!(direct(""), "/id");
        assert_eq!(
            direct("a:b:c"),
            "invalid configuration: linux.cgroupsPath: \"a:b:c\" names a unit of systemd: \
             --systemd-cgroup is needed, or a path as in /group/name"
        );
    }

    #[test]
    fn units_are_named_in_three_parts() {
        let unit = |path| show(path, CgroupDriver::Systemd);
        assert_eq!(unit(""), "brig-id.scope in \"\"");
        assert_eq!(unit("a-b.slice:runc:x"), "runc-x.scope in \"a-b.slice\"");
        assert_eq!(unit(":runc:x"), "runc-x.scope in \"\"");
        assert_eq!(unit("system.slice::x.slice"), "x.slice in \"system.slice\"");
        assert_eq!(unit("-.slice::x"), "x.scope in \"-.slice\"");
        for wrong in [
            "/a/b",
            "a:b",
            "a:b:c:d",
            "a.slice:p:",
            "a--b.slice:p:n",
            "x:p:n",
            "a.slice:p:/n",
        ] {
            assert!(unit(wrong).starts_with("invalid configuration"), "{wrong}");
        }
    }

    #[test]
    fn cgroups_are_owned_by_the_user_that_roots_them() {
        let owner_of = |namespaces: &[&str], options: &[&str], uid: u32| {
            let namespaces: Vec<_> = namespaces
                .iter()
                .map(|kind| serde_json::json!({"type": kind}))
                .collect();
            let spec = serde_json::json!({
                "ociVersion": "1.3.0",
                "process": {"cwd": "/", "user": {"uid": uid, "gid": 0}},
                "mounts": [{"destination": "/sys/fs/cgroup", "type": "cgroup", "options": options}],
                "linux": {
                    "namespaces": namespaces,
                    "uidMappings": [
                        {"containerID": 0, "hostID": 1000, "size": 1},
                        {"containerID": 1, "hostID": 100_000, "size": 100},
                    ],
                },
            });
            owner(&serde_json::from_value(spec).unwrap())
        };
        assert_eq!(owner_of(&["user", "cgroup"], &["rw"], 0), Some(1000));
        assert_eq!(owner_of(&["user", "cgroup"], &[], 5), Some(100_004));
        assert_eq!(owner_of(&["user", "cgroup"], &["rw"], 500), None);
        assert_eq!(owner_of(&["user", "cgroup"], &["ro"], 0), None);
        assert_eq!(owner_of(&["user"], &["rw"], 0), None);
        assert_eq!(owner_of(&["cgroup"], &["rw"], 0), None);
    }
}
