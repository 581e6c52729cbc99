//! Builds that were done since the daemon started: what `docker buildx history` lists.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildkit::control::{
    BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRecord, BuildHistoryRequest, Exporter,
    SolveRequest, UpdateBuildHistoryRequest,
};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::feed::{Feed, now};

/// So many are kept.
const MOST: usize = 100;

/// What a client says may be megabytes: of it so much is kept with a build.
const MOST_ATTRIBUTES: usize = 100;
const MOST_OUTPUTS: usize = 10;
const LONGEST: usize = 1024;

/// The builds.
#[derive(Debug, Clone)]
pub(super) struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    builds: Mutex<VecDeque<BuildHistoryRecord>>,
    events: broadcast::Sender<BuildHistoryEvent>,
}

impl Default for History {
    fn default() -> Self {
        Self(Arc::new(Inner {
            builds: Mutex::default(),
            events: broadcast::Sender::new(64),
        }))
    }
}

impl History {
    fn lock(&self) -> MutexGuard<'_, VecDeque<BuildHistoryRecord>> {
        // Records are changed whole.
        self.0.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: BuildHistoryEventType, record: &BuildHistoryRecord) {
        // Nobody may be listening.
        let _ = self.0.events.send(event(kind, record));
    }

    /// A build has begun.
    pub(super) fn begin(&self, request: &SolveRequest) {
        if request.internal {
            return;
        }
        let record = BuildHistoryRecord {
            reference: request.reference.clone(),
            frontend: request.frontend.clone(),
            frontend_attrs: short(&request.frontend_attrs),
            exporters: request
                .exporters
                .iter()
                .take(MOST_OUTPUTS)
                .map(brief)
                .collect(),
            created_at: Some(now()),
            ..BuildHistoryRecord::default()
        };
        self.tell(BuildHistoryEventType::Started, &record);
        let mut builds = self.lock();
        if builds.len() >= MOST {
            let oldest = builds.iter().position(|build| !build.pinned).unwrap_or(0);
            builds.remove(oldest);
        }
        builds.push_back(record);
    }

    /// The build is done.
    pub(super) fn end(
        &self,
        name: &str,
        change: impl FnOnce(&mut BuildHistoryRecord),
        feed: &Feed,
    ) {
        let mut builds = self.lock();
        let mut latest = builds.iter_mut().rev();
        let Some(record) = latest.find(|build| build.reference == name) else {
            return;
        };
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let counts = feed.counts();
        record.completed_at = Some(now());
        record.num_total_steps = number(counts.total);
        record.num_completed_steps = number(counts.completed);
        record.num_cached_steps = number(counts.cached);
        record.num_warnings = number(counts.warnings);
        record.generation += 1;
        change(record);
        let record = record.clone();
        drop(builds);
        self.tell(BuildHistoryEventType::Complete, &record);
    }

    /// Pins one, or forgets it.
    pub(super) fn update(&self, request: &UpdateBuildHistoryRequest) -> Result<(), Status> {
        let mut builds = self.lock();
        let at = builds
            .iter()
            .position(|build| build.reference == request.reference);
        let Some(at) = at else {
            // Clients say of builds that are long gone that they are complete.
            return match request.finalize {
                true => Ok(()),
                false => Err(Status::not_found(format!(
                    "no build {} is known",
                    request.reference
                ))),
            };
        };
        if !request.delete {
            if !request.finalize {
                builds[at].pinned = request.pinned;
            }
            return Ok(());
        }
        let gone = builds.remove(at);
        drop(builds);
        if let Some(record) = gone {
            self.tell(BuildHistoryEventType::Deleted, &record);
        }
        Ok(())
    }

    /// What there is, and what comes.
    pub(super) fn listen(
        &self,
        request: &BuildHistoryRequest,
    ) -> ReceiverStream<Result<BuildHistoryEvent, Status>> {
        let (send, receive) = mpsc::channel(16);
        let mut events = self.0.events.subscribe();
        let there: Vec<BuildHistoryRecord> = self.lock().iter().cloned().collect();
        let request = request.clone();
        tokio::spawn(async move {
            let wanted = |record: &BuildHistoryRecord| {
                (request.reference.is_empty() || request.reference == record.reference)
                    && !(request.active_only && record.completed_at.is_some())
            };
            for record in there.iter().filter(|record| wanted(record)) {
                let kind = match record.completed_at {
                    Some(_) => BuildHistoryEventType::Complete,
                    None => BuildHistoryEventType::Started,
                };
                if send.send(Ok(event(kind, record))).await.is_err() {
                    return;
                }
            }
            if request.early_exit {
                return;
            }
            loop {
                let next = tokio::select! {
                    next = events.recv() => next,
                    () = send.closed() => return,
                };
                let Ok(next) = next else { return };
                let known = next.record.as_ref().is_some_and(&wanted);
                if known && send.send(Ok(next)).await.is_err() {
                    return;
                }
            }
        });
        ReceiverStream::new(receive)
    }
}

/// What is not too long to be kept.
fn short(attributes: &HashMap<String, String>) -> HashMap<String, String> {
    let fits = |(name, value): &(&String, &String)| name.len() + value.len() <= LONGEST;
    let kept = attributes.iter().filter(fits).take(MOST_ATTRIBUTES);
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn brief(exporter: &Exporter) -> Exporter {
    Exporter {
        kind: exporter.kind.chars().take(64).collect(),
        attrs: short(&exporter.attrs),
    }
}

fn event(kind: BuildHistoryEventType, record: &BuildHistoryRecord) -> BuildHistoryEvent {
    BuildHistoryEvent {
        kind: kind.into(),
        record: Some(record.clone()),
    }
}

/// Why a build failed, as its record says it.
pub(super) fn reason(status: &Status) -> buildkit::Status {
    buildkit::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    }
}
