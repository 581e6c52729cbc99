//! Builds under way: what is asked about one names it, on connections of their own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use builder::solve::{Built, Cancel, Memory};
use buildkit::gateway;
use tokio::sync::watch;
use tonic::Status;

use super::feed::Feed;
use super::sessions::Session;
use crate::http::body::Upload;

/// How long who asks about a build waits for it to begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many results a frontend may have at a time.
const MOST_RESULTS: usize = 1000;

/// What so many builds have told is kept for who is late.
const MOST_TOLD: usize = 16;

/// A build.
#[derive(Debug)]
pub(super) struct Job {
    /// The client's name for it.
    pub(super) name: String,
    pub(super) session: Option<Arc<Session>>,
    /// What its commands may beyond the ordinary.
    pub(super) entitlements: Vec<String>,
    pub(super) feed: Arc<Feed>,
    pub(super) cancel: Cancel,
    /// What has been found out for it so far.
    pub(super) memory: Memory,
    /// Whether its caches have been read.
    prepared: watch::Sender<bool>,
    /// Whether it was given up.
    given_up: watch::Sender<bool>,
    results: Mutex<HashMap<String, Arc<Built>>>,
    returned: watch::Sender<Option<Returned>>,
    /// The first frontend, and what it was told.
    heard: OnceLock<(String, HashMap<String, String>)>,
    /// The context, if it came with the request.
    posted: Mutex<Option<Upload>>,
    /// All builds under way, this one among them for as long as it is.
    others: Jobs,
}

/// What a frontend came to.
pub(super) type Returned = Result<gateway::Result, Status>;

impl Job {
    /// Gives it up.
    pub(super) fn give_up(&self) {
        self.given_up.send_replace(true);
        self.cancel.cancel();
    }

    /// Its context comes with the request.
    pub(super) fn post(&self, context: Upload) {
        *self.posted() = Some(context);
    }

    /// The context that came with the request, once.
    pub(super) fn take_posted(&self) -> Option<Upload> {
        self.posted().take()
    }

    fn posted(&self) -> MutexGuard<'_, Option<Upload>> {
        // It is put in whole.
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its caches have been read.
    pub(super) fn prepare(&self) {
        self.prepared.send_replace(true);
    }

    /// Until they have: a frontend that is quicker would find nothing in them.
    pub(super) async fn prepared(&self) {
        let mut prepared = self.prepared.subscribe();
        tokio::select! {
            // The sender lives as long as `self`.
            _ = prepared.wait_for(|prepared| *prepared) => {}
            () = self.given_up() => {}
        }
    }

    /// Until it is given up.
    pub(super) async fn given_up(&self) {
        // The sender lives as long as `self`.
        let _ = self.given_up.subscribe().wait_for(|up| *up).await;
    }

    fn results(&self) -> MutexGuard<'_, HashMap<String, Arc<Built>>> {
        // A map is whole between its methods.
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a result under a name of its own until the build is over.
    pub(super) fn keep(&self, built: Built) -> Result<String, Status> {
        let mut results = self.results();
        if results.len() >= MOST_RESULTS {
            return Err(Status::resource_exhausted(format!(
                "the build has {MOST_RESULTS} results already"
            )));
        }
        let name = format!("{}-{}", self.name, results.len());
        results.insert(name.clone(), Arc::new(built));
        Ok(name)
    }

    pub(super) fn result(&self, name: &str) -> Result<Arc<Built>, Status> {
        let found = self.results().get(name).cloned();
        found.ok_or_else(|| Status::not_found(format!("the build has no result {name}")))
    }

    /// The result of a build that is under way, this or another one.
    pub(super) fn result_of_any(&self, name: &str) -> Option<Arc<Built>> {
        let jobs: Vec<Arc<Self>> = self.others.0.lock().jobs.values().cloned().collect();
        jobs.iter().find_map(|job| job.result(name).ok())
    }

    /// A frontend is asked: the first one is what the build is by.
    pub(super) fn hear(&self, frontend: &str, told: &HashMap<String, String>) {
        self.heard
            .get_or_init(|| (frontend.to_owned(), told.clone()));
    }

    /// What the build is by, and what that was told; nothing of a definition alone.
    pub(super) fn heard(&self) -> Option<&(String, HashMap<String, String>)> {
        self.heard.get()
    }

    /// A frontend is done.
    pub(super) fn finish(&self, returned: Returned) {
        self.returned.send_replace(Some(returned));
    }

    /// What the frontend came to.
    pub(super) async fn returned(&self) -> Returned {
        let mut returned = self.returned.subscribe();
        let outcome = tokio::select! {
            outcome = returned.wait_for(Option::is_some) => outcome.ok().and_then(|o| o.clone()),
            () = self.given_up() => None,
        };
        outcome.unwrap_or_else(|| Err(Status::cancelled("context canceled")))
    }
}

