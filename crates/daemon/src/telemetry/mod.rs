//! Traces of requests for OpenTelemetry: off unless somebody says where they are to go.
//!
//! A request that is traced has a [`Span`], which is found by whoever works on it ([`current`]). What has
//! ended goes into a queue with an end and from there, by a task of its own ([`export`]), to a collector. A
//! queue that is full loses spans: a collector that is slow or gone holds up nobody.

mod export;
mod message;
mod span;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::{HeaderMap, Method};
use tokio::sync::{mpsc, watch};

pub(crate) use export::{Collector, Error as CollectorError};
pub(crate) use span::Span;
use span::{Ended, Parent, TraceId};

/// What is traced, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The whole address, `http://127.0.0.1:4318/v1/traces`.
    pub(crate) endpoint: String,
    pub(crate) encoding: Encoding,
    /// Sent with each of them.
    pub(crate) headers: Vec<(String, String)>,
    /// The authorities of an `https` one; none means the system's.
    pub(crate) certificate: Option<PathBuf>,
    /// How long one delivery may take.
    pub(crate) timeout: Duration,
    /// About the daemon: `service.name` and others.
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) sampler: Sampler,
    /// The most spans that wait.
    pub(crate) queue: usize,
    /// The most that are sent at once.
    pub(crate) batch: usize,
    /// How long they wait for others.
    pub(crate) delay: Duration,
}

/// How they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// Whether a client that traces, or says that it does not, decides for its own requests.
    pub(crate) parent: bool,
    /// The share of the others, 0 to 1.
    pub(crate) ratio: f64,
}

impl Sampler {
    fn takes(&self, parent: Option<&Parent>, trace: TraceId) -> bool {
        match parent {
            Some(parent) if self.parent => parent.sampled,
            // The id is random, and the same for all who take part: they decide alike.
            _ => trace.is_below(self.ratio),
        }
    }
}

/// Where spans go to when they have ended.
#[derive(Debug)]
pub(crate) struct Telemetry {
    sampler: Sampler,
    ended: mpsc::Sender<Ended>,
    lost: Arc<AtomicU64>,
}

impl Telemetry {
    /// And the task that sends them, which ends soon after `stop`.
    pub(crate) fn new(
        settings: &Settings,
        collector: Collector,
        stop: watch::Receiver<bool>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (ended, receiver) = mpsc::channel(settings.queue);
        let lost = Arc::new(AtomicU64::new(0));
        let telemetry = Self {
            sampler: settings.sampler,
            ended,
            lost: lost.clone(),
        };
        let run = export::run(settings.clone(), collector, (receiver, lost), stop);
        (telemetry, run)
    }

    /// A request that begins, if it is one of those that are traced.
    pub(crate) fn begin(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Arc<Span>> {
        let parent = Parent::of(headers);
        let trace = match &parent {
            Some(parent) => parent.trace,
            None => TraceId::random()?,
        };
        if !self.sampler.takes(parent.as_ref(), trace) {
            return None;
        }
        Span::begin(trace, parent, method, path, headers).map(Arc::new)
    }

    /// It has been answered.
    pub(crate) fn end(&self, span: &Span, status: u16, error: Option<&str>) {
        for ended in span.end(status, error) {
            if self.ended.try_send(ended).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

tokio::task_local! {
    static CURRENT: Arc<Span>;
}

/// Works on a request that is traced.
pub(crate) async fn within<F: Future>(span: Arc<Span>, work: F) -> F::Output {
    CURRENT.scope(span, work).await
}

/// The span of the request that is being worked on, if it is traced.
pub(crate) fn current() -> Option<Arc<Span>> {
    CURRENT.try_with(Arc::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_decide_for_their_own() {
        let trace = TraceId::parse("0af7651916cd43dd8448eb211c80319c").unwrap();
        let parent = |sampled| {
            let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{sampled}");
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            Parent::of(&headers)
        };
        let takes =
            |sampler: Sampler, parent: Option<Parent>| sampler.takes(parent.as_ref(), trace);
        let all = Sampler {
            parent: true,
            ratio: 1.0,
        };
        assert!(takes(all, None) && takes(all, parent(1)) && !takes(all, parent(0)));
        let none = Sampler {
            parent: true,
            ratio: 0.0,
        };
        assert!(!takes(none, None) && takes(none, parent(1)));
        let always = Sampler {
            parent: false,
            ratio: 1.0,
        };
        assert!(takes(always, parent(0)));
        // 0x48eb211c80319c of 56 bits is beyond a quarter.
        let quarter = Sampler {
            parent: false,
            ratio: 0.25,
        };
        assert!(!takes(quarter, None));
    }
}
