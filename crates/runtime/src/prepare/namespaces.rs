//! Which namespaces are made and which are joined, and what may be set in them.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};
use sys::ns::Namespaces;

use crate::error::{Doing, Error};

/// Namespaces made and joined.
#[derive(Debug)]
pub(crate) struct NamespacePlan {
    /// Made.
    pub(crate) new: Namespaces,
    /// Joined, in the order in which the kernel wants it.
    pub(crate) join: Vec<(Namespaces, OwnedFd)>,
    /// The kinds of those joined that the caller is in itself.
    pub(crate) of_caller: Namespaces,
    /// Ids in a new user namespace.
    pub(crate) id_maps: Option<IdMaps>,
}

/// The texts of /proc/PID/uid_map and gid_map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMaps {
    pub(crate) uids: String,
    pub(crate) gids: String,
}

impl IdMaps {
    pub(super) fn new(
        uids: Option<&Vec<LinuxIdMapping>>,
        gids: Option<&Vec<LinuxIdMapping>>,
    ) -> Self {
        let line =
            |m: &LinuxIdMapping| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size());
        let text =
            |maps: Option<&Vec<LinuxIdMapping>>| maps.into_iter().flatten().map(line).collect();
        Self {
            uids: text(uids),
            gids: text(gids),
        }
    }
}

impl NamespacePlan {
    /// Whether the container has a namespace of this kind that is not the caller's.
    pub(crate) fn has(&self, kind: Namespaces) -> bool {
        (self.all() - self.of_caller).contains(kind)
    }

    /// All kinds made or joined.
    pub(crate) fn all(&self) -> Namespaces {
        self.join
            .iter()
            .fold(self.new, |all, (kind, _)| all | *kind)
    }

    /// The descriptor of a joined one.
    pub(crate) fn joined(&self, kind: Namespaces) -> Option<&OwnedFd> {
        self.join
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, fd)| fd)
    }
}

pub(super) fn namespaces(linux: &Linux) -> Result<NamespacePlan, Error> {
    let mut new = Namespaces::empty();
    let mut join = Vec::new();
    let mut seen = Namespaces::empty();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = kind(namespace.typ());
        if seen.contains(kind) {
            let reason = format!("{} is there twice", namespace.typ());
            return Err(Error::invalid("linux.namespaces", reason));
        }
        seen |= kind;
        match namespace
            .path()
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
        {
            None => new |= kind,
            Some(path) => {
                let opened = sys::ns::open(path);
                join.push((
                    kind,
                    opened.doing(|| format!("open namespace {}", path.display()))?,
                ));
            }
        }
    }
    check(new, &join)?;
    let order = |kind: Namespaces| sys::ns::NAMES.iter().position(|(known, _)| *known == kind);
    join.sort_by_key(|(kind, _)| order(*kind));
    Ok(NamespacePlan {
        new,
        of_caller: of_caller(&join)?,
        id_maps: id_maps(linux, new)?,
        join,
    })
}

/// Whoever joins the caller's own namespace by its path has none that is different from it.
fn of_caller(join: &[(Namespaces, OwnedFd)]) -> Result<Namespaces, Error> {
    let mut own = Namespaces::empty();
    for (kind, namespace) in join {
        let is_own = sys::ns::is_own(namespace, *kind);
        if is_own.doing(|| "look at the namespaces to join".to_owned())? {
            own |= *kind;
        }
    }
    Ok(own)
}

fn check(new: Namespaces, join: &[(Namespaces, OwnedFd)]) -> Result<(), Error> {
    let joined = |kind| join.iter().any(|(known, _)| *known == kind);
    if joined(Namespaces::MOUNT) {
        let reason = "a mount namespace cannot be joined: the root is assembled in a new one";
        return Err(Error::unsupported("linux.namespaces", reason));
    }
    if !new.contains(Namespaces::MOUNT) {
        let reason = "a mount namespace is needed, or the container would change the host's mounts";
        return Err(Error::invalid("linux.namespaces", reason));
    }
    if new.contains(Namespaces::TIME) || joined(Namespaces::TIME) {
        return Err(Error::unsupported(
            "linux.namespaces",
            "this runtime has no time namespaces",
        ));
    }
    Ok(())
}

