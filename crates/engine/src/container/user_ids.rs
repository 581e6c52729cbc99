//! The user namespace of a container: where its ids come from, and what cannot be had with it.

use types::{ContainerSpec, NamespaceMode, NetworkMode};

use super::check::Invalid;
use super::runtimes;
use crate::user_ids::Source;
use crate::{Engine, Error};

/// The kernel that mounts an overlay of layers with translated ids.
const KERNEL: (u32, u32) = (5, 19);

/// Where they come from. A container whose namespace is shared is there; its name is an id by now.
pub(super) fn of(engine: &Engine, spec: &ContainerSpec) -> Result<Source, Error> {
    let asked = &spec.namespaces.user;
    let other = match asked.container() {
        Some(who) => engine.find(who)?.fixed.ids.clone(),
        None => None,
    };
    Ok(engine.config().user_ids.source(asked, other.as_ref()))
}

/// Refuses what takes rights over the machine, which nobody has in a user namespace. In Docker's words
/// where Docker has some.
pub(super) fn check(engine: &Engine, spec: &ContainerSpec, source: &Source) -> Result<(), Invalid> {
    if *source == Source::Host {
        return Ok(());
    }
    if spec.security.privileged {
        return Err(Invalid::UserNamespace(
            "privileged mode is incompatible with user namespaces.  You must run the container in \
             the host namespace when running privileged mode",
        ));
    }
    if spec.network == NetworkMode::Host {
        return Err(Invalid::UserNamespace(
            "cannot share the host's network namespace when user namespaces are enabled",
        ));
    }
    if spec.namespaces.pid == NamespaceMode::Host {
        return Err(Invalid::UserNamespace(
            "cannot share the host PID namespace when user namespaces are enabled",
        ));
    }
    if runtimes::binary(engine.config(), spec)?.is_some() {
        return Err(Invalid::UserNamespace(
            "user namespaces need Brig's own runtime: --runtime brig, or --userns host, is expected",
        ));
    }
    if engine.host().facts.kernel < KERNEL {
        return Err(Invalid::UserNamespace(
            "user namespaces need Linux 5.19, which translates the ids of layers: --userns host is \
             expected",
        ));
    }
    Ok(())
}
