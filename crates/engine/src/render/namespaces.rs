//! Which namespaces are the container's own, and which it joins. What is not listed is the host's.

use std::path::PathBuf;

use oci_spec::runtime::{
    LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceType as Kind,
};
use types::{IdMaps, IdRange, NamespaceMode};

use super::RenderInput;

pub(super) fn namespaces(input: &RenderInput<'_>) -> Vec<LinuxNamespace> {
    let (spec, joined) = (input.spec, &input.joined);
    let asked = &spec.namespaces;
    let mut all = vec![namespace(Kind::Mount, None)];
    let mut add = |kind, mode: &NamespaceMode, path: Option<PathBuf>| {
        if !mode.is_host() {
            all.push(namespace(kind, path));
        }
    };
    add(Kind::Uts, &asked.uts, None);
    add(Kind::Pid, &asked.pid, joined.pid.clone());
    add(Kind::Ipc, &asked.ipc, joined.ipc.clone());
    add(Kind::Cgroup, &asked.cgroup, None);
    if input.ids.is_some() {
        all.push(namespace(Kind::User, joined.user.clone()));
    }
    if spec.network.is_private() || joined.network.is_some() {
        all.push(namespace(Kind::Network, joined.network.clone()));
    }
    all
}

/// Users, then groups, as they are on the host.
pub(super) fn id_mappings(ids: &IdMaps) -> (Vec<LinuxIdMapping>, Vec<LinuxIdMapping>) {
    let mapping = |range: &IdRange| {
        let builder = LinuxIdMappingBuilder::default();
        let builder = builder.container_id(range.inside).host_id(range.outside);
        // All three are said: nothing can be missing.
        builder.size(range.count).build().ok()
    };
    let all = |ranges: &[IdRange]| ranges.iter().filter_map(mapping).collect();
    (all(&ids.uids), all(&ids.gids))
}

fn namespace(kind: Kind, path: Option<PathBuf>) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace.set_path(path);
    namespace
}
