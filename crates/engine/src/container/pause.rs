//! `pause` and `unpause`: the container's cgroup is frozen, or thawed.

use storage::Durability;
use sys::cgroup::Cgroup;
use types::{Change, Lifecycle};

use super::{WrongState, or_ended};
use crate::container::start::cgroup_path;
use crate::table::Container;
use crate::{Engine, Error, event};

/// Makes all processes of a container stand still. Blocking.
pub fn pause(engine: &Engine, who: &str) -> Result<(), Error> {
    let container = engine.find(who)?;
    let id = || container.id().clone();
    match container.lifecycle() {
        Lifecycle::Running { paused: true, .. } => return Err(WrongState::Paused(id()).into()),
        Lifecycle::Running { paused: false, .. } => {}
        Lifecycle::Restarting { .. } => return Err(WrongState::Restarting(id()).into()),
        _ => return Err(WrongState::NotRunning(id()).into()),
    }
    let run = container.lifecycle().process();
    let failed = || Error::kernel(format!("pause container {}", container.id()));
    let frozen = cgroup(engine, &container)
        .and_then(|cgroup| cgroup.freeze().map_err(failed()).map(|()| cgroup));
    let cgroup = or_ended(&container, run, frozen)?;
    let keep = Some((engine.records(), Durability::Process));
    if let Err(error) = container.step(keep, Change::Pause) {
        // It ended meanwhile, or somebody else was quicker: then it stays as that one made it.
        if !container.lifecycle().is_paused() {
            or_ended(&container, run, cgroup.thaw().map_err(failed()))?;
        }
        return Err(error);
    }
    event::of_container(engine, &container, "pause");
    Ok(())
}

/// Lets them go on, also those that somebody else made stand still. Blocking.
pub fn unpause(engine: &Engine, who: &str) -> Result<(), Error> {
    let container = engine.find(who)?;
    match go_on(engine, &container)? {
        true => Ok(()),
        false => Err(WrongState::NotPaused(container.id().clone()).into()),
    }
}

/// The same for one that is stopped or killed: it could not hear of it. False if it does not stand
/// still. The kernel is asked, not only the record: a crash may lie between the two, and a cgroup is
/// open to everybody.
pub(super) fn go_on(engine: &Engine, container: &Container) -> Result<bool, Error> {
    let before = container.lifecycle();
    let (paused, run) = (before.is_paused(), before.process());
    let cgroup = match cgroup(engine, container) {
        Ok(cgroup) => cgroup,
        // It has ended.
        Err(_) if !paused => return Ok(false),
        Err(error) => return or_ended(container, run, Err(error)),
    };
    if !paused && !cgroup.is_frozen() {
        return Ok(false);
    }
    let failed = || Error::kernel(format!("unpause container {}", container.id()));
    or_ended(container, run, cgroup.thaw().map_err(failed()))?;
    if !paused {
        return Ok(true);
    }
    let keep = Some((engine.records(), Durability::Process));
    match container.step(keep, Change::Unpause) {
        // It has ended, or goes on by somebody else's hand.
        Err(Error::State(_)) => Ok(true),
        answer => {
            answer?;
            event::of_container(engine, container, "unpause");
            Ok(true)
        }
    }
}

fn cgroup(engine: &Engine, container: &Container) -> Result<Cgroup, Error> {
    let path = cgroup_path(engine, &container.fixed.spec, container.id());
    Cgroup::open(&engine.host().cgroups, &path)
        .map_err(Error::kernel(format!("open the cgroup {path}")))
}
