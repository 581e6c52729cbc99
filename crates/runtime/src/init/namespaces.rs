//! Entering: cgroup, namespaces, and what is set in new ones.

use sys::ns::Namespaces;
use types::ErrorKind;

use super::{Init, Outcome};
use crate::protocol::{During, Failure, ToInit};

/// Before everything else that costs memory or time, so that it is counted; and before the cgroup
/// namespace, whose root is the cgroup its maker is in. By `tasks` in version 1, because this copy
/// has one thread: `cgroup.procs` would wait for an RCU grace period, about 10 ms.
pub(crate) fn enter_cgroup(init: &mut Init<'_>) -> Outcome {
    init.join
        .enter_v1()
        .during(|| "enter the cgroup".to_owned())?;
    if !init.born_in_cgroup {
        init.join
            .enter_v2()
            .during(|| "enter the cgroup".to_owned())?;
    }
    Ok(())
}

/// After the cgroup, whose files belong to the host's root, and before anything that is to happen
/// inside. A joined pid namespace was entered by being cloned into it.
pub(crate) fn join(init: &mut Init<'_>) -> Outcome {
    for (kind, namespace) in &init.plan.namespaces.join {
        if *kind != Namespaces::PID {
            sys::ns::enter(namespace, *kind).during(|| format!("join the {kind:?} namespace"))?;
        }
    }
    Ok(())
}

/// After the maker has written the id maps: before that this process is nobody in its own user
/// namespace and may not take the ids that are to own what it makes.
pub(crate) fn become_root(init: &mut Init<'_>) -> Outcome {
    if init.plan.namespaces.id_maps.is_some() {
        super::gate::expect(&init.launch.channel, ToInit::Continue)?;
    }
    if !init.plan.namespaces.has(Namespaces::USER) {
        return Ok(());
    }
    take_root()
}

/// Takes the ids that are root in the user namespace of this process.
pub(crate) fn take_root() -> Outcome {
    sys::process::set_groups(&[]).during(|| "drop the groups of the host".to_owned())?;
    sys::process::set_group(0).during(|| "become group 0 of the user namespace".to_owned())?;
    sys::process::set_user(0).during(|| "become user 0 of the user namespace".to_owned())
}

/// After the cgroup was entered, which becomes the root of the new namespace.
pub(crate) fn own_cgroup_namespace(init: &mut Init<'_>) -> Outcome {
    if !init.plan.namespaces.new.contains(Namespaces::CGROUP) {
        return Ok(());
    }
    sys::ns::unshare(Namespaces::CGROUP).during(|| "make a cgroup namespace".to_owned())
}

/// Before a terminal is opened: only the leader of a session without one can take it.
pub(crate) fn session(_init: &mut Init<'_>) -> Outcome {
    sys::process::new_session().during(|| "start a session".to_owned())
}

/// As soon as the namespace is there: hooks and the network find it as every program expects it.
pub(crate) fn loopback(init: &mut Init<'_>) -> Outcome {
    if !init.plan.namespaces.new.contains(Namespaces::NETWORK) {
        return Ok(());
    }
    sys::loopback::bring_up().during(|| "bring the loopback interface up".to_owned())
}

/// After the UTS namespace is ours: the plan has no name otherwise.
pub(crate) fn host_name(init: &mut Init<'_>) -> Outcome {
    if let Some(name) = &init.plan.host_name {
        sys::process::set_host_name(name).map_err(|error| too_long("host", name, error))?;
    }
    if let Some(name) = &init.plan.domain_name {
        sys::process::set_domain_name(name).map_err(|error| too_long("domain", name, error))?;
    }
    Ok(())
}

fn too_long(what: &str, name: &str, error: sys::Error) -> Failure {
    let kind = match error.errno {
        sys::Errno::INVAL => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    Failure::new(
        kind,
        format!("cannot set the {what} name {name:?}: {error}"),
    )
}
