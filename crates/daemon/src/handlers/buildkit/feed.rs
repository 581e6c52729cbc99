//! What a build tells of itself: kept from its beginning, so that whoever looks later sees all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use builder::Source;
use builder::check::Finding;
use builder::solve::{Event, Progress};
use buildkit::Timestamp;
use buildkit::control::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};
use buildkit::pb;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// So many findings of checks are told, each with the whole file unless that is longer.
const MOST_FINDINGS: usize = 100;
const LONGEST_FILE: usize = 256 << 10;

/// So much of what a step prints is passed on, as with BuildKit.
const LONGEST_LOG: usize = 2 << 20;
/// So many things are told at a time.
const AT_ONCE: usize = 512;
/// So many are kept, of so many bytes; then only what steps begin and end with.
const MOST: usize = 200_000;
const MOST_BYTES: usize = 64 << 20;

/// What has been told.
#[derive(Debug)]
pub(super) struct Feed {
    told: Mutex<Told>,
    /// How many things there are, and whether that is all.
    changed: watch::Sender<(usize, bool)>,
}

#[derive(Debug, Default)]
struct Told {
    items: Vec<Item>,
    /// Bytes that steps have printed.
    printed: HashMap<String, usize>,
    /// Bytes of all that is kept.
    bytes: usize,
    steps: HashMap<String, Step>,
    warnings: usize,
    /// What checks have found.
    findings: usize,
    /// The step that warnings are about, and the file.
    definition: Option<(String, Arc<Source>)>,
}

#[derive(Debug, Clone)]
enum Item {
    Vertex(Vertex),
    Status(VertexStatus),
    Log(VertexLog),
    Warning(VertexWarning),
}

impl Item {
    /// What it takes, roughly.
    fn bytes(&self) -> usize {
        match self {
            Self::Vertex(_) | Self::Status(_) => 0,
            Self::Log(log) => log.msg.len(),
            Self::Warning(warning) => warning.encoded_len(),
        }
    }
}

/// What a step has come to.
#[derive(Debug, Clone, Default)]
struct Step {
    name: String,
    completed: bool,
    cached: bool,
    /// What was told of it last, while it is under way.
    open: Option<Vertex>,
}

