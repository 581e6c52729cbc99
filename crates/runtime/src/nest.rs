//! A maker without rights gives itself some: it enters a user namespace with the container's ids and
//! a mount namespace that belongs to it, and goes on as root in there. What the maker prepares for a
//! container (clones of mounts, device files) needs rights that no later step could lend it.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType, Spec};
use sys::clone::Clone3;
use sys::ns::Namespaces;
use types::ErrorKind;

use crate::Saved;
use crate::error::{Doing, Error};
use crate::id_maps;
use crate::prepare::IdMaps;
use crate::protocol::{Failure, FromInit, InitEnd, ToInit, channel};

/// Where the caller finds the namespace it is in.
const OWN: &str = "/proc/self/ns/user";

/// For a caller that is not root, before [`settle`] and [`crate::create`]: enters the user namespace
/// that the configuration wants. The caller stays in it. It must have one thread.
///
/// Its memory, and that of its copies, stays with the user namespace that its program was executed in:
/// nobody in the container may look into them, whatever rights over the container's namespace it has,
/// and neither may the user. Where [`is_apart`] says so, it may execute its program once more.
pub fn nest(spec: &Spec) -> Result<(), Error> {
    let linux = spec.linux().clone().unwrap_or_default();
    if let Some(path) = user_namespace(&linux) {
        return join(&path, &linux);
    }
    check(&linux, sys::process::user(), sys::process::group())?;
    let maps = IdMaps::new(linux.uid_mappings().as_ref(), linux.gid_mappings().as_ref());
    let (maker, helper) = channel()?;
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    // Only a process outside may map more than one id.
    let mut ends = Some((maker, helper));
    let child = Clone3::default().spawn(|| match ends.take() {
        Some((maker, helper)) => {
            drop(maker);
            help(&helper, pid, &maps)
        }
        None => 1,
    });
    let child = child.doing(|| "clone a process that maps ids".to_owned())?;
    let Some((maker, helper)) = ends else {
        return Err(Error::Injected("clone"));
    };
    drop(helper);
    let entered = sys::ns::unshare(Namespaces::USER | Namespaces::MOUNT);
    let told = entered
        .doing(|| "make a user namespace".to_owned())
        .and_then(|()| maker.send(ToInit::Continue))
        .and_then(|()| maker.receive());
    // A helper that is told nothing ends as well.
    drop(maker);
    let reaped = sys::pidfd::wait(&child.pidfd);
    match told? {
        Some((FromInit::Ready, _)) => {}
        Some((FromInit::Failed(failure), _)) => return Err(failure.into()),
        _ => return Err(crate::create::ended(&child.pidfd)),
    }
    reaped
        .doing(|| "reap the process that maps ids".to_owned())
        .map(drop)
}

/// Whether nobody is in the namespaces that decide who may look into the container's first process, and
/// who sees it, until that executes the command: the configuration makes them both.
pub fn is_apart(spec: &Spec) -> bool {
    let linux = spec.linux().clone().unwrap_or_default();
    let is_new = |kind| {
        let mut namespaces = linux.namespaces().iter().flatten();
        namespaces.any(|namespace| namespace.typ() == kind && path_of(namespace).is_none())
    };
    is_new(LinuxNamespaceType::User) && is_new(LinuxNamespaceType::Pid)
}

/// Has the configuration join the user namespace that the caller has entered by [`nest`].
pub fn settle(spec: &mut Spec) {
    let mut linux = spec.linux().clone().unwrap_or_default();
    let mut namespaces = linux.namespaces().clone().unwrap_or_default();
    for namespace in &mut namespaces {
        if namespace.typ() == LinuxNamespaceType::User {
            namespace.set_path(Some(PathBuf::from(OWN)));
        }
    }
    linux.set_namespaces(Some(namespaces));
    spec.set_linux(Some(linux));
}

/// The path of the user namespace that is to be joined, if one is.
fn user_namespace(linux: &Linux) -> Option<PathBuf> {
    let mut namespaces = linux.namespaces().iter().flatten();
    let user = namespaces.find(|namespace| namespace.typ() == LinuxNamespaceType::User)?;
    path_of(user)
}

/// An empty one is none.
fn path_of(namespace: &LinuxNamespace) -> Option<PathBuf> {
    let path = namespace.path().clone()?;
    (!path.as_os_str().is_empty()).then_some(path)
}

