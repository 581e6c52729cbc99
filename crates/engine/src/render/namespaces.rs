//! Which namespaces are the container's own.

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};
use types::NetworkMode;

use super::RenderInput;

pub(super) fn namespaces(input: &RenderInput<'_>) -> Vec<LinuxNamespace> {
    let mut kinds = vec![
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Cgroup,
    ];
    match input.spec.network {
        NetworkMode::Default | NetworkMode::None => kinds.push(LinuxNamespaceType::Network),
        NetworkMode::Host => {}
    }
    kinds
        .into_iter()
        .map(|kind| {
            let mut namespace = LinuxNamespace::default();
            namespace.set_typ(kind);
            namespace
        })
        .collect()
}
