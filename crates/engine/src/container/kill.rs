//! `kill`: a signal goes straight to the first process, by its pidfd: no shim has to answer.

use std::sync::Arc;
use std::time::Duration;

use types::{By, Lifecycle, Reason, Signal};

use super::{WrongState, pause, restarts};
use crate::table::Container;
use crate::{Engine, Error, event, supervise};

/// How long a killed container may take before that is an error.
const DEATH: Duration = Duration::from_secs(10);

/// Sends a signal, SIGKILL if none is named. `Conflict` when it does not run. After SIGKILL returns
/// when it has ended.
pub async fn kill(engine: &Engine, who: &str, signal: Option<Signal>) -> Result<(), Error> {
    kill_by(engine, who, signal, By::Kill).await
}

/// The same, asked for by somebody.
pub(crate) async fn kill_by(
    engine: &Engine,
    who: &str,
    signal: Option<Signal>,
    by: By,
) -> Result<(), Error> {
    let container = engine.find(who)?;
    let not_running = || WrongState::CannotKill {
        who: who.to_owned(),
        id: container.id().clone(),
    };
    if restarts::settle(engine, &container).await? {
        return Ok(());
    }
    if !container.lifecycle().is_running() {
        return Err(not_running().into());
    }
    if is_asked_to_end(&container, signal) {
        restarts::stopped(engine, &container).await?;
    }
    match signal {
        None | Some(Signal::KILL) => {
            kill_and_wait(engine, &container, by).await?;
            // It may have ended by itself just before that was asked for.
            restarts::hold(engine, &container).await?;
            engine.networks().releases.ports_free(container.id()).await;
            Ok(())
        }
        Some(signal) => send(engine, &container, signal, by).await,
    }
}

/// Whether a signal is meant to end it: one that is not the signal that it said is for that is not.
fn is_asked_to_end(container: &Container, signal: Option<Signal>) -> bool {
    let own = container.fixed.resolved.stop_signal;
    let says = container.fixed.spec.stop_signal.is_some();
    match signal {
        None | Some(Signal::KILL) => true,
        Some(signal) => !says || signal == own,
    }
}

/// Sends a signal. One that comes too late is not an error: the end is on its way to be recorded.
/// One that stands still goes on, or it would not hear of it.
pub(super) async fn send(
    engine: &Engine,
    container: &Arc<Container>,
    signal: Signal,
    by: By,
) -> Result<(), Error> {
    let container = container.clone();
    let work = move |engine: &Engine| send_now(engine, &container, signal, by);
    engine.blocking(work).await
}

fn send_now(engine: &Engine, container: &Container, signal: Signal, by: By) -> Result<(), Error> {
    match container.lifecycle() {
        Lifecycle::Running { process, .. } => {
            // Told first: its end may come at once.
            let more = [("signal", signal.number().to_string())];
            event::of_container_with(engine, container, "kill", more);
            Reason::note(&mut container.live().asked, by, signal);
            supervise::signal_process(process, signal)?;
            pause::go_on(engine, container)?;
            Ok(())
        }
        _ => Err(WrongState::NotRunning(container.id().clone()).into()),
    }
}

/// Kills it and waits for its end; whatever survives its first process goes with the cgroup.
pub(super) async fn kill_and_wait(
    engine: &Engine,
    container: &Arc<Container>,
    by: By,
) -> Result<(), Error> {
    let mut progress = container.progress();
    let ends = progress.borrow().ends;
    send(engine, container, Signal::KILL, by).await?;
    let ended = progress.wait_for(|p| p.ends > ends || p.removed);
    if tokio::time::timeout(DEATH, ended).await.is_ok() {
        return Ok(());
    }
    // The process may have died with nobody to tell: its shim is stuck. That one goes next.
    if let Some(shim) = container.shim() {
        sys::pidfd::send_signal(shim.pidfd(), Signal::KILL)
            .map_err(Error::kernel("kill a shim"))?;
    }
    let killed = container.clone();
    engine
        .blocking(move |engine| supervise::kill_leftovers(engine, &killed))
        .await?;
    let ended = progress.wait_for(|p| p.ends > ends || p.removed);
    match tokio::time::timeout(DEATH, ended).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::WillNotDie {
            id: container.id().clone(),
            seconds: 2 * DEATH.as_secs(),
        }),
    }
}
