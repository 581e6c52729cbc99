//! Does what the plan says. What fails is reported and passed over: one container that cannot be
//! put in order must not keep the others from it.

use std::sync::Arc;

use shim::{Found, Shim, State, Watch};
use storage::Durability;
use sys::cgroup::Cgroup;
use types::{Change, ContainerId, ExitStatus, Lifecycle, ProcessRef};

use super::observe::{AT_ONCE, Observed};
use super::plan::{Action, Plan};
use crate::container::start::cgroup_path;
use crate::container::{remove, start};
use crate::record::Status;
use crate::table::Container;
use crate::{Engine, Error, clock, exec, supervise};

/// One container and its shim, while the plan for it is carried out.
struct Case {
    id: ContainerId,
    container: Option<Arc<Container>>,
    shim: Option<(Arc<Shim>, State)>,
    /// Where its end is told, until somebody listens.
    watch: Option<Watch>,
}

pub(super) fn apply(engine: &Engine, observed: Observed, plans: Vec<Plan>) {
    let mut cases = cases(observed, plans);
    let each = cases.len().div_ceil(AT_ONCE).max(1);
    // No container's recovery waits for another's.
    std::thread::scope(|scope| {
        for cases in cases.chunks_mut(each) {
            scope.spawn(move || {
                let _runtime = engine.runtime().enter();
                for (case, plan) in cases {
                    recover(engine, case, plan);
                }
            });
        }
    });
}

fn cases(observed: Observed, plans: Vec<Plan>) -> Vec<(Case, Plan)> {
    let cases = observed.containers.into_iter().zip(observed.shims);
    let with_plan = |((container, found), plan): ((_, Option<Found>), Plan)| {
        let (shim, watch) = found.map_or((None, None), |found| {
            (Some((Arc::new(found.shim), found.state)), Some(found.watch))
        });
        let id = plan.id.clone();
        let case = Case {
            id,
            container,
            shim,
            watch,
        };
        (case, plan)
    };
    cases.zip(plans).map(with_plan).collect()
}

fn recover(engine: &Engine, case: &mut Case, plan: &mut Plan) {
    for action in std::mem::take(&mut plan.actions) {
        match action {
            // What is nothing but usual, and of a thousand containers a thousand lines.
            Action::Adopt(_) => {
                tracing::debug!(container = %plan.id, cause = plan.cause, ?action, "recovering");
            }
            _ => tracing::info!(container = %plan.id, cause = plan.cause, ?action, "recovering"),
        }
        if let Err(error) = act(engine, case, action) {
            tracing::error!(container = %plan.id, error = %error.chain(), "cannot recover");
        }
    }
}

fn act(engine: &Engine, case: &mut Case, action: Action) -> Result<(), Error> {
    match (action, &case.container.clone()) {
        (Action::EndShim, container) => match &case.shim {
            Some((shim, _)) => start::end_shim(engine, container.as_deref(), shim),
            None => Ok(()),
        },
        (Action::AwaitShim, Some(container)) => {
            if let Some((shim, _)) = &case.shim {
                supervise::await_shim(engine, container, shim);
            }
            Ok(())
        }
        (Action::RemoveRunDir, _) => remove::remove_run_dir(engine, &case.id),
        (Action::KillLeftovers, Some(container)) => supervise::kill_leftovers(engine, container),
        (Action::KillLeftovers, None) => supervise::remove_orphan_cgroup(engine, &case.id),
        (Action::Adopt(process), Some(container)) => adopt(engine, case, container, process),
        (Action::RecordExit(status), Some(container)) => record_exit(engine, container, status),
        (Action::RecordLost(status), Some(container)) => {
            let keep = Some((engine.records(), Durability::Process));
            let lost = supervise::explained(container, Change::Lost(status));
            container.step(keep, lost).map(drop)
        }
        (Action::Remove, Some(container)) => remove::finish(engine, container),
        (
            Action::Adopt(_)
            | Action::AwaitShim
            | Action::RecordExit(_)
            | Action::RecordLost(_)
            | Action::Remove,
            None,
        ) => Ok(()),
    }
}

fn adopt(
    engine: &Engine,
    case: &mut Case,
    container: &Arc<Container>,
    process: ProcessRef,
) -> Result<(), Error> {
    let (Some((shim, state)), Some(watch)) = (&case.shim, case.watch.take()) else {
        return Ok(());
    };
    if !container.lifecycle().is_running() {
        container.step(None, Change::Start)?;
        let started = Change::Started {
            process,
            at: clock::now(),
        };
        let keep = Some((engine.records(), Durability::Process));
        container.step(keep, started)?;
        container.change(keep, |status| {
            Ok(Status {
                boot: Some(engine.host().boot.clone()),
                shim: sys::proc::process_ref(shim.pid()).ok(),
                ..status
            })
        })?;
    }
    if let Err(error) = stands_still(engine, container) {
        tracing::warn!(container = %container.id(), error = %error.chain(),
            "cannot record whether a container stands still");
    }
    for (id, code) in &state.execs {
        exec::adopt(engine, container, id.clone(), *code);
    }
    supervise::begin(engine, container.clone(), shim.clone(), watch);
    Ok(())
}

/// Its cgroup knows better than the record whether it stands still: it is frozen first.
fn stands_still(engine: &Engine, container: &Container) -> Result<(), Error> {
    let path = cgroup_path(engine, &container.fixed.spec, container.id());
    let frozen = Cgroup::stands_still(&engine.host().cgroups, &path);
    let change = match (frozen, container.lifecycle().is_paused()) {
        (Ok(true), false) => Change::Pause,
        (Ok(false), true) => Change::Unpause,
        _ => return Ok(()),
    };
    let keep = Some((engine.records(), Durability::Process));
    container.step(keep, change).map(drop)
}

/// From whatever the record said: an end of which only the exit record knows began somewhere.
fn record_exit(
    engine: &Engine,
    container: &Arc<Container>,
    status: ExitStatus,
) -> Result<(), Error> {
    let keep = Some((engine.records(), Durability::Process));
    if container.lifecycle().is_running() {
        let ended = supervise::explained(container, Change::Exited(status));
        return container.step(keep, ended).map(drop);
    }
    if !matches!(container.lifecycle(), Lifecycle::Starting { .. }) {
        container.step(None, Change::Start)?;
    }
    container.step(keep, Change::Failed(status)).map(drop)
}
