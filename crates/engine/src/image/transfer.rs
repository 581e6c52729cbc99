//! What a pull or a push has come to, as a value that many may look at: whoever looks late or seldom
//! sees the present, and nobody who is slow holds up the work.
//!
//! The work belongs to those who look: it is given up when the last of them is gone. Two who want the
//! same look at the same work.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use types::{Digest, ErrorKind};

use crate::Error;
use crate::table::lock;

/// How far a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has been done yet.
    Waiting,
    /// Bytes are under way: so many have arrived.
    Moving(u64),
    /// All bytes are there, and are being unpacked.
    Moved,
    /// Done.
    Done,
    /// Nothing had to be done.
    Exists,
    /// The registry had it in this repository.
    Mounted(String),
    /// It stays where it is: a layer that its maker does not want in registries.
    Foreign,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What names it.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// How far it is.
    pub stage: Stage,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The manifest or index that the reference names now.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Whether anything is new here.
    pub fresh: bool,
    /// What people should know.
    pub note: Option<String>,
}

/// Why it came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// All layers of the reason in one line.
    pub message: String,
    kind: ErrorKind,
}

impl Failed {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            message: error.chain(),
            kind: error.kind(),
        }
    }
}

/// The present state of a pull or a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the registry has answered and there is something to tell.
    pub begun: bool,
    /// The layers, as far as they are known.
    pub parts: Vec<Part>,
    /// What came of it, once it is over.
    pub end: Option<Result<Finished, Failed>>,
}

/// Tells of progress. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reporter(Arc<watch::Sender<Progress>>);

impl Reporter {
    pub(super) fn begin(&self, parts: Vec<Part>) {
        self.0.send_modify(|progress| {
            progress.begun = true;
            progress.parts = parts;
        });
    }

    /// Moves a layer on.
    pub(super) fn stage(&self, digest: &Digest, stage: Stage) {
        self.0.send_if_modified(|progress| {
            let part = progress.parts.iter_mut().find(|p| p.digest == *digest);
            part.is_some_and(|part| {
                part.stage = stage;
                true
            })
        });
    }

    fn end(&self, end: Result<Finished, Failed>) {
        self.0.send_modify(|progress| progress.end = Some(end));
    }
}

/// Work under way: ended with the last who looks at it.
struct Job {
    progress: Arc<watch::Sender<Progress>>,
    task: AbortHandle,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A look at work under way, which goes on as long as somebody looks.
pub struct Transfer {
    progress: watch::Receiver<Progress>,
    _job: Arc<Job>,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transfer").field(&self.now()).finish()
    }
}

impl Transfer {
    /// The present state.
    pub fn now(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits for a change since the last look.
    pub async fn changed(&mut self) {
        // The sender lives as long as the job, which this holds.
        let _ = self.progress.changed().await;
        self.progress.mark_unchanged();
    }

    /// Waits for the registry's first word, or the end.
    pub async fn begun(&mut self) -> Progress {
        self.until(|progress| progress.begun || progress.end.is_some())
            .await
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> Result<Finished, Failed> {
        let progress = self.until(|progress| progress.end.is_some()).await;
        progress.end.unwrap_or_else(|| Err(Error::Closing.into()))
    }

    async fn until(&mut self, condition: impl FnMut(&Progress) -> bool) -> Progress {
        let reached = self.progress.wait_for(condition).await;
        // The sender lives as long as the job, which this holds.
        reached.map_or_else(|_| Progress::default(), |progress| progress.clone())
    }
}

/// The work under way, by what it is for.
pub(crate) struct Transfers<K>(Mutex<Vec<(K, Weak<Job>)>>);

impl<K> Default for Transfers<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K> fmt::Debug for Transfers<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transfers")
            .field(&lock(&self.0).len())
            .finish()
    }
}