/// How many steps there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) completed: usize,
    pub(super) cached: usize,
    pub(super) warnings: usize,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            told: Mutex::default(),
            changed: watch::Sender::new((0, false)),
        }
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Told> {
        // Things are added whole.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: Item) {
        let mut told = self.lock();
        let full = told.items.len() >= MOST || told.bytes >= MOST_BYTES;
        if full && !matches!(item, Item::Vertex(_)) {
            return;
        }
        told.bytes += item.bytes();
        told.items.push(item);
        let count = told.items.len();
        drop(told);
        self.changed.send_modify(|(known, _)| *known = count);
    }

    /// Warnings are about this step and this file from now on.
    pub(super) fn define(&self, vertex: &str, source: Arc<Source>) {
        self.lock().definition = Some((vertex.to_owned(), source));
    }

    /// The file that the build is by.
    pub(super) fn source(&self) -> Option<Arc<Source>> {
        let told = self.lock();
        told.definition.as_ref().map(|(_, source)| source.clone())
    }

    pub(super) fn vertex(&self, vertex: Vertex) {
        let mut told = self.lock();
        let step = told.steps.entry(vertex.digest.clone()).or_default();
        step.name.clone_from(&vertex.name);
        step.completed |= vertex.completed.is_some();
        step.cached |= vertex.cached;
        let open = vertex.started.is_some() && !step.completed;
        step.open = open.then(|| vertex.clone());
        drop(told);
        self.push(Item::Vertex(vertex));
    }

    /// A step under way, by what people know it by.
    pub(super) fn under_way(&self, name: &str) -> Option<String> {
        let told = self.lock();
        let mut steps = told.steps.iter();
        let found = steps.find(|(_, step)| step.name == name && !step.completed);
        found.map(|(digest, _)| digest.clone())
    }

    pub(super) fn status(&self, status: VertexStatus) {
        self.push(Item::Status(status));
    }

    pub(super) fn warn(&self, warning: VertexWarning) {
        self.lock().warnings += 1;
        self.push(Item::Warning(warning));
    }

    fn log(&self, mut log: VertexLog) {
        let mut told = self.lock();
        let printed = told.printed.entry(log.vertex.clone()).or_default();
        let room = LONGEST_LOG.saturating_sub(*printed);
        if room == 0 {
            return;
        }
        *printed += log.msg.len();
        let clipped = log.msg.len() > room;
        drop(told);
        if clipped {
            log.msg.truncate(room);
            let note = format!("\n[output clipped, log limit {LONGEST_LOG} bytes reached]\n");
            log.msg.extend_from_slice(note.as_bytes());
        }
        self.push(Item::Log(log));
    }

    fn found(&self, finding: &Finding) {
        let mut told = self.lock();
        told.findings += 1;
        let Some((vertex, source)) = told.definition.clone() else {
            return;
        };
        if told.findings > MOST_FINDINGS {
            return;
        }
        drop(told);
        self.warn(warning(vertex, &source, finding));
    }

    /// That was all. Of what is still under way nobody hears any more: it was given up.
    pub(super) fn end(&self) {
        let open: Vec<Vertex> = {
            let mut told = self.lock();
            let steps = told.steps.values_mut();
            steps.filter_map(|step| step.open.take()).collect()
        };
        for vertex in open {
            self.vertex(Vertex {
                completed: Some(now()),
                error: "context canceled".to_owned(),
                ..vertex
            });
        }
        self.changed.send_modify(|(_, over)| *over = true);
    }

    pub(super) fn counts(&self) -> Counts {
        let told = self.lock();
        let count = |what: fn(&Step) -> bool| told.steps.values().filter(|s| what(s)).count();
        Counts {
            total: told.steps.len(),
            completed: count(|step| step.completed),
            cached: count(|step| step.cached),
            warnings: told.warnings,
        }
    }

    /// All that was told and will be.
    pub(super) fn follow(self: &Arc<Self>) -> ReceiverStream<Result<StatusResponse, Status>> {
        let (send, receive) = mpsc::channel(4);
        let feed = self.clone();
        tokio::spawn(async move {
            let mut changed = feed.changed.subscribe();
            let mut at = 0;
            loop {
                let (count, over) = *changed.borrow_and_update();
                while at < count {
                    let (batch, next) = feed.batch(at);
                    at = next;
                    if send.send(Ok(batch)).await.is_err() {
                        return;
                    }
                }
                let gone = tokio::select! {
                    more = changed.changed(), if !over => more.is_err(),
                    () = send.closed() => true,
                    () = std::future::ready(()), if over => true,
                };
                if gone {
                    return;
                }
            }
        });
        ReceiverStream::new(receive)
    }

    fn batch(&self, from: usize) -> (StatusResponse, usize) {
        let told = self.lock();
        let mut batch = StatusResponse::default();
        let mut bytes = 0;
        let mut at = from;
        for item in told.items[from..].iter().take(AT_ONCE) {
            if bytes > LONGEST_LOG {
                break;
            }
            at += 1;
            match item.clone() {
                Item::Vertex(vertex) => batch.vertexes.push(vertex),
                Item::Status(status) => batch.statuses.push(status),
                Item::Log(log) => {
                    bytes += log.msg.len();
                    batch.logs.push(log);
                }
                Item::Warning(warning) => {
                    bytes += warning.encoded_len();
                    batch.warnings.push(warning);
                }
            }
        }
        (batch, at)
    }
}

impl Progress for Feed {
    fn tell(&self, event: Event) {
        match event {
            Event::Vertex(state) => self.vertex(Vertex {
                digest: state.digest.to_string(),
                inputs: state.inputs.iter().map(ToString::to_string).collect(),
                name: state.name,
                cached: state.cached,
                started: state.started.map(time),
                completed: state.completed.map(time),
                error: state.error.unwrap_or_default(),
                progress_group: state.group.map(|name| pb::ProgressGroup {
                    id: name.clone(),
                    name,
                    weak: false,
                }),
            }),
            Event::Status(status) => self.status(VertexStatus {
                name: status.id.clone(),
                id: status.id,
                vertex: status.vertex.to_string(),
                current: i64::try_from(status.current).unwrap_or(i64::MAX),
                total: i64::try_from(status.total).unwrap_or(i64::MAX),
                timestamp: Some(now()),
                started: status.started.map(time),
                completed: status.completed.map(time),
            }),
            Event::Log {
                vertex,
                stream,
                at,
                bytes,
            } => self.log(VertexLog {
                vertex: vertex.to_string(),
                timestamp: Some(time(at)),
                stream: stream.into(),
                msg: bytes,
            }),
            Event::Warning(finding) => self.found(&finding),
        }
    }
}

