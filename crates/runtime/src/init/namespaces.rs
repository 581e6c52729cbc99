//! Entering: cgroup, namespaces, and what is set in new ones.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::ns::Namespaces;
use types::ErrorKind;

use super::{Init, Outcome};
use crate::prepare::ProcessPlan;
use crate::protocol::{During, Failure, ToInit};

/// Before everything else that costs memory or time, so that it is counted (where it is awaited: all
/// but the mounts themselves and the files of /dev); and before the cgroup namespace, whose root is the cgroup its maker is in. By `tasks` in version 1, because this copy
/// has one thread: `cgroup.procs` would wait for an RCU grace period, about 10 ms.
///
/// Unless the cgroup is yet to be made: then what is put off is done by [`enter_awaited_cgroup`].
pub(crate) fn enter_cgroup(init: &mut Init<'_>) -> Outcome {
    if init.awaited.is_some() {
        return Ok(());
    }
    init.in_cgroup = true;
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

/// Before anybody else looks at this process, or it makes what costs memory or shows the cgroup; as
/// late as that, because the maker makes the cgroup meanwhile. And while the host's files are there.
pub(crate) fn enter_awaited_cgroup(init: &mut Init<'_>) -> Outcome {
    let (Some(cgroup), false) = (init.awaited, init.in_cgroup) else {
        return Ok(());
    };
    let doors = super::gate::receive(&init.launch.channel, ToInit::Continue)?;
    let entered = cgroup.join_through(doors).and_then(|join| join.enter_v1());
    entered.during(|| "enter the cgroup".to_owned())?;
    init.in_cgroup = true;
    cpus(init)?;
    own_cgroup_namespace(init)
}

/// Once the process is in the cgroup, whose cpuset bounds it: the CPUs that the caller itself was
/// put on, by taskset(1) for one, are none of the container's business.
pub(crate) fn cpus(init: &mut Init<'_>) -> Outcome {
    if !init.in_cgroup {
        return Ok(());
    }
    super::scheduling::reset_cpus()
}

/// After the cgroup, whose files belong to the host's root, and before anything that is to happen
/// inside. A joined pid namespace was entered by being cloned into it.
pub(crate) fn join(init: &mut Init<'_>) -> Outcome {
    let namespaces = &init.plan.namespaces;
    if namespaces.need_usher() {
        // Done, before this process was cloned.
        return Ok(());
    }
    for (kind, namespace) in &namespaces.join {
        if *kind != Namespaces::PID {
            enter(namespace, *kind)?;
        }
    }
    Ok(())
}

/// After everything that needs no network, because it is being made meanwhile; before what shows it
/// (sysfs) or is told of it.
pub(crate) fn join_awaited(init: &mut Init<'_>) -> Outcome {
    let Some(network) = init.network else {
        return Ok(());
    };
    let what = || "make a network namespace".to_owned();
    match network.receive() {
        // Its maker was killed: then here, for the time that it was to save.
        Err(error) if error.errno == sys::Errno::SRCH => sys::ns::unshare(Namespaces::NETWORK)
            .and_then(|()| sys::loopback::bring_up())
            .during(what),
        made => enter(made.during(what)?, Namespaces::NETWORK),
    }
}

/// After those that are joined, of which none owns others here. Those that clone3(2) did not make.
pub(crate) fn unshare(init: &mut Init<'_>) -> Outcome {
    let late = Namespaces::CGROUP | Namespaces::TIME;
    let rest = init.plan.namespaces.new - init.born_in() - late;
    if rest.is_empty() {
        return Ok(());
    }
    sys::ns::unshare(rest).during(|| format!("make the {rest:?} namespaces"))
}

/// Enters one, or says which it was.
pub(crate) fn enter(namespace: impl AsFd, kind: Namespaces) -> Outcome {
    sys::ns::enter(namespace, kind).during(|| format!("join the {kind:?} namespace"))
}

/// Not by clone3(2): whoever is born in a time namespace lives by its clocks, which cannot be moved
/// from then on. And before this process takes the ids of its user namespace, which may not write
/// to the host's /proc.
pub(crate) fn clocks(init: &mut Init<'_>) -> Outcome {
    let Some(text) = &init.plan.namespaces.clocks else {
        return Ok(());
    };
    sys::ns::unshare(Namespaces::TIME).during(|| "make a time namespace".to_owned())?;
    let written = open_offsets(init).and_then(|file| sys::fd::write_once(file, text.as_bytes()));
    written.during(|| format!("move the clocks by {:?}", text.trim_end()))?;
    // It was made for this process' children; execve(2) takes to it only since Linux 6.1.
    sys::ns::open(Path::new("/proc/self/ns/time_for_children"))
        .and_then(|namespace| sys::ns::enter(namespace, Namespaces::TIME))
        .during(|| "enter the time namespace".to_owned())
}

/// The file belongs to who may look into this process. That is the machine's root where the maker has
/// entered a user namespace, for want of rights, that its program was not executed in. For that one
/// moment it is open to its user then: such a namespace was made for the container, and nobody else is
/// in it (`crate::nest` refuses clocks in one that is joined).
fn open_offsets(init: &Init<'_>) -> sys::Result<OwnedFd> {
    let path = Path::new("/proc/self/timens_offsets");
    let namespaces = &init.plan.namespaces;
    let alone = namespaces.of_caller.contains(Namespaces::USER)
        && namespaces.joined(Namespaces::PID).is_none();
    match sys::fd::open_write(path) {
        Err(error) if error.errno == sys::Errno::ACCES && alone => {
            sys::process::set_dumpable(true)?;
            let opened = sys::fd::open_write(path);
            sys::process::set_dumpable(false)?;
            opened
        }
        answer => answer,
    }
}

/// After the maker has written the id maps: before that this process is nobody in its own user
/// namespace and may not take the ids that are to own what it makes.
pub(crate) fn become_root(init: &mut Init<'_>) -> Outcome {
    if init.plan.namespaces.id_maps.is_some() {
        super::gate::expect(&init.launch.channel, ToInit::Continue)?;
        // Only now: an unprivileged maker may write the maps of a process that is like its own.
        sys::process::set_dumpable(false).during(|| "close /proc to others".to_owned())?;
    }
    if !init.plan.namespaces.has(Namespaces::USER) {
        return Ok(());
    }
    take_root(init.launch.process)
}

/// Takes the ids that are root in the user namespace of this process, or those of the command where
/// the namespace has no root.
pub(crate) fn take_root(process: &ProcessPlan) -> Outcome {
    drop_groups().during(|| "drop the groups of the host".to_owned())?;
    let group = or(sys::process::set_group, process.gid);
    group.during(|| "become root's group in the user namespace".to_owned())?;
    let user = or(sys::process::set_user, process.uid);
    user.during(|| "become root in the user namespace".to_owned())
}

fn or(set: impl Fn(u32) -> sys::Result<()>, other: u32) -> sys::Result<()> {
    match set(0) {
        // The namespace does not map it.
        Err(error) if error.errno == sys::Errno::INVAL => set(other),
        answer => answer,
    }
}

/// No groups but the one. A user namespace whose maps an unprivileged user has written denies to
/// drop any, as they might be there to take something away.
pub(crate) fn drop_groups() -> sys::Result<()> {
    match sys::process::set_groups(&[]) {
        Err(error) if error.errno == sys::Errno::PERM => Ok(()),
        answer => answer,
    }
}

/// After the cgroup was entered, which becomes the root of the new namespace.
pub(crate) fn own_cgroup_namespace(init: &mut Init<'_>) -> Outcome {
    if !init.in_cgroup || !init.plan.namespaces.new.contains(Namespaces::CGROUP) {
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