impl<K: PartialEq> Transfers<K> {
    /// Joins the work for the same, or begins it.
    pub(super) fn join<F>(
        &self,
        runtime: &Handle,
        key: K,
        work: impl FnOnce(Reporter) -> F,
    ) -> Transfer
    where
        F: Future<Output = Result<Finished, Error>> + Send + 'static,
    {
        let mut jobs = lock(&self.0);
        jobs.retain(|(_, job)| job.strong_count() > 0);
        let same = jobs.iter().filter(|(of, _)| *of == key);
        let running = same.filter_map(|(_, job)| job.upgrade());
        let mut unfinished = running.filter(|job| job.progress.borrow().end.is_none());
        let job = match unfinished.next() {
            Some(job) => job,
            None => {
                drop(unfinished);
                let job = begin(runtime, work);
                jobs.push((key, Arc::downgrade(&job)));
                job
            }
        };
        Transfer {
            progress: job.progress.subscribe(),
            _job: job,
        }
    }
}

/// Work that nobody else can join.
pub(super) fn alone<F>(runtime: &Handle, work: impl FnOnce(Reporter) -> F) -> Transfer
where
    F: Future<Output = Result<Finished, Error>> + Send + 'static,
{
    let job = begin(runtime, work);
    Transfer {
        progress: job.progress.subscribe(),
        _job: job,
    }
}

fn begin<F>(runtime: &Handle, work: impl FnOnce(Reporter) -> F) -> Arc<Job>
where
    F: Future<Output = Result<Finished, Error>> + Send + 'static,
{
    let progress = Arc::new(watch::Sender::new(Progress::default()));
    let reporter = Reporter(progress.clone());
    let work = work(reporter.clone());
    let task = runtime.spawn(async move {
        // A panic in the work would leave those who look waiting for ever.
        let done = tokio::spawn(work);
        let _guard = AbortOnDrop(done.abort_handle());
        let end = match done.await {
            Ok(end) => end.map_err(Failed::from),
            Err(error) => Err(Error::kernel("go on: the work ended before its time")(error).into()),
        };
        reporter.end(end);
    });
    Arc::new(Job {
        progress,
        task: task.abort_handle(),
    })
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn finished() -> Finished {
        Finished {
            digest: Digest::sha256([7; 32]),
            size: 1,
            fresh: true,
            note: None,
        }
    }

    #[tokio::test]
    async fn two_who_want_the_same_share_the_work() {
        let (transfers, begun) = (Transfers::default(), AtomicUsize::new(0));
        let (go, wait) = oneshot::channel::<()>();
        let mut wait = Some(wait);
        let mut work = |_: Reporter| {
            begun.fetch_add(1, Ordering::Relaxed);
            let wait = wait.take();
            async move {
                if let Some(wait) = wait {
                    let _ = wait.await;
                }
                Ok(finished())
            }
        };
        let runtime = Handle::current();
        let mut first = transfers.join(&runtime, "a", &mut work);
        let mut second = transfers.join(&runtime, "a", &mut work);
        let mut other = transfers.join(&runtime, "b", &mut work);
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        assert_eq!(other.ended().await, Ok(finished()));
        go.send(()).unwrap();
        assert_eq!(first.ended().await, Ok(finished()));
        assert_eq!(second.ended().await, Ok(finished()));
        // What is over is not joined.
        transfers
            .join(&runtime, "a", &mut work)
            .ended()
            .await
            .unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn nobody_looks_nothing_is_done() {
        let (gone, mut seen) = watch::channel(false);
        struct Tell(watch::Sender<bool>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.send_replace(true);
            }
        }
        let tell = Tell(gone);
        let transfers = Transfers::default();
        let transfer = transfers.join(&Handle::current(), (), move |_| async move {
            let _tell = tell;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        drop(transfer);
        seen.wait_for(|gone| *gone).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_end() {
        let transfers = Transfers::default();
        let work = |_| async { panic!("on purpose") };
        let mut transfer = transfers.join(&Handle::current(), (), work);
        assert!(transfer.ended().await.is_err());
    }
}
