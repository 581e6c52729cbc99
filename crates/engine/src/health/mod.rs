//! Looks after the health of containers that say how: one task a run of a container, which looks at it
//! from time to time, remembers what it saw and does what was asked for when it is unhealthy.
//!
//! Owned by [`Engine::watch`] and begun with [`crate::supervise`], so that it goes on after a restart of
//! the daemon with the status that the record has. What was said by earlier looks is forgotten then.

mod command;
mod http2;
mod native;

use std::sync::Arc;
use std::time::Duration;

use storage::Durability;
use tokio::sync::watch::Receiver;
use types::{
    Health, HealthAction, HealthCheck, HealthStatus, Lifecycle, Probe, Probed, ProcessRef, Signal,
};

use crate::record::Status;
use crate::table::{Container, Progress};
use crate::{Engine, Error, clock, container, event};

/// The code of a look that could not be taken, or took too long.
const FAILED: i32 = -1;

/// Longest output of a look that is kept, in bytes.
const LONGEST: usize = 4096;

/// What a look came to: its code and what was said.
type Answer = Result<(i32, String), String>;

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

/// Looks after a container that runs, as long as this run lasts.
pub(crate) fn begin(engine: &Engine, container: &Arc<Container>) {
    let Lifecycle::Running {
        process, started, ..
    } = container.lifecycle()
    else {
        return;
    };
    let check = container.fixed.resolved.health.clone();
    let Some(check) = check.filter(|check| check.probe().is_some()) else {
        return;
    };
    let known = of(container);
    container.live().health = known;
    let monitor = Monitor {
        engine: engine.clone(),
        progress: container.progress(),
        container: container.clone(),
        check,
        process,
        started,
    };
    engine.watch(monitor.run());
}

struct Monitor {
    engine: Engine,
    container: Arc<Container>,
    progress: Receiver<Progress>,
    check: HealthCheck,
    process: ProcessRef,
    started: i64,
}

impl Monitor {
    async fn run(mut self) {
        loop {
            let interval = self.interval();
            if self.over_within(interval).await {
                return;
            }
            if self.container.lifecycle().is_paused() {
                self.goes_on().await;
                continue;
            }
            let start = clock::now();
            let look = look(
                self.engine.clone(),
                self.container.clone(),
                self.check.clone(),
                self.process,
            );
            let answer = tokio::select! {
                answer = look => answer,
                () = over(&mut self.progress, &self.container, self.process) => return,
            };
            let (code, output) = answer.unwrap_or_else(|why| (FAILED, why));
            self.take(Probed {
                start,
                end: clock::now(),
                code,
                output,
            })
            .await;
        }
    }

    /// More often at first, until it is known how it is.
    fn interval(&self) -> Duration {
        let status = of(&self.container).map(|health| health.status);
        match status == Some(HealthStatus::Starting) && self.starts(clock::now()) {
            true => self.check.start_interval(),
            false => self.check.interval(),
        }
    }

    /// Whether failures do not count yet.
    fn starts(&self, now: i64) -> bool {
        let age = u64::try_from(now.saturating_sub(self.started)).unwrap_or(0);
        Duration::from_nanos(age) < self.check.start_period()
    }

    /// Whether this run has ended before that time.
    async fn over_within(&mut self, time: Duration) -> bool {
        let over = over(&mut self.progress, &self.container, self.process);
        tokio::time::timeout(time, over).await.is_ok()
    }

    /// Until it does not stand still any more.
    async fn goes_on(&mut self) {
        let lifecycle = || self.container.lifecycle();
        let goes_on = self
            .progress
            .wait_for(|p| p.removed || !lifecycle().is_paused());
        drop(goes_on.await);
    }

    async fn take(&self, probed: Probed) {
        let counts = !self.starts(probed.start);
        let (before, after) = {
            let mut live = self.container.live();
            let health = live.health.take().unwrap_or_default();
            let before = health.status;
            let health = health.after(probed, self.check.retries(), counts);
            let after = health.status;
            live.health = Some(health);
            if after == HealthStatus::Healthy {
                live.health_restarts = 0;
            }
            (before, after)
        };
        if before == after {
            return;
        }
        if let Err(error) = self.remember(after).await {
            tracing::warn!(container = %self.container.id(), error = %error.chain(),
                "cannot record the health of a container");
        }
        let action = format!("health_status: {}", after.name());
        event::of_container(&self.engine, &self.container, action);
        if after == HealthStatus::Unhealthy {
            self.act();
        }
    }

    /// So that the next daemon knows.
    async fn remember(&self, health: HealthStatus) -> Result<(), Error> {
        let container = self.container.clone();
        let write = move |engine: &Engine| {
            let keep = Some((engine.records(), Durability::Process));
            let health = Some(health);
            let written = container.change(keep, |status| Ok(Status { health, ..status }));
            written.map(drop)
        };
        self.engine.blocking(write).await
    }

    /// In a task of its own: this one ends with the run.
    fn act(&self) {
        let (engine, container) = (self.engine.clone(), self.container.clone());
        let action = self.check.action;
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
            let id = container.id().as_str();
            let done = match action {
                HealthAction::None => Ok(()),
                HealthAction::Restart { .. } => container::restart(&engine, id, None, None).await,
                HealthAction::Stop => container::stop(&engine, id, None, None).await,
                HealthAction::Kill => container::kill(&engine, id, Some(Signal::KILL)).await,
            };
            if let Err(error) = done {
                tracing::warn!(container = id, error = %error.chain(), %action,
                    "cannot act on an unhealthy container");
            }
        };
        if action != HealthAction::None {
            self.engine.watch(task);
        }
    }
}

/// Until this run of the container has ended.
async fn over(progress: &mut Receiver<Progress>, container: &Container, process: ProcessRef) {
    let runs = || container.lifecycle().process() == Some(process);
    drop(progress.wait_for(|p| p.removed || !runs()).await);
}

/// Looks once.
async fn look(
    engine: Engine,
    container: Arc<Container>,
    check: HealthCheck,
    process: ProcessRef,
) -> Answer {
    let limit = check.timeout();
    match check.probe() {
        None => Err("nothing is looked at".to_owned()),
        Some(Probe::Command(words)) => {
            command::run(&engine, &container, words.to_vec(), limit).await
        }
        Some(Probe::Shell(text)) => {
            let mut words = container.fixed.resolved.shell.clone();
            if words.is_empty() {
                words = ["/bin/sh", "-c"].map(str::to_owned).to_vec();
            }
            words.push(text.to_owned());
            command::run(&engine, &container, words, limit).await
        }
        Some(Probe::Http(_) | Probe::Tcp(_) | Probe::Grpc(_)) => {
            let look = move |_: &Engine| Ok(native::look(&check, process, limit));
            let looked = engine.blocking(look).await;
            looked.unwrap_or_else(|error| Err(error.chain()))
        }
    }
}

/// What is said when a look takes too long, in Docker's words.
fn too_long(limit: Duration, output: &str) -> String {
    let told = format!("Health check exceeded timeout ({limit:?})");
    match output {
        "" => told,
        output => format!("{told}: {output}"),
    }
}
