//! `stop`: ask, wait, kill.

use std::sync::Arc;
use std::time::Duration;

use types::{By, Signal};

use super::{WrongState, kill, restarts};
use crate::table::Container;
use crate::{Engine, Error, event};

/// The signal and how many seconds it has, where that is not what the container says itself.
pub(crate) type How = (Option<Signal>, Option<i64>);

/// Asks it to stop, kills it after the timeout. `NotModified` when it does not run.
pub async fn stop(
    engine: &Engine,
    who: &str,
    signal: Option<Signal>,
    timeout: Option<i64>,
) -> Result<(), Error> {
    stop_by(engine, who, (signal, timeout), By::Stop).await
}

/// The same, asked for by somebody.
pub(crate) async fn stop_by(engine: &Engine, who: &str, how: How, by: By) -> Result<(), Error> {
    let container = engine.find(who)?;
    if restarts::settle(engine, &container).await? {
        event::of_container(engine, &container, "stop");
        return Ok(());
    }
    if !container.lifecycle().is_running() {
        return Err(Error::NotModified {
            id: container.id().clone(),
            state: "stopped",
        });
    }
    stop_running(engine, &container, how, by).await?;
    // It may have ended by itself just before that was asked for.
    restarts::hold(engine, &container).await?;
    // Its ports are anybody's now, also another program's.
    engine.networks().releases.ports_free(container.id()).await;
    event::of_container(engine, &container, "stop");
    Ok(())
}

/// The container ends in the meantime or by this; both are what was wanted.
pub(super) async fn stop_running(
    engine: &Engine,
    container: &Arc<Container>,
    (signal, timeout): How,
    by: By,
) -> Result<(), Error> {
    let resolved = &container.fixed.resolved;
    restarts::stopped(engine, container).await?;
    let signal = signal.unwrap_or(resolved.stop_signal);
    let mut progress = container.progress();
    let mut ends = progress.borrow().ends;
    let mut sent = kill::send(engine, container, signal, by).await;
    // It has ended by itself just now, and may be on its way to another run.
    while let Err(Error::State(WrongState::NotRunning(_))) = sent {
        if restarts::settle(engine, container).await? || !container.lifecycle().is_running() {
            return Ok(());
        }
        ends = progress.borrow().ends;
        sent = kill::send(engine, container, signal, by).await;
    }
    sent?;
    let ended = progress.wait_for(|p| p.ends > ends || p.removed);
    // A negative time is no limit.
    let Ok(seconds) = u64::try_from(timeout.unwrap_or(resolved.stop_timeout)) else {
        drop(ended.await);
        return Ok(());
    };
    if tokio::time::timeout(Duration::from_secs(seconds), ended)
        .await
        .is_ok()
    {
        return Ok(());
    }
    match kill::kill_and_wait(engine, container, by).await {
        Err(Error::State(WrongState::NotRunning(_))) => Ok(()),
        answer => answer,
    }
}