fn time(nanos: i64) -> Timestamp {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()).into()
}

pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().into()
}

/// A finding in the words that clients list.
fn warning(vertex: String, source: &Source, finding: &Finding) -> VertexWarning {
    let (rule, span) = (finding.rule, finding.span);
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let place = |line: usize| {
        Some(pb::Position {
            line: number(line),
            character: 0,
        })
    };
    let line = span.start.line;
    VertexWarning {
        vertex,
        level: 1,
        short: format!("{}: {} (line {line})", rule.name(), finding.detail).into_bytes(),
        detail: vec![rule.description().as_bytes().to_vec()],
        url: rule.url().to_owned(),
        info: Some(pb::SourceInfo {
            filename: source.name().to_owned(),
            data: match source.text() {
                text if text.len() <= LONGEST_FILE => text.as_bytes().to_vec(),
                _ => Vec::new(),
            },
            language: "Dockerfile".to_owned(),
        }),
        ranges: vec![pb::Range {
            start: place(span.start.line),
            end: place(span.end.line),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt as _;

    fn log(text: &str) -> VertexLog {
        VertexLog {
            vertex: "v".to_owned(),
            msg: text.as_bytes().to_vec(),
            ..VertexLog::default()
        }
    }

    #[tokio::test]
    async fn who_looks_late_sees_all() {
        let feed = Arc::new(Feed::default());
        feed.vertex(Vertex {
            digest: "v".to_owned(),
            cached: true,
            ..Vertex::default()
        });
        let mut early = feed.follow();
        let first = early.next().await.unwrap().unwrap();
        assert_eq!(first.vertexes.len(), 1);
        feed.log(log("x"));
        feed.end();
        assert_eq!(early.next().await.unwrap().unwrap().logs[0].msg, b"x");
        assert!(early.next().await.is_none());
        let all = feed.follow().next().await.unwrap().unwrap();
        assert_eq!((all.vertexes.len(), all.logs.len()), (1, 1));
        assert_eq!((feed.counts().total, feed.counts().cached), (1, 1));
    }

    #[test]
    fn what_is_under_way_at_the_end_was_given_up() {
        let feed = Feed::default();
        let told = |digest: &str, completed| {
            feed.vertex(Vertex {
                digest: digest.to_owned(),
                started: Some(now()),
                completed,
                ..Vertex::default()
            });
        };
        told("done", None);
        told("done", Some(now()));
        told("open", None);
        feed.end();
        let (batch, _) = feed.batch(3);
        let [open] = batch.vertexes.as_slice() else {
            panic!("one was open: {batch:?}")
        };
        assert_eq!(
            (open.digest.as_str(), open.error.as_str()),
            ("open", "context canceled")
        );
        assert!(open.completed.is_some());
        assert_eq!(feed.counts().completed, 2);
    }

    #[test]
    fn findings_without_end_are_told_to_a_hundred() {
        let feed = Arc::new(Feed::default());
        let text = "x".repeat(LONGEST_FILE);
        feed.define("v", Arc::new(Source::new("Dockerfile", text.as_bytes())));
        for line in 1..1000 {
            feed.tell(Event::Warning(Finding {
                rule: builder::check::Rule::all().next().unwrap(),
                detail: String::new(),
                span: builder::Span::lines(line, line),
            }));
        }
        assert_eq!(feed.lock().items.len(), MOST_FINDINGS);
        let (batch, next) = feed.batch(0);
        assert!(next < MOST_FINDINGS && batch.encoded_len() < api::grpc::LONGEST);
    }

    #[test]
    fn who_warns_without_end_is_not_kept_without_end() {
        let feed = Feed::default();
        for _ in 0..200 {
            feed.warn(VertexWarning {
                short: vec![b'x'; 1 << 20],
                ..VertexWarning::default()
            });
        }
        assert_eq!(feed.lock().items.len(), MOST_BYTES >> 20);
    }

    #[test]
    fn who_prints_much_is_clipped() {
        let feed = Feed::default();
        let piece = "x".repeat(LONGEST_LOG - 1);
        for _ in 0..3 {
            feed.log(log(&piece));
        }
        let told = feed.lock();
        assert_eq!(told.items.len(), 2);
        let Item::Log(last) = &told.items[1] else {
            panic!("it is a log")
        };
        assert!(last.msg.starts_with(b"x\n[output clipped"));
    }
}
