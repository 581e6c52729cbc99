//! Namespaces of other containers and of the host that a container shares, and the memory behind
//! `/dev/shm` that goes with one of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::mount::Attributes;
use types::{
    ContainerId, ContainerSpec, Lifecycle, NamespaceMode, NetworkMode, ProcessRef, UserNamespace,
};

use super::WrongState;
use super::check::Invalid;
use crate::network::NetworkError;
use crate::render::{Joined, SHM_SIZE};
use crate::table::Container;
use crate::{Engine, Error};

/// What others see of a shareable container's `/dev/shm`, in its run directory.
const SHM: &str = "shm";

/// The host's own.
const HOST_SHM: &str = "/dev/shm";

/// What the request says of them alone.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Invalid> {
    let named = spec.hostname.as_ref().is_some_and(|name| !name.is_empty());
    if spec.namespaces.uts.is_host() && named {
        return Err(Invalid::Conflict("hostname and the UTS mode"));
    }
    Ok(())
}

/// Names of containers become ids: a name may be another's by the next start.
pub(super) fn resolve(engine: &Engine, spec: &mut ContainerSpec) -> Result<(), Error> {
    let modes = [&mut spec.namespaces.pid, &mut spec.namespaces.ipc];
    for mode in modes {
        if let Some(who) = mode.container() {
            let other = engine.find(who).map_err(|_| Invalid::NoOther {
                who: who.to_owned(),
            })?;
            *mode = NamespaceMode::Container(other.id().to_string());
        }
    }
    if let UserNamespace::Container(who) = &mut spec.namespaces.user {
        let other = engine.find(who).map_err(|_| Invalid::NoOther {
            who: who.to_owned(),
        })?;
        *who = other.id().to_string();
    }
    Ok(())
}

/// What the container joins.
pub(super) fn joined(engine: &Engine, container: &Container) -> Result<Joined, Error> {
    let spec = &container.fixed.spec;
    let mut joined = Joined::default();
    if let Some(other) = network(engine, container)? {
        let process = of_network(&other)?;
        joined.network = Some(namespace(&mut joined, &other, process, "net"));
    }
    if spec.namespaces.is_default() {
        return Ok(joined);
    }
    if let Some(who) = spec.namespaces.pid.container() {
        let other = engine.find(who)?;
        let process = shared(&other, "PID")?;
        joined.pid = Some(namespace(&mut joined, &other, process, "pid"));
    }
    if let Some(who) = spec.namespaces.ipc.container() {
        let other = engine.find(who)?;
        let process = shared(&other, "IPC")?;
        joined.ipc = Some(namespace(&mut joined, &other, process, "ipc"));
    }
    if let (Some(who), Some(_)) = (spec.namespaces.user.container(), &container.fixed.ids) {
        let other = engine.find(who)?;
        let process = running(&other)?;
        joined.user = Some(namespace(&mut joined, &other, process, "user"));
    }
    joined.shm = shm(engine, container)?;
    Ok(joined)
}

fn namespace(joined: &mut Joined, other: &Container, process: ProcessRef, kind: &str) -> PathBuf {
    joined.processes.push((other.id().clone(), process));
    PathBuf::from(format!("/proc/{}/ns/{kind}", process.pid))
}

/// Whether what has been joined was theirs: a pid may have become another process' before it was opened,
/// but not if its owner lives still.
pub(super) fn check_joined(joined: &Joined) -> Result<(), WrongState> {
    let gone = |(_, process): &&(ContainerId, ProcessRef)| !sys::proc::is_alive(*process);
    match joined.processes.iter().find(gone) {
        Some((id, _)) => Err(WrongState::NotRunning(id.clone())),
        None => Ok(()),
    }
}

/// The container whose network this one shares.
pub(super) fn network(
    engine: &Engine,
    container: &Container,
) -> Result<Option<Arc<Container>>, Error> {
    match &container.fixed.spec.network {
        NetworkMode::Container(who) => engine.find(who).map(Some),
        _ => Ok(None),
    }
}