fn kind(kind: LinuxNamespaceType) -> Namespaces {
    match kind {
        LinuxNamespaceType::Mount => Namespaces::MOUNT,
        LinuxNamespaceType::Cgroup => Namespaces::CGROUP,
        LinuxNamespaceType::Uts => Namespaces::UTS,
        LinuxNamespaceType::Ipc => Namespaces::IPC,
        LinuxNamespaceType::User => Namespaces::USER,
        LinuxNamespaceType::Pid => Namespaces::PID,
        LinuxNamespaceType::Network => Namespaces::NETWORK,
        LinuxNamespaceType::Time => Namespaces::TIME,
    }
}

fn id_maps(linux: &Linux, new: Namespaces) -> Result<Option<IdMaps>, Error> {
    let maps = IdMaps::new(linux.uid_mappings().as_ref(), linux.gid_mappings().as_ref());
    match (
        new.contains(Namespaces::USER),
        maps.uids.is_empty() || maps.gids.is_empty(),
    ) {
        (true, true) => {
            let reason = "a new user namespace needs both uidMappings and gidMappings";
            Err(Error::invalid("linux.uidMappings", reason))
        }
        (true, false) => Ok(Some(maps)),
        // Mappings that come along with a joined namespace describe it and change nothing.
        (false, _) => Ok(None),
    }
}

/// The sysctls, each checked to belong to a namespace that is the container's own.
pub(super) fn sysctl(
    linux: &Linux,
    namespaces: &NamespacePlan,
) -> Result<Vec<(String, String)>, Error> {
    let mut all = Vec::new();
    for (name, value) in linux.sysctl().iter().flatten() {
        let field = || format!("linux.sysctl.{name}");
        match sysctl_namespace(name) {
            Some(kind) if namespaces.has(kind) => all.push((name.clone(), value.clone())),
            Some(kind) => {
                let (_, kind) = sys::ns::NAMES
                    .iter()
                    .find(|(known, _)| *known == kind)
                    .copied()
                    .unwrap_or((kind, "own"));
                let reason = format!("would change the host's: it needs a {kind} namespace");
                return Err(Error::invalid(field(), reason));
            }
            None => {
                let reason = "is the whole machine's: only those of namespaces can be set";
                return Err(Error::invalid(field(), reason));
            }
        }
    }
    all.sort();
    Ok(all)
}

/// The kind of namespace a sysctl belongs to. None for a name that is a way out of its directory:
/// `net/../kernel/core_pattern` is not the network's.
fn sysctl_namespace(name: &str) -> Option<Namespaces> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let path = crate::init::protect::sysctl_path(name);
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !Path::new(&path).components().all(stays) {
        return None;
    }
    let name = name.replace('/', ".");
    if name.starts_with("net.") {
        Some(Namespaces::NETWORK)
    } else if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
        Some(Namespaces::IPC)
    } else if name == "kernel.domainname" || name == "kernel.hostname" {
        Some(Namespaces::UTS)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sysctls_of_namespaces_are_taken() {
        assert_eq!(
            sysctl_namespace("net.ipv4.ip_forward"),
            Some(Namespaces::NETWORK)
        );
        assert_eq!(
            sysctl_namespace("net/ipv4/ip_forward"),
            Some(Namespaces::NETWORK)
        );
        assert_eq!(
            sysctl_namespace("kernel.shm_rmid_forced"),
            Some(Namespaces::IPC)
        );
        assert_eq!(sysctl_namespace("kernel.panic"), None);
        assert_eq!(sysctl_namespace("network.x"), None);
        for out in ["net/../kernel/core_pattern", "net.//.kernel.core_pattern"] {
            assert_eq!(sysctl_namespace(out), None, "{out}");
        }
    }
}
