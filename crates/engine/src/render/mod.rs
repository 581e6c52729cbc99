//! The OCI configuration of a container, rendered from what was asked for and what the machine is.
//!
//! Pure: everything read from disk or the kernel comes in with [`RenderInput`], the result is a value
//! that tests compare as text. One section of the configuration a file. Defaults are Docker's, with
//! one exception: the cgroup namespace is the container's own on both cgroup versions, where Docker
//! shares the host's on version 1.

mod capabilities;
mod described;
mod devices;
mod environment;
mod error;
mod input;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod seccomp;
mod security;
mod sysctl;
mod tmpfs;

use std::collections::HashMap;
use std::sync::Arc;

use oci_spec::runtime::{Linux, LinuxSeccomp, Process, Root, Spec};

pub(crate) use environment::set_variable;
pub use error::Error;
pub use input::{
    DeviceKind, ExecInput, HostDevice, HostFacts, Identity, Joined, Placed, RenderInput,
};
pub(crate) use mounts::{IDMAP, SHM_SIZE, asked as asked_mounts, plain};
pub(crate) use resources::limits;
pub use security::{MASKED, READONLY};

/// Renders the configuration, without its filter. The root is `rootfs` in the bundle.
pub fn spec(input: &RenderInput<'_>) -> Result<Spec, Error> {
    let mut root = Root::default();
    root.set_path("rootfs".into());
    root.set_readonly(Some(input.spec.read_only));
    let mut spec = Spec::default();
    spec.set_version("1.2.1".to_owned());
    spec.set_root(Some(root));
    // The host's names are not a container's to change.
    if input.spec.namespaces.uts.is_own() {
        spec.set_hostname(Some(input.resolved.hostname.clone()).filter(|h| !h.is_empty()));
        spec.set_domainname(input.spec.domainname.clone().filter(|d| !d.is_empty()));
    } else {
        spec.set_hostname(None);
    }
    spec.set_process(Some(process::process(input)?));
    spec.set_mounts(Some(mounts::mounts(input)?));
    spec.set_annotations(annotations(input));
    spec.set_linux(Some(linux(input)?));
    described::apply(&mut spec, &input.described);
    Ok(spec)
}

/// Why a text is no profile of system calls in Docker's format, as far as no container is needed to tell.
///
/// # Errors
/// [`Error::Seccomp`].
pub fn check_filter(json: &str) -> Result<(), Error> {
    seccomp::check(json)
}

/// The configuration's filter; none runs unconfined. It is the better part of a configuration, and mostly the one
/// that others have.
pub fn filter(input: &RenderInput<'_>) -> Result<Option<Arc<LinuxSeccomp>>, Error> {
    let security = &input.spec.security;
    let capabilities = capabilities::of_container(security, &input.host)?;
    seccomp::filter(security, &capabilities, &input.host)
}

/// Has SELinux call the processes and what is mounted anew so; without a process's label it is not confined.
pub(crate) fn label(spec: &mut Spec, process: &str, mount: &str) {
    if let Some(own) = spec.process_mut() {
        own.set_selinux_label(Some(process.to_owned()).filter(|label| !label.is_empty()));
    }
    if let Some(linux) = spec.linux_mut() {
        linux.set_mount_label(Some(mount.to_owned()));
    }
}

/// Renders the process of an exec session in a container.
pub fn exec(input: &ExecInput<'_>) -> Result<Process, Error> {
    process::exec(input)
}

fn linux(input: &RenderInput<'_>) -> Result<Linux, Error> {
    let mut linux = Linux::default();
    linux.set_namespaces(Some(namespaces::namespaces(input)));
    if let Some(ids) = input.ids {
        let (users, groups) = namespaces::id_mappings(ids);
        linux.set_uid_mappings(Some(users));
        linux.set_gid_mappings(Some(groups));
    }
    linux.set_cgroups_path(Some(input.cgroup_path.clone().into()));
    linux.set_resources(Some(resources::resources(input)?));
    linux.set_devices(Some(devices::nodes(input)).filter(|d| !d.is_empty()));
    linux.set_sysctl(Some(sysctl::sysctls(input)?));
    linux.set_masked_paths(security::masked_paths(input));
    linux.set_readonly_paths(security::readonly_paths(input));
    linux.set_rootfs_propagation(mounts::root_propagation(&input.resolved.mounts));
    linux.set_seccomp(None);
    Ok(linux)
}

fn annotations(input: &RenderInput<'_>) -> Option<HashMap<String, String>> {
    let annotations = &input.spec.annotations;
    (!annotations.is_empty()).then(|| annotations.clone().into_iter().collect())
}

#[cfg(test)]
mod tests;
