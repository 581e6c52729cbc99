//! `remove`: the record and, with it, everything kept of the container in one transaction of the
//! store, which frees the name; what the last run left in the run directory after it.

use std::sync::Arc;

use sys::Errno;
use types::{By, Change, ContainerId, ExitStatus, Lifecycle, Reason};

use super::{WrongState, kill, restarts, volumes};
use crate::table::Container;
use crate::{Engine, Error, clock, event, exec};

/// Removes it; `force` kills it first. Returns when its name is free again, and its ports are.
pub async fn remove(engine: &Engine, who: &str, force: bool) -> Result<(), Error> {
    remove_and(engine, who, force, false).await
}

/// The same, with the volumes that were made with it and that no other container has.
pub async fn remove_with_volumes(engine: &Engine, who: &str, force: bool) -> Result<(), Error> {
    remove_and(engine, who, force, true).await
}

async fn remove_and(engine: &Engine, who: &str, force: bool, volumes: bool) -> Result<(), Error> {
    let container = engine.find(who)?;
    let mut progress = container.progress();
    if force {
        kill_whatever_runs(engine, &container).await?;
    }
    if let Err(error) = claim(&container) {
        let goes = container.fixed.spec.auto_remove && force;
        if goes && matches!(container.lifecycle(), Lifecycle::Removing { .. }) {
            // It ended by our hand, and goes because it ended: somebody else does our work.
            drop(progress.wait_for(|p| p.removed).await);
            engine.networks().releases.ports_free(container.id()).await;
            return Ok(());
        }
        return Err(error);
    }
    let done = {
        let container = container.clone();
        engine.blocking(move |engine| forget(engine, &container, volumes))
    };
    done.await?;
    // Whoever asks for its ports next, also another program, is not told that they are taken.
    engine.networks().releases.ports_free(container.id()).await;
    let task = {
        let engine = engine.clone();
        async move {
            // What a run left is cleaned away by whoever watched it.
            drop(progress.wait_for(|p| p.clean).await);
            let work = move |engine: &Engine| remove_run_dir(engine, container.id());
            if let Err(error) = engine.blocking(work).await {
                tracing::warn!(error = %error.chain(), "cannot remove a run directory");
            }
        }
    };
    engine.clean(task);
    Ok(())
}

/// Kills until it does not run; several times, as it may be starting just now.
async fn kill_whatever_runs(engine: &Engine, container: &Arc<Container>) -> Result<(), Error> {
    for _ in 0..3 {
        match container.lifecycle() {
            Lifecycle::Running { .. } => match kill_for_good(engine, container).await {
                Ok(()) => {}
                // It ended by itself meanwhile.
                Err(Error::State(_)) => {}
                Err(error) => return Err(error),
            },
            Lifecycle::Starting { .. } => {
                let mut progress = container.progress();
                let lifecycle = || container.lifecycle();
                let settled =
                    progress.wait_for(|_| !matches!(lifecycle(), Lifecycle::Starting { .. }));
                drop(settled.await);
            }
            Lifecycle::Created
            | Lifecycle::Exited { .. }
            | Lifecycle::Dead { .. }
            | Lifecycle::Removing { .. } => return Ok(()),
            Lifecycle::Restarting { .. } => {
                restarts::hold(engine, container).await?;
            }
        }
    }
    Ok(())
}

async fn kill_for_good(engine: &Engine, container: &Arc<Container>) -> Result<(), Error> {
    restarts::stopped(engine, container).await?;
    kill::kill_and_wait(engine, container, By::Remove).await
}

/// Only in memory: a removal that a crash interrupts has either deleted the record or not.
fn claim(container: &Container) -> Result<(), Error> {
    container
        .change(None, |status| {
            match &status.lifecycle {
                Lifecycle::Removing { .. } => {
                    return Err(WrongState::Removing(container.id().clone()).into());
                }
                Lifecycle::Running { .. }
                | Lifecycle::Starting { .. }
                | Lifecycle::Restarting { .. } => {
                    return Err(WrongState::CannotRemove {
                        name: container.name(),
                        state: status.lifecycle.name(),
                    }
                    .into());
                }
                Lifecycle::Created | Lifecycle::Exited { .. } | Lifecycle::Dead { .. } => {}
            }
            let refused = |r| WrongState::refused(&container.fixed, &r);
            let lifecycle = status.lifecycle.on(Change::Remove).map_err(refused)?;
            Ok(crate::record::Status {
                lifecycle,
                ..status
            })
        })
        .map(drop)
}

/// Deletes the record of a container in `Removing`, frees its name and tells those who wait.
fn forget(engine: &Engine, container: &Arc<Container>, volumes: bool) -> Result<(), Error> {
    let durability = super::create::durability(&container.fixed.spec);
    if container.fixed.spec.auto_remove
        && let Some(status) = container.lifecycle().exit_status()
    {
        // Before it is gone: whoever asks finds the one or the other, also after a crash.
        let id = container.id().clone();
        engine.gone().remember(id, status.clone());
    }
    let storage = engine.storage();
    // Of a container that goes when it ends they go too.
    let removed = match volumes || container.fixed.spec.auto_remove {
        true => storage.remove_container_with_volumes(container.id(), durability),
        false => storage.remove_container(container.id(), durability),
    };
    if let Err(error) = removed {
        let error = Error::from(error);
        let status = ExitStatus {
            error: format!("it could not be removed: {}", error.chain()),
            ..container
                .lifecycle()
                .exit_status()
                .cloned()
                .unwrap_or_else(unknown)
        };
        container.step(None, Change::RemoveFailed(status))?;
        container.set_removed(Err(error.chain()));
        return Err(error);
    }
    engine.table_mut().forget(container);
    volumes::forget(engine, container);
    event::of_container(engine, container, "destroy");
    exec::forget(engine, container);
    container.live().pending.clear();
    container.set_removed(Ok(()));
    Ok(())
}

fn unknown() -> ExitStatus {
    ExitStatus {
        code: 0,
        oom_killed: false,
        finished: clock::now(),
        error: String::new(),
        reason: Reason::default(),
    }
}

/// Removes a container that has ended and goes when it ends; its run directory is the caller's to
/// remove. False if somebody else is removing it.
pub(crate) fn forget_ended(engine: &Engine, container: &Arc<Container>) -> bool {
    if claim(container).is_err() {
        return false;
    }
    match forget(engine, container, true) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(container = %container.id(), error = %error.chain(),
                "cannot remove a container that has ended");
            false
        }
    }
}

/// Deletes the record of a container whose removal a crash interrupted, or that goes as it ended.
pub(crate) fn finish(engine: &Engine, container: &Arc<Container>) -> Result<(), Error> {
    if !matches!(container.lifecycle(), Lifecycle::Removing { .. }) {
        claim(container)?;
    }
    forget(engine, container, false)
}

/// Removes a container's run directory, if it is there.
pub(crate) fn remove_run_dir(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let dir = engine.run_dir(id);
    super::namespaces::remove_shm(&dir)?;
    let config = engine.config();
    if config.foreign_runtime.is_some() || config.runtimes.ever() {
        // Only a foreign runtime has its root mounted on the machine. One that is still there would
        // be emptied instead of removed.
        let root = dir.join("rootfs");
        match sys::mount::detach(&root) {
            Err(error) if !matches!(error.errno, Errno::INVAL | Errno::NOENT) => {
                return Err(Error::kernel(format!("unmount {}", root.display()))(error));
            }
            _ => {}
        }
    }
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", dir.display()))(error))
        }
        _ => Ok(()),
    }
}
