//! Which namespaces are the container's own.

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};

use super::RenderInput;

pub(super) fn namespaces(input: &RenderInput<'_>) -> Vec<LinuxNamespace> {
    let mut kinds = vec![
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Cgroup,
    ];
    let shared = input.joined_network.clone();
    if input.spec.network.is_private() || shared.is_some() {
        kinds.push(LinuxNamespaceType::Network);
    }
    kinds
        .into_iter()
        .map(|kind| {
            let mut namespace = LinuxNamespace::default();
            namespace.set_typ(kind);
            if kind == LinuxNamespaceType::Network {
                namespace.set_path(shared.clone());
            }
            namespace
        })
        .collect()
}
