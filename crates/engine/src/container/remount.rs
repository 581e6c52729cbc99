//! Mounts of a container that is there: some come, some go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount as OciMount;
use serde::{Deserialize, Serialize};
use shim::Call;
use types::{ContainerSpec, ErrorKind, Mount, MountKind, MountRequest, ProcessRef, Resources};

use super::check::{self, Invalid};
use super::{
    Files, Resolved, WrongState, changes, mounts, runtimes, selinux, start, update, volumes,
};
use crate::cdi::Edits;
use crate::record::Both;
use crate::render::{self, Identity, Joined, RenderInput};
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error, users, volume};

/// Places of what every start mounts itself. Nothing is laid above them later.
const OURS: [&str; 7] = [
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/run/secrets",
    "/sys",
];

/// The file of the container's directory that says what is about to come and go, until the record does.
const BEGUN: &str = "update.begun";

/// What comes and what goes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) add: Vec<MountRequest>,
    pub(super) remove: Vec<MountRequest>,
}

/// What is left for the daemon that comes after one that dies.
#[derive(Debug, Serialize, Deserialize)]
struct Word<C> {
    mounts: C,
    /// The limits that are to be, and what undoes them.
    limits: Option<(Resources, Resources)>,
}

/// That word was left.
pub(super) struct Begun<'a>(Option<(&'a Engine, &'a Container)>);

impl Begun<'_> {
    /// The record says it by now.
    pub(super) fn end(self) {
        if let Some((engine, container)) = self.0 {
            forget(engine, container);
        }
    }
}

impl Change {
    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// Requests, checked as create checks them, with names for volumes that have none.
pub(super) fn complete(
    engine: &Engine,
    spec: &ContainerSpec,
    asked: &[MountRequest],
) -> Result<Vec<MountRequest>, Error> {
    check::mounts(asked)?;
    mounts::check_sources(asked)?;
    let mut all = asked.to_vec();
    for mount in &mut all {
        volumes::complete(engine, spec, mount)?;
    }
    Ok(all)
}

/// Refuses what a container that runs cannot be given: what only a start translates.
pub(super) fn can_come(container: &Container, add: &[MountRequest]) -> Result<(), Invalid> {
    let own_ids =
        |mount: &MountRequest| matches!(mount.kind, MountKind::Volume(_) | MountKind::Image { .. });
    let mut own = add.iter().filter(|mount| own_ids(mount));
    match own.next().filter(|_| container.fixed.ids.is_some()) {
        None => Ok(()),
        Some(mount) => Err(Invalid::Mount {
            kind: check::kind(mount),
            reason: format!(
                "{} cannot be mounted while the container runs: its ids become those of the user namespace \
                 when it starts. Stop it first",
                mount.target
            ),
        }),
    }
}

/// What comes and goes, and all that is mounted then. Pure.
pub(super) fn plan(
    who: &str,
    (spec, resolved): (&ContainerSpec, &Resolved),
    add: Vec<MountRequest>,
    unmount: &[String],
) -> Result<(Change, Both<Vec<MountRequest>>), Invalid> {
    let gone: BTreeSet<String> = unmount.iter().map(|target| render::plain(target)).collect();
    let goes = |mount: &MountRequest| gone.contains(&render::plain(&mount.target));
    for target in &gone {
        let mut all = resolved.mounts.iter();
        if !all.any(|mount| render::plain(&mount.target) == *target) {
            return Err(Invalid::NotMounted {
                name: who.to_owned(),
                target: target.clone(),
                mounted: mounted(&resolved.mounts),
            });
        }
    }
    let (remove, stays): (Vec<_>, Vec<_>) = resolved.mounts.iter().cloned().partition(goes);
    add.iter().try_for_each(|new| above(new, &stays))?;
    let asked = spec.mounts.iter().filter(|mount| !goes(mount)).cloned();
    let both: Both<Vec<MountRequest>> = Both {
        asked: asked.chain(add.iter().cloned()).collect(),
        resolved: stays.into_iter().chain(add.iter().cloned()).collect(),
    };
    check::mounts(&both.resolved)?;
    Ok((Change { add, remove }, both))
}

fn mounted(all: &[MountRequest]) -> String {
    let targets: Vec<&str> = all.iter().map(|mount| mount.target.as_str()).collect();
    match targets.is_empty() {
        true => "none was asked for".to_owned(),
        false => format!("it has {}", targets.join(", ")),
    }
}

/// Refuses what would hide something that is to be seen, and is after the next start.
fn above(new: &MountRequest, stays: &[MountRequest]) -> Result<(), Invalid> {
    let target = render::plain(&new.target);
    let lies = |path: &str, over: &str| Path::new(path).starts_with(over);
    let others = stays.iter().map(|mount| render::plain(&mount.target));
    let ours = OURS.into_iter().find(|ours| lies(ours, &target));
    let kernel = ["/proc", "/sys"].into_iter().find(|k| lies(&target, k));
    let hidden = ours.or(kernel).map(str::to_owned);
    let mut below = others.filter(|other| *other != target);
    let hidden = hidden.or_else(|| below.find(|other| lies(other, &target)));
    match hidden {
        None => Ok(()),
        Some(other) => Err(Invalid::Mount {
            kind: check::kind(new),
            reason: format!(
                "{} cannot be mounted later: it would lie over what is on {other}",
                new.target
            ),
        }),
    }
}

fn begun(engine: &Engine, container: &Container) -> PathBuf {
    engine.storage().container_dir(container.id()).join(BEGUN)
}

/// Leaves word of what is about to be done, for the daemon that comes after one that dies meanwhile. A container
/// does not outlive the machine, and so neither need this.
pub(super) fn begin<'a>(
    engine: &'a Engine,
    container: &'a Container,
    (mounts, limits): (&Change, Option<(Resources, Resources)>),
    undo: &mut Stack<'a>,
) -> Result<Begun<'a>, Error> {
    if mounts.is_empty() && limits.is_none() {
        return Ok(Begun(None));
    }
    let text = serde_json::to_vec(&Word { mounts, limits }).map_err(|source| Error::Encode {
        what: "a change of a container",
        source,
    })?;
    undo.push(step::UPDATE_VOLUMES, || {
        forget(engine, container);
        Ok(())
    });
    let path = begun(engine, container);
    sys::file::replace_unsynced(&path, &text, 0o600)
        .map_err(Error::kernel(format!("write {}", path.display())))?;
    Ok(Begun(Some((engine, container))))
}

