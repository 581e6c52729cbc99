//! Containers that are started again by themselves: after an end, as their policy says, later each
//! time; and when the daemon has come up.

use std::sync::Arc;
use std::time::Duration;

use storage::Durability;
use tokio::task::JoinSet;
use types::{Change, ExitStatus, Lifecycle};

use super::start::Starter;
use super::{order, start};
use crate::record::Status;
use crate::table::Container;
use crate::{Engine, Error};

/// The first wait, doubled each time.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// Starts at the same time after the daemon's own.
const AT_ONCE: usize = 8;
/// A run as long as this one begins anew.
const LONG_RUN: Duration = Duration::from_secs(10);

/// What an end comes to: the end, or a wait for the next start.
pub(crate) fn after(engine: &Engine, container: &Container, change: Change) -> Change {
    // One whose shim died was killed with it.
    let (Change::Exited(status) | Change::Lost(status)) = &change else {
        return change;
    };
    let known = container.status();
    let policy = container.restart_policy();
    let again = policy.again(status.code, known.restarts, known.stopped);
    // Held: somebody starts it just now, or it goes.
    match again && !container.live().held && engine.accepts_work().is_ok() {
        true => Change::Again(status.clone()),
        false => change,
    }
}

/// Starts a container that waits for it, when its time has come.
pub(crate) fn begin(engine: &Engine, container: &Arc<Container>, run: Duration) {
    if !container.lifecycle().is_restarting() {
        return;
    }
    let wait = {
        let mut live = container.live();
        live.waited = next(live.waited, run);
        live.waited
    };
    let task = {
        let (engine, container) = (engine.clone(), container.clone());
        async move {
            let mut progress = container.progress();
            let lifecycle = || container.lifecycle();
            let halted = progress.wait_for(|p| p.removed || !lifecycle().is_restarting());
            // Whoever stops it meanwhile ends the wait.
            if tokio::time::timeout(wait, halted).await.is_ok() {
                return;
            }
            let work = {
                let container = container.clone();
                engine
                    .blocking(move |engine| start::start_again(engine, &container, Starter::Policy))
            };
            match work.await {
                // It was stopped, or started, just now.
                Ok(()) | Err(Error::NotModified { .. }) => {}
                Err(error) => tracing::warn!(container = %container.id(), error = %error.chain(),
                    "a container cannot be started again"),
            }
        }
    };
    engine.watch(task);
}

/// How long to wait after a run of this length, when the last wait was this long.
fn next(waited: Duration, run: Duration) -> Duration {
    match waited {
        _ if run >= LONG_RUN => FIRST,
        Duration::ZERO => FIRST,
        waited => (waited * 2).min(LONGEST),
    }
}

/// Keeps a container from being started again. False if it was not to be.
pub(crate) fn halt(engine: &Engine, container: &Container) -> Result<bool, Error> {
    let keep = Some((engine.records(), Durability::Process));
    let halted = container.change(keep, |status| {
        let refused = |r| super::WrongState::refused(&container.fixed, &r);
        Ok(Status {
            lifecycle: status.lifecycle.on(Change::Halt).map_err(refused)?,
            stopped: true,
            ..status
        })
    });
    match halted {
        Ok(_) => Ok(true),
        Err(Error::State(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// [`halt`], away from the event loop: records are written.
pub(super) async fn hold(engine: &Engine, container: &Arc<Container>) -> Result<bool, Error> {
    let container = container.clone();
    engine
        .blocking(move |engine| halt(engine, &container))
        .await
}

/// The same for one that may just be on its way from one run to the next: it is waited for.
pub(super) async fn settle(engine: &Engine, container: &Arc<Container>) -> Result<bool, Error> {
    while container.lifecycle().is_restarting() {
        if hold(engine, container).await? {
            return Ok(true);
        }
        let mut progress = container.progress();
        let starts = || {
            matches!(
                container.lifecycle(),
                Lifecycle::Starting { again: true, .. }
            )
        };
        drop(progress.wait_for(|p| p.removed || !starts()).await);
    }
    Ok(false)
}

/// Remembers that somebody wants it to end.
pub(super) async fn stopped(engine: &Engine, container: &Arc<Container>) -> Result<(), Error> {
    if container.restart_policy() == types::RestartPolicy::No || container.status().stopped {
        return Ok(());
    }
    let container = container.clone();
    let remember = move |engine: &Engine| {
        let keep = Some((engine.records(), Durability::Process));
        let stopped = container.change(keep, |status| {
            Ok(Status {
                stopped: true,
                ..status
            })
        });
        stopped.map(drop)
    };
    engine.blocking(remember).await
}

/// After the daemon's start: those that do not run and should, each after those that it needs.
pub(crate) fn resume(engine: &Engine) {
    let mut all = engine.table().all();
    all.retain(|container| due(engine, container));
    all.sort_by_key(|container| container.fixed.created);
    if all.is_empty() {
        return;
    }
    let task = {
        let engine = engine.clone();
        async move {
            for group in order::groups(&engine, all) {
                start_all(&engine, group).await;
            }
        }
    };
    engine.watch(task);
}

/// Some at once; one that cannot be started keeps no other from it.
async fn start_all(engine: &Engine, containers: Vec<Arc<Container>>) {
    let mut starting = JoinSet::new();
    for container in containers {
        if starting.len() == AT_ONCE {
            starting.join_next().await;
        }
        let engine = engine.clone();
        starting.spawn(async move {
            let started = {
                let container = container.clone();
                engine
                    .blocking(move |engine| start::start_again(engine, &container, Starter::Daemon))
            };
            if let Err(error) = started.await {
                tracing::warn!(container = %container.id(), error = %error.chain(),
                    "a container cannot be started");
            }
        });
    }
    while starting.join_next().await.is_some() {}
}

/// Whether it should run and does not. One that was never started has not been asked to.
fn due(engine: &Engine, container: &Container) -> bool {
    let status = container.status();
    let ended = |end: &ExitStatus| {
        let policy = container.restart_policy();
        policy.at_start(end.code, status.restarts, status.stopped)
    };
    match &status.lifecycle {
        Lifecycle::Restarting { .. } => true,
        Lifecycle::Exited {
            started: Some(_),
            status: end,
        }
        | Lifecycle::Dead { status: end, .. } => ended(end),
        // Its start was interrupted by the end of the last daemon.
        Lifecycle::Exited {
            started: None,
            status: end,
        } => status.boot.as_ref() != Some(&engine.host().boot) && ended(end),
        Lifecycle::Created
        | Lifecycle::Starting { .. }
        | Lifecycle::Running { .. }
        | Lifecycle::Removing { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_as_long() {
        let short = Duration::from_millis(1);
        let mut wait = Duration::ZERO;
        let waits: Vec<u128> = (0..12)
            .map(|_| {
                wait = next(wait, short);
                wait.as_millis()
            })
            .collect();
        let expected = [
            100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000,
        ];
        assert_eq!(waits, expected);
        assert_eq!(next(LONGEST, LONG_RUN), FIRST);
    }
}
