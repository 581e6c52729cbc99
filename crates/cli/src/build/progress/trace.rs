//! What is known of a build's steps, in the order in which they were heard of.

use std::collections::{HashMap, VecDeque};

use buildkit::Timestamp;
use buildkit::control::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};

/// Lines that are kept of what a step prints: they are told when it fails.
const KEPT: usize = 20;
/// The longest line that is waited for.
const LONGEST: usize = 64 << 10;

/// All steps.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) steps: Vec<Step>,
    pub(super) index: HashMap<String, usize>,
    pub(super) warnings: Vec<VertexWarning>,
    /// Steps of which there is something new.
    pub(super) changed: Vec<usize>,
}

/// A step.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) started: Option<i128>,
    pub(super) completed: Option<i128>,
    /// Nanoseconds that it has worked before: it may begin again.
    pub(super) before: i128,
    pub(super) cached: bool,
    pub(super) error: String,
    pub(super) statuses: Vec<Shown>,
    /// Lines that have not been printed.
    pub(super) lines: Vec<String>,
    /// The last ones, without times.
    pub(super) last: VecDeque<String>,
    /// A line whose end has not come.
    pub(super) part: Vec<u8>,
    pub(super) warnings: Vec<String>,
    /// Its number, once it has been shown.
    pub(super) number: usize,
}

/// What a step is at.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) status: VertexStatus,
    pub(super) changed: bool,
}

fn nanos(time: Option<Timestamp>) -> Option<i128> {
    time.map(|time| time.as_nanos())
}

impl Step {
    /// Seconds it has worked, as of now.
    pub(super) fn seconds(&self, now: i128) -> f64 {
        let Some(started) = self.started else {
            return 0.0;
        };
        let end = self.completed.unwrap_or(now);
        seconds(self.before + (end - started).max(0))
    }

    pub(super) fn runs(&self) -> bool {
        self.started.is_some() && self.completed.is_none()
    }

    fn set(&mut self, vertex: &Vertex) {
        let started = nanos(vertex.started);
        if let (Some(old), Some(end), Some(new)) = (self.started, self.completed, started)
            && new > end
        {
            self.before += (end - old).max(0);
        }
        self.name.clone_from(&vertex.name);
        self.started = started.or(self.started);
        self.completed = nanos(vertex.completed);
        self.cached = vertex.cached;
        self.error.clone_from(&vertex.error);
    }

    fn heard(&mut self, log: &VertexLog) {
        let at = nanos(log.timestamp);
        let since = match (at, self.started) {
            (Some(at), Some(started)) => seconds((at - started).max(0)),
            _ => 0.0,
        };
        self.part.extend_from_slice(&log.msg);
        while let Some(end) = self.part.iter().position(|byte| *byte == b'\n') {
            let rest = self.part.split_off(end + 1);
            let line = std::mem::replace(&mut self.part, rest);
            self.line(&line[..end], since);
        }
        if self.part.len() > LONGEST {
            self.end_line(since);
        }
    }

    fn line(&mut self, bytes: &[u8], since: f64) {
        let text = String::from_utf8_lossy(bytes);
        // What a program draws over is not shown.
        let text = text.trim_end_matches('\r');
        let text = text.rsplit('\r').next().unwrap_or(text);
        let line = format!("{} {text}", precise(since));
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        self.lines.push(line);
    }

    fn end_line(&mut self, since: f64) {
        let line = std::mem::take(&mut self.part);
        if !line.is_empty() {
            self.line(&line, since);
        }
    }
}

/// Three digits or so.
fn precise(seconds: f64) -> String {
    let digits = match () {
        () if seconds < 10.0 => 3,
        () if seconds < 100.0 => 2,
        () => 1,
    };
    format!("{seconds:.digits$}")
}

pub(super) fn seconds(nanos: i128) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "tenths are shown")]
    let seconds = nanos as f64 / 1e9;
    seconds
}

impl Trace {
    fn step(&mut self, digest: &str) -> usize {
        if let Some(index) = self.index.get(digest) {
            return *index;
        }
        let index = self.steps.len();
        self.steps.push(Step::default());
        self.index.insert(digest.to_owned(), index);
        index
    }

    fn change(&mut self, index: usize) {
        if !self.changed.contains(&index) {
            self.changed.push(index);
        }
    }

    pub(super) fn update(&mut self, status: StatusResponse) {
        for vertex in &status.vertexes {
            let index = self.step(&vertex.digest);
            let step = &mut self.steps[index];
            step.set(vertex);
            if step.completed.is_some() {
                let since = step.seconds(0);
                step.end_line(since);
            }
            if step.started.is_some() || step.cached || step.completed.is_some() {
                self.change(index);
            }
        }
        for status in status.statuses {
            let Some(index) = self.index.get(&status.vertex).copied() else {
                continue;
            };
            let statuses = &mut self.steps[index].statuses;
            match statuses.iter_mut().find(|s| s.status.id == status.id) {
                Some(old) => {
                    // One that ends twice is told of once.
                    old.changed |= old.status.completed.is_none() || status.completed.is_none();
                    old.status = status;
                }
                None => statuses.push(Shown {
                    status,
                    changed: true,
                }),
            }
            self.change(index);
        }
        for log in &status.logs {
            if let Some(index) = self.index.get(&log.vertex).copied() {
                self.steps[index].heard(log);
                self.change(index);
            }
        }
        for warning in status.warnings {
            if let Some(index) = self.index.get(&warning.vertex).copied() {
                let short = String::from_utf8_lossy(&warning.short).into_owned();
                self.steps[index].warnings.push(short);
                self.change(index);
            }
            self.warnings.push(warning);
        }
    }
}

/// `1.23MB / 4.56MB`, and how long it took.
pub(super) fn measure(status: &VertexStatus) -> (String, String) {
    let size = |bytes: i64| crate::print::units::two_digits(bytes);
    let bytes = match (status.current, status.total) {
        (current, total) if total != 0 => format!(" {} / {}", size(current), size(total)),
        (0, _) => String::new(),
        (current, _) => format!(" {}", size(current)),
    };
    let end = nanos(status.completed).or_else(|| nanos(status.timestamp));
    let took = match (nanos(status.started), end) {
        (Some(started), Some(end)) => seconds((end - started).max(0)),
        _ => 0.0,
    };
    let time = if took > 0.01 {
        format!(" {took:.1}s")
    } else {
        String::new()
    };
    (bytes, time)
}