/// All builds under way.
#[derive(Debug, Clone)]
pub(super) struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: Mutex<Open>,
    begun: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Open {
    jobs: HashMap<String, Arc<Job>>,
    /// What builds have told that are over: who looks on may be late for a short one.
    told: VecDeque<(Instant, String, Arc<Feed>)>,
}

impl Open {
    /// Forgets what nobody asks for any more.
    fn forget(&mut self) {
        let late = |(over, ..): &(Instant, String, Arc<Feed>)| over.elapsed() > PATIENCE;
        while self.told.len() > MOST_TOLD || self.told.front().is_some_and(late) {
            self.told.pop_front();
        }
    }

    fn feed(&self, name: &str) -> Option<Arc<Feed>> {
        if let Some(job) = self.jobs.get(name) {
            return Some(job.feed.clone());
        }
        let told = self.told.iter().rev().find(|(_, of, _)| of == name);
        told.map(|(_, _, feed)| feed.clone())
    }
}

/// A build that is over when this is dropped, and given up unless it was done.
pub(super) struct Running {
    inner: Arc<Inner>,
    pub(super) job: Arc<Job>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self(Arc::new(Inner {
            open: Mutex::default(),
            begun: watch::Sender::new(0),
        }))
    }
}

impl Jobs {
    /// Begins one.
    pub(super) fn begin(
        &self,
        name: &str,
        session: Option<Arc<Session>>,
        entitlements: Vec<String>,
    ) -> Result<Running, Status> {
        let job = Arc::new(Job {
            name: name.to_owned(),
            session,
            entitlements,
            feed: Arc::new(Feed::default()),
            cancel: Cancel::new(),
            memory: Memory::default(),
            prepared: watch::Sender::new(false),
            given_up: watch::Sender::new(false),
            results: Mutex::default(),
            returned: watch::Sender::new(None),
            heard: OnceLock::new(),
            posted: Mutex::default(),
            others: self.clone(),
        });
        let mut open = self.0.lock();
        open.forget();
        if open.jobs.contains_key(name) {
            let sentence = format!("a build {name} is under way already");
            return Err(Status::already_exists(sentence));
        }
        open.jobs.insert(name.to_owned(), job.clone());
        drop(open);
        self.0.begun.send_modify(|count| *count += 1);
        Ok(Running {
            inner: self.0.clone(),
            job,
        })
    }

    /// The build of a name, which may be about to begin.
    pub(super) async fn find(&self, name: &str) -> Result<Arc<Job>, Status> {
        self.wait(name, |open| open.jobs.get(name).cloned()).await
    }

    /// What a build tells that is about to begin, under way, or just over.
    pub(super) async fn feed(&self, name: &str) -> Result<Arc<Feed>, Status> {
        self.wait(name, |open| open.feed(name)).await
    }

    async fn wait<T>(&self, name: &str, look: impl Fn(&Open) -> Option<T>) -> Result<T, Status> {
        let mut begun = self.0.begun.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.0.lock()) {
                    return Some(found);
                }
                begun.changed().await.ok()?;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await.ok().flatten();
        found.ok_or_else(|| Status::not_found(format!("no build {name} is under way")))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // A map and a queue are whole between their methods.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.job.give_up();
        self.job.feed.end();
        let (name, feed) = (self.job.name.clone(), self.job.feed.clone());
        let mut open = self.inner.lock();
        open.jobs.remove(&name);
        open.told.push_back((Instant::now(), name, feed));
        open.forget();
        drop(open);
        // Without an event loop the daemon is at its end.
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            let inner = self.inner.clone();
            handle.spawn(async move {
                tokio::time::sleep(PATIENCE + Duration::from_secs(1)).await;
                inner.lock().forget();
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_early_waits_and_who_leaves_gives_up() {
        let jobs = Jobs::default();
        let early = tokio::spawn({
            let jobs = jobs.clone();
            async move { jobs.find("b").await.map(|job| job.name.clone()) }
        });
        let running = jobs.begin("b", None, Vec::new()).unwrap();
        assert!(jobs.begin("b", None, Vec::new()).is_err());
        assert_eq!(early.await.unwrap().unwrap(), "b");
        let job = running.job.clone();
        assert!(job.result("x").is_err());
        drop(running);
        assert!(jobs.feed("b").await.is_ok(), "who is late still sees it");
        assert!(job.cancel.is_cancelled());
        job.given_up().await;
        assert_eq!(
            job.returned().await.unwrap_err().message(),
            "context canceled"
        );
    }

    #[tokio::test]
    async fn a_frontend_returns_once() {
        let jobs = Jobs::default();
        let running = jobs.begin("b", None, Vec::new()).unwrap();
        running.job.finish(Ok(gateway::Result::default()));
        assert!(running.job.returned().await.is_ok());
    }
}
