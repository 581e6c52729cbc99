//! What the handlers share.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use builder::solve::{Cancel, Solver};
use engine::Engine;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use types::ContainerId;

use crate::access::audit::Audit;
use crate::busy::Counter;
use crate::config::{Config, Defaults};
use crate::handlers::{Builds, Runs};
use crate::http::error::Failure;
use crate::http::line::Lines;
use crate::metrics::Requests;
use crate::places::Places;
use crate::telemetry::{self, Span, Telemetry};
use crate::upgrades::Upgrades;

/// What the handlers share.
///
/// Background tasks: `verbs` are changes that go on when the client that asked for them goes away,
/// and connections being handed over. [`App::close`] ends what is left of them.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Where it is written down who did what.
    pub(crate) audit: Option<Audit>,
    /// Where traces of requests go.
    pub(crate) telemetry: Option<Telemetry>,
    /// What requests came to.
    pub(crate) requests: Requests,
    /// What `info` warns of about how the daemon was set up.
    pub(crate) warnings: Vec<String>,
    live: RwLock<Arc<Live>>,
    pub(crate) busy: Counter,
    /// Where archives come and go.
    pub(crate) places: Places,
    pub(crate) handovers: Handovers,
    /// Starts that belong to a request that made the container, too.
    pub(crate) runs: Runs,
    /// Connections that the daemon's successor may take over.
    pub(crate) lines: Lines,
    /// Work that no successor can go on with.
    pub(crate) bound: Bound,
    /// Upgrades that clients ask for.
    pub(crate) upgrades: Arc<Upgrades>,
    /// Who builds.
    pub(crate) solver: Solver,
    /// Builds of the classic API under way.
    pub(crate) classic: ClassicBuilds,
    pub(crate) builds: Builds,
    // A std lock: held for a push, never across an await.
    verbs: Mutex<JoinSet<()>>,
}

/// What is read again while the daemon runs.
#[derive(Debug)]
pub(crate) struct Live {
    /// What containers have whose creator does not say it.
    pub(crate) defaults: Defaults,
    /// What this machine is known by.
    pub(crate) labels: Vec<String>,
    /// How long requests under way are waited for at the end.
    pub(crate) patience: Duration,
}

impl Live {
    fn of(config: &Config) -> Self {
        Self {
            defaults: config.defaults.clone(),
            labels: config.labels.clone(),
            patience: config.patience,
        }
    }
}

impl App {
    pub(crate) fn new(
        engine: Engine,
        warnings: Vec<String>,
        config: &Config,
        (audit, telemetry): (Option<Audit>, Option<Telemetry>),
        upgrades: Arc<Upgrades>,
    ) -> Self {
        let solver = Solver::new(engine.clone());
        Self {
            builds: Builds::new(&engine, solver.clone()),
            classic: ClassicBuilds::default(),
            solver,
            engine,
            audit,
            telemetry,
            requests: Requests::default(),
            warnings,
            live: RwLock::new(Arc::new(Live::of(config))),
            busy: Counter::new(),
            places: Places::new(),
            handovers: Handovers::default(),
            runs: Runs::default(),
            lines: Lines::new(),
            bound: Bound::default(),
            upgrades,
            verbs: Mutex::default(),
        }
    }

    /// What the configuration says by now.
    pub(crate) fn live(&self) -> Arc<Live> {
        let live = self.live.read();
        live.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes by another configuration from now on, as far as one can take another's place.
    pub(crate) fn reload(&self, config: &Config) {
        let live = Arc::new(Live::of(config));
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        let runtimes = &self.engine.config().runtimes;
        runtimes.replace(config.runtimes.clone());
    }

    /// A blocking verb of the engine, away from the event loop.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Engine) -> Result<T, engine::Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let (engine, traced) = (self.engine.clone(), self.traced());
        Ok(tokio::task::spawn_blocking(move || traced.run(|| verb(&engine))).await??)
    }

    /// Where the steps are noted of what is done for the request that is worked on.
    pub(crate) fn traced(&self) -> Traced {
        let on = self.telemetry.as_ref();
        Traced(on.and_then(|_| telemetry::current()))
    }

