//! Which namespaces are made and which are joined, and what may be set in them.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};
use sys::ns::Namespaces;

use crate::error::{Doing, Error};

/// Namespaces made and joined. Those that are neither are the caller's.
#[derive(Debug)]
pub(crate) struct NamespacePlan {
    /// Made.
    pub(crate) new: Namespaces,
    /// Joined as soon as the maker has them.
    pub(crate) awaited: Namespaces,
    /// Joined, in the order in which the kernel wants it.
    pub(crate) join: Vec<(Namespaces, OwnedFd)>,
    /// The kinds of those joined that the caller is in itself: nothing may be changed in them.
    pub(crate) of_caller: Namespaces,
    /// Ids in a new user namespace.
    pub(crate) id_maps: Option<IdMaps>,
    /// The text of /proc/PID/timens_offsets in a new time namespace.
    pub(crate) clocks: Option<String>,
}

/// The texts of /proc/PID/uid_map and gid_map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMaps {
    pub(crate) uids: String,
    pub(crate) gids: String,
}

impl IdMaps {
    pub(crate) fn new(
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
    /// Whether the configuration has a namespace of this kind, be it the caller's own.
    pub(crate) fn names(&self, kind: Namespaces) -> bool {
        self.has(kind) || self.of_caller.contains(kind)
    }

    /// Whether the container has a namespace of this kind that is not the caller's.
    pub(crate) fn has(&self, kind: Namespaces) -> bool {
        (self.all() - self.of_caller).contains(kind)
    }

    /// All kinds made or joined, now or later.
    pub(crate) fn all(&self) -> Namespaces {
        self.join
            .iter()
            .fold(self.new | self.awaited, |all, (kind, _)| all | *kind)
    }

    /// The descriptor of a joined one.
    pub(crate) fn joined(&self, kind: Namespaces) -> Option<&OwnedFd> {
        self.join
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, fd)| fd)
    }

    /// Whether the mounts the container sees are its own, to be changed as it likes.
    pub(crate) fn has_own_mounts(&self) -> bool {
        self.new.contains(Namespaces::MOUNT)
    }

    /// Whether namespaces have to be joined before the first process is cloned: a user namespace
    /// that is to own the new ones, or others with rights that are gone in a new user namespace.
    pub(crate) fn need_usher(&self) -> bool {
        let in_new = self.new.contains(Namespaces::USER) && !self.join.is_empty();
        in_new || self.joined(Namespaces::USER).is_some()
    }
}

pub(super) fn namespaces(linux: &Linux) -> Result<NamespacePlan, Error> {
    let mut new = Namespaces::empty();
    let mut join = Vec::new();
    let (mut seen, mut of_caller) = (Namespaces::empty(), Namespaces::empty());
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
                let (opened, is_own) = open(path, kind)?;
                if is_own {
                    of_caller |= kind;
                }
                // The kernel refuses to enter the user namespace one is in.
                if !(is_own && kind == Namespaces::USER) {
                    join.push((kind, opened));
                }
            }
        }
    }
    let order = |kind: Namespaces| sys::ns::NAMES.iter().position(|(known, _)| *known == kind);
    join.sort_by_key(|(kind, _)| order(*kind));
    Ok(NamespacePlan {
        new,
        awaited: Namespaces::empty(),
        join,
        of_caller,
        id_maps: id_maps(linux, new, seen)?,
        clocks: clocks(linux, new)?,
    })
}

/// The namespace of a path, which must be of that kind, and whether it is the caller's own.
fn open(path: &Path, kind: Namespaces) -> Result<(OwnedFd, bool), Error> {
    let action = || format!("open namespace {}", path.display());
    if !path.is_absolute() {
        let reason = format!("the path {} is not absolute", path.display());
        return Err(Error::invalid("linux.namespaces", reason));
    }
    let opened = sys::ns::open(path).doing(action)?;
    let found = sys::ns::kind(&opened).doing(action)?;
    if found != Some(kind) {
        let found = found.map_or("no namespace", kind_name);
        let reason = format!(
            "{} leads to {found}, where a {} namespace is asked for",
            path.display(),
            kind_name(kind)
        );
        return Err(Error::invalid("linux.namespaces", reason));
    }
    let is_own = sys::ns::is_own(&opened, kind).doing(action)?;
    Ok((opened, is_own))
}

fn kind_name(kind: Namespaces) -> &'static str {
    let mut known = sys::ns::NAMES.iter();
    known
        .find(|(known, _)| *known == kind)
        .map_or("another", |(_, name)| *name)
}

/// The lines that the kernel wants, in the order of the clocks' names.
fn clocks(linux: &Linux, new: Namespaces) -> Result<Option<String>, Error> {
    let mut lines = Vec::new();
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            let reason = "there is no such clock: monotonic and boottime can be moved";
            return Err(Error::invalid(format!("linux.timeOffsets.{clock}"), reason));
        }
        let (secs, nanosecs) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        lines.push(format!("{clock} {secs} {nanosecs}\n"));
    }
    if !lines.is_empty() && !new.contains(Namespaces::TIME) {
        let reason = "can be set in a new time namespace only: linux.namespaces asks for none";
        return Err(Error::invalid("linux.timeOffsets", reason));
    }
    lines.sort();
    Ok((!lines.is_empty()).then(|| lines.concat()))
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

fn id_maps(linux: &Linux, new: Namespaces, seen: Namespaces) -> Result<Option<IdMaps>, Error> {
    let maps = IdMaps::new(linux.uid_mappings().as_ref(), linux.gid_mappings().as_ref());
    let (none, part) = (
        maps.uids.is_empty() && maps.gids.is_empty(),
        maps.uids.is_empty() || maps.gids.is_empty(),
    );
    let field = "linux.uidMappings";
    if !seen.contains(Namespaces::USER) && !none {
        let reason = "needs a user namespace in linux.namespaces";
        return Err(Error::invalid(field, reason));
    }
    if !new.contains(Namespaces::USER) {
        // Mappings that come along with a joined namespace describe it and change nothing.
        return Ok(None);
    }
    if part {
        let reason = "a new user namespace needs both uidMappings and gidMappings";
        return Err(Error::invalid(field, reason));
    }
    Ok(Some(maps))
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
                let reason = format!(
                    "would change the host's: it needs a {} namespace",
                    kind_name(kind)
                );
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
    let path = crate::init::protect::sysctl_path(name);
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !Path::new(&path).components().all(stays) {
        return None;
    }
    let name = name.replace('/', ".");
    if name.starts_with("net.") {
        Some(Namespaces::NETWORK)
    } else if types::IPC_SYSCTLS.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
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
