//! What is known of the health of containers that say how to look at it, and what is done when they are
//! unhealthy.
//!
//! Their shims look, also while the daemon is away, and tell what they saw.

use std::sync::Arc;

use shim::{Call, HealthPlan, Shim};
use storage::Durability;
use types::{
    By, ErrorKind, Health, HealthAction, HealthCheck, HealthStatus, Lifecycle, Probe, Probed,
    Signal,
};

use crate::record::Status;
use crate::table::Container;
use crate::{Engine, Error, container, event, exec};

/// What a shim tells.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) probed: Probed,
    /// What it comes to.
    pub(crate) status: HealthStatus,
    /// Failures in a row.
    pub(crate) failing: u32,
}

/// Before a container is started: nothing is known of it yet.
pub(crate) fn reset(container: &Container) {
    if looks(container) {
        let mut live = container.live();
        let log = live.health.take().unwrap_or_default().log;
        live.health = Some(Health {
            log,
            ..Health::default()
        });
    }
}

/// What is known of a container's health; none if nobody looks.
pub(crate) fn of(container: &Container) -> Option<Health> {
    if !looks(container) {
        return None;
    }
    let known = container.live().health.clone();
    Some(known.unwrap_or_else(|| Health {
        status: container.status().health.unwrap_or_default(),
        ..Health::default()
    }))
}

fn looks(container: &Container) -> bool {
    let check = container.fixed.resolved.health.as_ref();
    check.is_some_and(|check| check.probe().is_some())
}

/// Has its shim look after a container that runs, if it does not already. Blocking.
pub(crate) fn begin(engine: &Engine, container: &Arc<Container>, shim: &Shim) {
    let Lifecycle::Running { started, .. } = container.lifecycle() else {
        return;
    };
    let check = container.fixed.resolved.health.clone();
    let Some(check) = check.filter(|check| check.probe().is_some()) else {
        return;
    };
    let known = of(container).unwrap_or_default();
    let status = known.status;
    container.live().health = Some(known);
    let plan = command(engine, container, &check).map(|command| HealthPlan {
        check,
        command,
        began: started,
        status,
    });
    let begun = plan.and_then(|plan| {
        shim.call(&Call::Health(plan), &[])
            .map_err(|source| Error::Shim {
                what: "look after",
                id: container.id().clone(),
                source,
            })
    });
    match begun {
        Ok(_) => {}
        // It has ended meanwhile.
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict) => {}
        Err(error) => {
            tracing::warn!(container = %container.id(), error = %error.chain(),
                "nobody looks after the health of a container");
        }
    }
}

/// The process that looks, if that is one in the container.
fn command(
    engine: &Engine,
    container: &Container,
    check: &HealthCheck,
) -> Result<Option<String>, Error> {
    match words(container, check) {
        Some(words) => exec::process_of_look(engine, container, words).map(Some),
        None => Ok(None),
    }
}

/// The command that looks.
fn words(container: &Container, check: &HealthCheck) -> Option<Vec<String>> {
    match check.probe()? {
        Probe::Command(words) => Some(words.to_vec()),
        Probe::Shell(text) => {
            let mut words = container.fixed.resolved.shell.clone();
            if words.is_empty() {
                words = ["/bin/sh", "-c"].map(str::to_owned).to_vec();
            }
            words.push(text.to_owned());
            Some(words)
        }
        Probe::Http(_) | Probe::Tcp(_) | Probe::Grpc(_) => None,
    }
}

/// Takes what the shim has told.
pub(crate) async fn take(engine: &Engine, container: &Arc<Container>, looked: Looked) {
    let Some(check) = container.fixed.resolved.health.clone() else {
        return;
    };
    let status = looked.status;
    if let Some(words) = words(container, &check) {
        exec::tell_look(engine, container, words, looked.probed.code);
    }
    let before = {
        let mut live = container.live();
        let mut health = live.health.take().unwrap_or_default();
        let before = health.status;
        health.log.push(looked.probed);
        let excess = health.log.len().saturating_sub(Health::KEPT);
        health.log.drain(..excess);
        (health.status, health.failing) = (status, looked.failing);
        live.health = Some(health);
        if status == HealthStatus::Healthy {
            live.health_restarts = 0;
        }
        before
    };
    if before == status {
        return;
    }
    if let Err(error) = remember(engine, container, status).await {
        tracing::warn!(container = %container.id(), error = %error.chain(),
            "cannot record the health of a container");
    }
    let action = format!("health_status: {}", status.name());
    event::of_container(engine, container, action);
    if status == HealthStatus::Unhealthy {
        act(engine, container, check.action);
    }
}

/// So that the next daemon knows.
async fn remember(
    engine: &Engine,
    container: &Arc<Container>,
    health: HealthStatus,
) -> Result<(), Error> {
    let container = container.clone();
    let write = move |engine: &Engine| {
        let keep = Some((engine.records(), Durability::Process));
        let health = Some(health);
        let written = container.change(keep, |status| Ok(Status { health, ..status }));
        written.map(drop)
    };
    engine.blocking(write).await
}

/// In a task of its own: what is done may end the run.
fn act(engine: &Engine, container: &Arc<Container>, action: HealthAction) {
    let (own, container) = (engine.clone(), container.clone());
    if let HealthAction::Restart { times } = action {
        let mut live = container.live();
        if times != 0 && live.health_restarts >= times {
            tracing::warn!(container = %container.id(), times,
                "an unhealthy container is not restarted again");
            return;
        }
        live.health_restarts += 1;
    }
    let task = async move {
        let (id, by) = (container.id().as_str(), By::Unhealthy);
        let done = match action {
            HealthAction::None => Ok(()),
            HealthAction::Restart { .. } => container::restart_by(&own, id, (None, None), by).await,
            HealthAction::Stop => container::stop_by(&own, id, (None, None), by).await,
            HealthAction::Kill => container::kill_by(&own, id, Some(Signal::KILL), by).await,
        };
        if let Err(error) = done {
            tracing::warn!(container = id, error = %error.chain(), %action,
                "cannot act on an unhealthy container");
        }
    };
    if action != HealthAction::None {
        engine.watch(task);
    }
}