fn forget(engine: &Engine, container: &Container) {
    let path = begun(engine, container);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove what is of no use any more");
        }
        _ => {}
    }
}

/// Takes back what a daemon before this one had begun to change, as far as the record does not say it.
pub(crate) fn recover(engine: &Engine) {
    for container in engine.table().all() {
        let Ok(text) = std::fs::read(begun(engine, &container)) else {
            continue;
        };
        let _order = lock(&container.networking);
        let undone = serde_json::from_slice(&text)
            .map_err(|error| error.to_string())
            .and_then(|word| undo(engine, &container, word).map_err(|error| error.chain()));
        if let Err(error) = undone {
            tracing::warn!(container = %container.id(), error,
                "cannot take back a change that was begun");
        }
        forget(engine, &container);
    }
}

fn undo(engine: &Engine, container: &Container, word: Word<Change>) -> Result<(), Error> {
    let mut limits = word.limits.iter();
    let limits = limits.try_for_each(|limits| update::take_limits_back(engine, container, limits));
    take_back(engine, container, word.mounts).and(limits)
}

fn take_back(engine: &Engine, container: &Container, begun: Change) -> Result<(), Error> {
    let still = container.resolved();
    let has = |mount: &MountRequest| still.mounts.contains(mount);
    let (_, came) = begun.add.into_iter().partition::<Vec<_>, _>(has);
    let (stay, gone) = begun.remove.into_iter().partition::<Vec<_>, _>(has);
    if container.lifecycle().is_running() {
        for mount in came.iter().rev() {
            unmount(container, Path::new(&render::plain(&mount.target)))?;
        }
        let process = container.lifecycle().process();
        for one in rendered(engine, container, process, &stay)? {
            // One that is in use has never gone.
            match unmount(container, &one.target()) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                answer => answer.and_then(|_| mount(container, &one))?,
            }
        }
    }
    let change = Change {
        add: Vec::new(),
        remove: came.into_iter().chain(gone).collect(),
    };
    let_go(engine, container, &change);
    Ok(())
}