    /// An async verb that changes something: it is finished even when the client goes away.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        verb: impl Future<Output = Result<T, engine::Error>> + Send + 'static,
    ) -> Result<T, Failure> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let busy = self.busy.enter();
        self.spawn(async move {
            // A client that is gone does not want to know.
            let _ = send.send(verb.await);
            drop(busy);
        });
        Ok(receive.await??)
    }

    /// Runs something that outlives the request it belongs to.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let bound = self.bound.enter();
        self.spawn_endless(async move {
            task.await;
            drop(bound);
        });
    }

    /// The same for what has no end, and may break off when the daemon does.
    pub(crate) fn spawn_endless(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut verbs = lock(&self.verbs);
        // Those that have ended are let go of here, so that the set stays as small as what runs.
        while verbs.try_join_next().is_some() {}
        verbs.spawn(task);
    }

    /// Ends what is left.
    pub(crate) async fn close(&self) {
        let mut verbs = std::mem::take(&mut *lock(&self.verbs));
        verbs.shutdown().await;
    }
}

/// The trace of a request, if it has one.
#[derive(Debug)]
pub(crate) struct Traced(Option<Arc<Span>>);

impl Traced {
    /// Does a blocking verb, and notes the steps that it passes.
    pub(crate) fn run<T>(self, verb: impl FnOnce() -> T) -> T {
        let Some(span) = self.0 else {
            return verb();
        };
        let began = Instant::now();
        let (done, passed) = engine::watched(verb);
        span.passed(began, &passed);
        done
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever panicked left the set whole: its methods do not run foreign code.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work under way, and since when: what is in the middle of it cannot be gone on with by another process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bound(Arc<Mutex<BTreeMap<u64, Instant>>>);

/// One piece of it.
#[derive(Debug)]
struct Binding(Bound, u64);

impl Bound {
    fn enter(&self) -> Binding {
        let mut all = lock(&self.0);
        let number = all.last_key_value().map_or(0, |(number, _)| number + 1);
        all.insert(number, Instant::now());
        Binding(self.clone(), number)
    }

    /// For how long the oldest is under way; none if none is.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let all = lock(&self.0);
        all.first_key_value().map(|(_, since)| since.elapsed())
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        lock(&self.0.0).remove(&self.1);
    }
}

/// Builds under way that somebody has given an id, by which they can be given up.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassicBuilds(Arc<Mutex<Vec<(u64, String, Cancel)>>>);

/// A build under way.
#[derive(Debug)]
pub(crate) struct Building(ClassicBuilds, u64);

impl ClassicBuilds {
    pub(crate) fn enter(&self, id: &str, cancel: &Cancel) -> Building {
        let mut builds = lock(&self.0);
        let number = builds.last().map_or(0, |(number, ..)| number + 1);
        builds.push((number, id.to_owned(), cancel.clone()));
        Building(self.clone(), number)
    }

    /// Gives up the builds of an id; none is no mistake, for one may have ended.
    pub(crate) fn cancel(&self, id: &str) {
        for (.., cancel) in lock(&self.0).iter().filter(|(_, known, _)| known == id) {
            cancel.cancel();
        }
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        lock(&self.0.0).retain(|(number, ..)| *number != self.1);
    }
}

/// Connections that are being handed to containers: answered with 101, not yet with the engine.
///
/// A client attaches, reads the 101, and asks for the start on another connection. The start must
/// not overtake the handing over, or the first output would be lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handovers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Mutex<HashMap<ContainerId, usize>>,
    changed: Notify,
}

/// A connection being handed over to a container.
#[derive(Debug)]
pub(crate) struct Handover {
    inner: Arc<Inner>,
    id: ContainerId,
}

impl Handovers {
    pub(crate) fn begin(&self, id: ContainerId) -> Handover {
        *lock(&self.0.open).entry(id.clone()).or_default() += 1;
        Handover {
            inner: self.0.clone(),
            id,
        }
    }

    /// Whether there is any, for any container.
    pub(crate) fn any(&self) -> bool {
        !lock(&self.0.open).is_empty()
    }

    /// Until every connection for this container has been handed over.
    pub(crate) async fn settled(&self, id: &ContainerId) {
        loop {
            let changed = self.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if !lock(&self.0.open).contains_key(id) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let mut open = lock(&self.inner.open);
        if let Some(count) = open.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.id);
            }
        }
        drop(open);
        self.inner.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_waits_for_what_is_being_handed_over() {
        let handovers = Handovers::default();
        let id = ContainerId::from_random([1; 32]);
        assert!(!handovers.any());
        let (first, second) = (handovers.begin(id.clone()), handovers.begin(id.clone()));
        let waiting = tokio::spawn({
            let (handovers, id) = (handovers.clone(), id.clone());
            async move { handovers.settled(&id).await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && handovers.any());
        handovers.settled(&ContainerId::from_random([2; 32])).await;
        drop(second);
        waiting.await.unwrap();
        assert!(!handovers.any());
    }
}