/// The container whose files of names this one has: that one may share another's network itself.
pub(super) fn names(
    engine: &Engine,
    container: &Container,
) -> Result<Option<Arc<Container>>, Error> {
    let mut owner = network(engine, container)?;
    while let Some(other) = &owner {
        match network(engine, other)? {
            Some(next) => owner = Some(next),
            None => break,
        }
    }
    Ok(owner)
}

fn of_network(other: &Container) -> Result<ProcessRef, Error> {
    let lifecycle = other.lifecycle();
    let Some(process) = lifecycle.process() else {
        let id = other.id().to_string();
        return Err(NetworkError::NotRunning(id, lifecycle.name()).into());
    };
    Ok(process)
}

fn running(other: &Container) -> Result<ProcessRef, Error> {
    let id = || other.id().clone();
    match other.lifecycle() {
        Lifecycle::Running { process, .. } => Ok(process),
        Lifecycle::Restarting { .. } => Err(WrongState::Restarting(id()).into()),
        _ => Err(WrongState::NotRunning(id()).into()),
    }
}

/// The process of a container whose namespace of this kind is to be shared.
fn shared(other: &Container, kind: &'static str) -> Result<ProcessRef, Error> {
    running(other).map_err(|error| match error {
        Error::State(WrongState::NotRunning(id)) => WrongState::CannotJoin { kind, id }.into(),
        error => error,
    })
}

/// What is at `/dev/shm` of a container, seen from the host; none is memory of its own.
fn shm(engine: &Engine, container: &Container) -> Result<Option<PathBuf>, Error> {
    Ok(match &container.fixed.spec.namespaces.ipc {
        NamespaceMode::Host => Some(HOST_SHM.into()),
        NamespaceMode::Shareable => Some(engine.run_dir(container.id()).join(SHM)),
        NamespaceMode::Container(who) => {
            let other = engine.find(who)?;
            let shared = shm(engine, &other)?;
            Some(shared.ok_or_else(|| Invalid::NotShareable(other.id().clone()))?)
        }
        _ => None,
    })
}

/// Makes the memory that a shareable container shares: on the host, where whoever joins finds it. It
/// goes with the run directory.
pub(super) fn make_shm(container: &Container, run_dir: &Path) -> Result<(), Error> {
    let spec = &container.fixed.spec;
    if spec.namespaces.ipc != NamespaceMode::Shareable {
        return Ok(());
    }
    let path = run_dir.join(SHM);
    let size = spec.shm_size.filter(|size| *size > 0).unwrap_or(SHM_SIZE);
    let size = size.to_string();
    // Its root is the container's.
    let root = container
        .fixed
        .ids
        .as_ref()
        .and_then(|ids| ids.outside(0, 0));
    let (uid, gid) = root.unwrap_or_default();
    let (uid, gid) = (uid.to_string(), gid.to_string());
    let mut parameters = vec![
        ("mode", Some("1777")),
        ("size", Some(size.as_str())),
        ("uid", Some(uid.as_str())),
        ("gid", Some(gid.as_str())),
    ];
    let labels = container.fixed.selinux.as_ref();
    parameters.extend(labels.map(|labels| ("context", Some(labels.mount.as_str()))));
    let attributes = Attributes::NO_SUID | Attributes::NO_EXEC | Attributes::NO_DEV;
    std::fs::create_dir(&path).map_err(Error::io(format!("make {}", path.display())))?;
    sys::mount::file_system("tmpfs", Some("shm"), &parameters, attributes)
        .and_then(|memory| memory.attach(sys::fd::open_path(&path)?))
        .map_err(Error::kernel(format!("mount {}", path.display())))
}

/// Unmounts it, if it is there: nothing else may be removed before.
pub(super) fn remove_shm(run_dir: &Path) -> Result<(), Error> {
    use sys::Errno;
    let path = run_dir.join(SHM);
    match sys::mount::detach(&path) {
        Err(error) if !matches!(error.errno, Errno::INVAL | Errno::NOENT) => {
            Err(Error::kernel(format!("unmount {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