/// Has the volumes and images of what comes be the container's.
pub(super) fn keep<'a>(
    engine: &'a Engine,
    container: &'a Container,
    change: &Change,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    let has =
        |mount: &MountRequest| matches!(mount.kind, MountKind::Volume(_) | MountKind::Image { .. });
    if !change.add.iter().any(has) {
        return Ok(());
    }
    let image = changes::image(engine, container)?;
    let parts = volumes::stage(engine, &change.add, &image)?;
    let names: Vec<_> = parts.volumes.iter().map(|v| v.name().clone()).collect();
    let id = container.id();
    let others = parts.volumes.iter().filter(|v| !v.users().contains(id));
    let added: Vec<String> = others.map(|v| v.name().to_string()).collect();
    let new = parts.volumes.iter().filter(|v| v.is_new());
    let new: Vec<String> = new.map(|v| v.name().to_string()).collect();
    engine.storage().add_parts(id, parts)?;
    undo.push(step::UPDATE_VOLUMES, move || {
        Ok(engine.storage().take_volumes(id, &added, &new)?)
    });
    volumes::remember(engine, &names);
    engine.passed(step::UPDATE_VOLUMES)
}

/// Lets go of volumes that only what has gone was of.
pub(super) fn let_go(engine: &Engine, container: &Container, change: &Change) {
    let still = container.resolved();
    let names = |mounts: &[MountRequest]| -> BTreeSet<String> {
        let all = mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Volume(of) => of.name.as_ref(),
            _ => None,
        });
        all.map(ToString::to_string).collect()
    };
    let has = names(&still.mounts);
    let gone: Vec<String> = names(&change.remove).difference(&has).cloned().collect();
    if gone.is_empty() {
        return;
    }
    if let Err(error) = engine.storage().take_volumes(container.id(), &gone, &[]) {
        tracing::warn!(container = %container.id(), %error, "a volume stays in use that is not");
    }
    volume::memory::release(engine, &change.remove);
}

/// Makes the change in a container that runs.
pub(super) fn apply<'a>(
    engine: &'a Engine,
    container: &'a Container,
    change: &Change,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    if change.is_empty() {
        return Ok(());
    }
    let process = container.lifecycle().process();
    let gone = match change.remove.is_empty() {
        true => Vec::new(),
        false => rendered(engine, container, process, &change.remove)?,
    };
    let made = mounts::make_sources(&change.add)?;
    undo.push(step::UPDATE_MOUNTS, move || {
        mounts::remove_sources(&made);
        Ok(())
    });
    let new = rendered(engine, container, process, &change.add)?;
    // What was mounted later may lie in what was mounted before.
    for one in gone.into_iter().rev() {
        if unmount(container, &one.target())? {
            undo.push(step::UPDATE_MOUNTS, move || mount(container, &one));
        }
    }
    for one in new {
        mount(container, &one)?;
        let target = one.target();
        undo.push(step::UPDATE_MOUNTS, move || {
            unmount(container, &target).map(drop)
        });
    }
    engine.passed(step::UPDATE_MOUNTS)
}

/// One mount, as a runtime is told.
struct Rendered {
    mount: OciMount,
    given: Option<Mount>,
}

impl Rendered {
    fn target(&self) -> PathBuf {
        self.mount.destination().clone()
    }
}

fn rendered(
    engine: &Engine,
    container: &Container,
    process: Option<ProcessRef>,
    requests: &[MountRequest],
) -> Result<Vec<Rendered>, Error> {
    let placed = volumes::place(engine, requests)?;
    let fixed = &container.fixed;
    let runtime = runtimes::binary(engine.config(), &fixed.spec)?;
    let mut given = volumes::beyond_configuration(runtime.as_deref(), &placed)?;
    if let Some(labels) = &fixed.selinux {
        selinux::label_layers(labels, &mut given);
        selinux::label_mounts(labels, requests, &placed)?;
    }
    let resolved = Resolved {
        mounts: requests.to_vec(),
        ..container.resolved().into_owned()
    };
    let mounts = render::asked_mounts(&RenderInput {
        id: &fixed.id,
        spec: &fixed.spec,
        resolved: &resolved,
        identity: identity(engine, container, process, requests)?,
        files: &Files::default(),
        devices: Vec::new(),
        cgroup_path: start::cgroup_path(engine, &fixed.spec, &fixed.id),
        block_devices: BTreeMap::new(),
        joined: Joined::default(),
        described: Edits::default(),
        init: &engine.config().init,
        host: engine.host().facts.clone(),
        placed: &placed,
        ids: fixed.ids.as_ref(),
    })?;
    let one = |mount: OciMount| Rendered {
        given: given
            .iter()
            .find(|given| given.target == *mount.destination())
            .cloned(),
        mount,
    };
    Ok(mounts.into_iter().map(one).collect())
}