/// The owner of a user namespace may do everything in it.
fn join(path: &Path, linux: &Linux) -> Result<(), Error> {
    if linux
        .time_offsets()
        .as_ref()
        .is_some_and(|all| !all.is_empty())
    {
        // The process would have to be open to the namespace for a moment (`init::namespaces`).
        let reason = "a caller without rights moves clocks in a new user namespace only: \
                      linux.namespaces joins one";
        return Err(Error::invalid("linux.timeOffsets", reason));
    }
    let action = || format!("enter the user namespace {}", path.display());
    let namespace = sys::ns::open(path).doing(action)?;
    close()?;
    sys::ns::enter(namespace, Namespaces::USER).doing(action)?;
    sys::ns::unshare(Namespaces::MOUNT).doing(|| "make a mount namespace".to_owned())
}

/// Before a namespace is entered whose processes might look into this one.
fn close() -> Result<(), Error> {
    sys::process::set_dumpable(false).doing(|| "close /proc to others".to_owned())
}

/// The exit code.
fn help(line: &InitEnd, pid: i32, maps: &IdMaps) -> i32 {
    if !matches!(line.receive(), Ok(Some((ToInit::Continue, _)))) {
        return 1;
    }
    let answer = match id_maps::write(pid, maps) {
        Ok(()) => FromInit::Ready,
        Err(error) => {
            let mut message = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                message.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            let phase = "cannot enter a user namespace".to_owned();
            FromInit::Failed(Failure {
                phase,
                step: "id-maps".to_owned(),
                ..Failure::new(ErrorKind::Internal, message)
            })
        }
    };
    i32::from(line.send(&answer, &[]).is_err())
}

/// What a caller without rights can have.
fn check(linux: &Linux, user: u32, group: u32) -> Result<(), Error> {
    let namespaces = linux.namespaces().iter().flatten();
    let wanted = namespaces
        .filter(|namespace| namespace.typ() == LinuxNamespaceType::User)
        .any(|namespace| namespace.path().is_none());
    if !wanted {
        let reason = "rootless container requires user namespaces: one of type user is needed, \
                      as `spec --rootless` has it";
        return Err(Error::invalid("linux.namespaces", reason));
    }
    root_is("linux.uidMappings", linux.uid_mappings().as_ref(), user)?;
    root_is("linux.gidMappings", linux.gid_mappings().as_ref(), group)
}

fn root_is(field: &str, maps: Option<&Vec<LinuxIdMapping>>, id: u32) -> Result<(), Error> {
    let mut maps = maps.into_iter().flatten();
    if maps.any(|map| map.container_id() == 0 && map.host_id() == id) {
        return Ok(());
    }
    let reason = format!("the caller has no rights and must be the container's root: 0 to {id}");
    Err(Error::invalid(field, reason))
}

/// For a caller that is not root, before it makes a process in a container that [`nest`] was called
/// for: enters the container's user namespace, of which it is the owner. It must have one thread.
pub fn nest_again(saved: &Saved) -> Result<(), Error> {
    let action = || "enter the container's user namespace".to_owned();
    let Some(pidfd) = sys::proc::open(saved.process).doing(action)? else {
        return Ok(());
    };
    close()?;
    sys::ns::enter_process(pidfd, Namespaces::USER).doing(action)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(linux: serde_json::Value) -> String {
        let linux = serde_json::from_value(linux).unwrap();
        match check(&linux, 7, 8) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn apart_is_who_shares_neither_user_nor_pid_namespace() {
        let apart = |namespaces: serde_json::Value| {
            let spec = json!({"ociVersion": "1.2.0", "linux": {"namespaces": namespaces}});
            is_apart(&serde_json::from_value(spec).unwrap())
        };
        let joined = |kind| json!({"type": kind, "path": "/proc/9/ns/x"});
        let (user, pid) = (json!({"type": "user"}), json!({"type": "pid", "path": ""}));
        assert!(apart(json!([user, pid])));
        assert!(!apart(json!([user])));
        assert!(!apart(json!([pid])));
        assert!(!apart(json!([joined("user"), pid])));
        assert!(!apart(json!([user, joined("pid")])));
    }

    #[test]
    fn callers_without_rights_are_the_containers_root() {
        let map = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
        let namespaces = json!([{"type": "user"}]);
        let good = json!({"namespaces": namespaces, "uidMappings": map(7), "gidMappings": map(8)});
        assert_eq!(answer(good), "");
        let none = json!({"namespaces": [{"type": "pid"}]});
        assert!(answer(none).contains("requires user namespaces"));
        let other = json!({"namespaces": namespaces, "uidMappings": map(9), "gidMappings": map(8)});
        assert!(answer(other).contains("linux.uidMappings: the caller has no rights"));
    }
}