/// The container's user, if a mount translates ids to its.
fn identity(
    engine: &Engine,
    container: &Container,
    process: Option<ProcessRef>,
    requests: &[MountRequest],
) -> Result<Identity, Error> {
    let translates = |mount: &MountRequest| {
        matches!(
            mount.kind,
            MountKind::Bind {
                id_map: Some(_),
                ..
            }
        )
    };
    if process.is_none() || !requests.iter().any(translates) {
        return Ok(Identity::default());
    }
    let layers = engine.storage().snapshot(container.id())?.mounts;
    let passwd = users::read_in_layers(&layers, users::PASSWD)?;
    let group = users::read_in_layers(&layers, users::GROUP)?;
    let fixed = &container.fixed;
    let identity = users::identify(&fixed.resolved.user, &fixed.spec.groups, &passwd, &group)?;
    Ok(identity)
}

fn mount(container: &Container, one: &Rendered) -> Result<(), Error> {
    let mount = serde_json::to_string(&one.mount).map_err(|source| Error::Encode {
        what: "a mount",
        source,
    })?;
    let given = one.given.clone();
    tell(container, &Call::Mount { mount, given })
}

/// Whether there was something to unmount: who may do so inside can have been first.
fn unmount(container: &Container, target: &Path) -> Result<bool, Error> {
    let target = target.to_owned();
    match tell(container, &Call::Unmount { target }) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        answer => answer.map(|()| true),
    }
}

fn tell(container: &Container, call: &Call) -> Result<(), Error> {
    let not_running = || WrongState::NotRunning(container.id().clone());
    let shim = container.shim().ok_or_else(not_running)?;
    shim.call(call, &[]).map_err(|source| Error::Shim {
        what: "change the mounts of",
        id: container.id().clone(),
        source,
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tmpfs(target: &str) -> MountRequest {
        MountRequest {
            kind: MountKind::Tmpfs {
                size: None,
                mode: None,
                options: Vec::new(),
                flag_options: None,
            },
            target: target.to_owned(),
            read_only: false,
        }
    }

    fn planned(old: &[&str], add: &[&str], gone: &[&str]) -> Result<Vec<String>, String> {
        let old: Vec<_> = old.iter().map(|target| tmpfs(target)).collect();
        let mut resolved = crate::record::tests::fixed('a', "web").resolved;
        resolved.mounts.clone_from(&old);
        let spec = ContainerSpec {
            mounts: old,
            ..ContainerSpec::default()
        };
        let add = add.iter().map(|target| tmpfs(target)).collect();
        let gone: Vec<String> = gone.iter().map(|target| (*target).to_owned()).collect();
        match plan("web", (&spec, &resolved), add, &gone) {
            Ok((_, both)) => Ok(both
                .resolved
                .into_iter()
                .map(|mount| mount.target)
                .collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn mounts_come_and_go() {
        let all = planned(&["/a", "/b"], &["/c", "/a/in"], &["/b/"]);
        assert_eq!(all.unwrap(), ["/a", "/c", "/a/in"]);
        assert_eq!(planned(&["/a"], &["/a"], &["/a"]).unwrap(), ["/a"]);
        assert_eq!(
            planned(&["/a"], &[], &["/x"]).unwrap_err(),
            "container web has no mount on /x: it has /a"
        );
        let twice = planned(&["/a"], &["/a"], &[]);
        assert_eq!(twice.unwrap_err(), "Duplicate mount point: /a");
    }

    #[test]
    fn nothing_is_laid_over_what_is_there() {
        for (target, other) in [
            ("/data", "/data/in"),
            ("/etc", "/etc/hostname"),
            ("/dev", "/dev"),
            ("/proc/x", "/proc"),
            ("/sys/firmware", "/sys"),
            ("/run", "/run/secrets"),
        ] {
            let refused = planned(&["/data/in"], &[target], &[]).unwrap_err();
            let expected = format!("it would lie over what is on {other}");
            assert!(refused.ends_with(&expected), "{refused}");
        }
        for target in ["/dev/x", "/run/x", "/etc/x", "/database"] {
            planned(&["/data/in"], &[target], &[]).unwrap();
        }
    }
}
