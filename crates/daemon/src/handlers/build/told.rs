//! What a client is told of a build: the classic builder's lines, step by step in the file's order
//! whatever order things happen in; or events, for a client that draws them itself.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::wire::{self, ErrorDetail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use builder::Source;
use builder::Span;
use builder::solve::{Built, Cancel, Event, Failure, Progress, VertexState};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use types::Digest;

use super::Piece;
use super::ask::Asked;
use crate::http::respond;

/// Between two tries to tell a client that is slow.
const PAUSE: Duration = Duration::from_millis(20);

/// The answer, line by line. A client that is gone does not care.
#[derive(Debug, Clone)]
pub(super) struct Lines(mpsc::Sender<Piece>, Cancel);

impl Lines {
    pub(super) fn new(send: mpsc::Sender<Piece>, cancel: Cancel) -> Self {
        Self(send, cancel)
    }

    pub(super) fn send(&self, message: &wire::Progress) {
        let mut piece = Ok(respond::json_bytes(message).into());
        // Who does not read holds the build up, but not its end.
        while let Err(TrySendError::Full(back)) = self.0.try_send(piece) {
            if self.1.is_cancelled() {
                return;
            }
            piece = back;
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn stream(&self, stream: String) {
        self.send(&wire::Progress {
            stream,
            ..wire::Progress::default()
        });
    }

    pub(super) fn aux(&self, id: &str, aux: &impl Serialize) {
        self.send(&wire::Progress {
            id: id.to_owned(),
            aux: serde_json::to_value(aux).ok(),
            ..wire::Progress::default()
        });
    }

    /// A file for the client, in pieces between the lines.
    pub(super) fn raw(&self) -> Raw<'_> {
        Raw(self)
    }

    /// The last message; of a command that failed, to who draws nothing itself, in the classic builder's words.
    pub(super) fn fail(&self, failure: &Failure, events: bool) {
        let first = match (&failure.command, failure.code) {
            (Some(command), Some(code)) if !events => {
                format!("The command '{command}' returned a non-zero code: {code}")
            }
            _ => failure.message.clone(),
        };
        let message = failure.with_excerpt(&first);
        let code = failure.code.map_or(0, i64::from);
        self.send(&wire::Progress {
            error: message.clone(),
            error_detail: Some(ErrorDetail { code, message }),
            ..wire::Progress::default()
        });
    }
}

/// A file for the client.
#[derive(Debug)]
pub(super) struct Raw<'a>(&'a Lines);

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.0.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0
            .aux("brig.output", &json!({ "data": STANDARD.encode(bytes) }));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells of a build while it goes on.
pub(super) struct Telling<'a> {
    lines: &'a Lines,
    events: bool,
    quiet: bool,
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    all: Vec<Step>,
    /// The one that is being told of.
    at: usize,
    /// Whether its first line is out.
    begun: bool,
    vertices: Vec<(Digest, usize)>,
}

#[derive(Debug, Default)]
struct Step {
    code: String,
    span: Span,
    /// What of it has been heard and not told.
    log: Vec<String>,
    /// How many of its vertices have not ended.
    open: usize,
    vertex: Option<Digest>,
    /// Whether it has ended well.
    made: bool,
    cached: bool,
    /// Whether it runs a command of which nothing has been said yet.
    run: bool,
}

impl<'a> Telling<'a> {
    pub(super) fn new(lines: &'a Lines, source: &Source, asked: &Asked) -> Self {
        let steps = Steps {
            all: steps(source, asked.options.target.as_deref()),
            ..Steps::default()
        };
        Self {
            lines,
            events: asked.events,
            quiet: asked.quiet,
            steps: Mutex::new(steps),
        }
    }

    /// Tells what is left: of steps that nothing had to be done for, and arguments that nothing asks for.
    pub(super) fn finish(&self, built: &[Built]) {
        if self.events || self.quiet {
            return;
        }
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.advance(self.lines, true);
        if let Some(one) = built.first().filter(|one| !one.unused.is_empty()) {
            let names = one.unused.join(" ");
            self.lines.stream(format!(
                "[Warning] One or more build-args [{names}] were not consumed\n"
            ));
        }
    }

    fn classic(&self, event: Event) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Vertex(state) => steps.vertex(&state),
            Event::Log {
                vertex,
                stream,
                bytes,
                ..
            } => {
                if let Some(step) = steps.of(&vertex) {
                    steps.all[step].log.push(said(stream, &bytes));
                }
            }
            Event::Status(_) | Event::Warning(_) => return,
        }
        steps.advance(self.lines, false);
    }
}

impl Progress for Telling<'_> {
    fn tell(&self, event: Event) {
        if self.events {
            self.lines.aux("brig.event", &shown(&event));
        } else if !self.quiet {
            self.classic(event);
        }
    }
}

impl Steps {
    fn of(&self, vertex: &Digest) -> Option<usize> {
        let mut known = self.vertices.iter();
        known
            .find(|(known, _)| known == vertex)
            .map(|(_, step)| *step)
    }

    fn vertex(&mut self, state: &VertexState) {
        let step = match self.of(&state.digest) {
            Some(step) => step,
            None => {
                let Some(span) = state.spans.first() else {
                    return;
                };
                let same = |step: &Step| step.span.start.line == span.start.line;
                let Some(step) = self.all.iter().position(same) else {
                    return;
                };
                self.vertices.push((state.digest.clone(), step));
                self.all[step].open += 1;
                step
            }
        };
        let step = &mut self.all[step];
        step.vertex = Some(state.digest.clone());
        step.run &= !state.cached;
        if state.completed.is_some() {
            step.open = step.open.saturating_sub(1);
            step.cached = state.cached;
            step.made = state.error.is_none();
        }
    }

    /// Tells as much as can be told in order.
    fn advance(&mut self, lines: &Lines, ended: bool) {
        let count = self.all.len();
        while let Some(step) = self.all.get_mut(self.at) {
            // Nobody knows what has to be done before the first vertex is heard of.
            if self.vertices.is_empty() && !ended {
                return;
            }
            if !self.begun {
                self.begun = true;
                lines.stream(format!("Step {}/{count} : {}\n", self.at + 1, step.code));
            }
            if step.run && (step.made || !step.log.is_empty()) {
                step.run = false;
                let id = step.vertex.as_ref().map_or("", Digest::short);
                lines.stream(format!(" ---> Running in {id}\n"));
            }
            for piece in std::mem::take(&mut step.log) {
                lines.stream(piece);
            }
            if step.open > 0 && !ended {
                return;
            }
            if let Some(vertex) = step.vertex.as_ref().filter(|_| step.made) {
                if step.cached {
                    lines.stream(" ---> Using cache\n".to_owned());
                }
                lines.stream(format!(" ---> {}\n", vertex.short()));
            }
            self.begun = false;
            self.at += 1;
        }
    }
}

/// What a command says, standard error in red, as the classic builder has it.
fn said(stream: u8, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match stream {
        2 => format!("\x1b[91m{text}\x1b[0m"),
        _ => text.into_owned(),
    }
}

/// Every line of the stages up to the one that is built.
fn steps(source: &Source, target: Option<&str>) -> Vec<Step> {
    // A file that cannot be read has no steps: who builds says why.
    let Ok(file) = builder::dockerfile::parse(source) else {
        return Vec::new();
    };
    let step = |code: &str, span: Span| Step {
        code: code.to_owned(),
        span,
        run: code
            .get(..3)
            .is_some_and(|verb| verb.eq_ignore_ascii_case("run")),
        ..Step::default()
    };
    let mut steps: Vec<Step> = file
        .args
        .iter()
        .map(|arg| step(&arg.code, arg.span))
        .collect();
    for (index, stage) in file.stages.iter().enumerate() {
        steps.push(step(&stage.code, stage.span));
        let instructions = stage.instructions.iter();
        steps.extend(instructions.map(|instruction| step(&instruction.code, instruction.span)));
        let named = |target: &str| {
            let name = stage.name.as_deref().unwrap_or_default();
            name.eq_ignore_ascii_case(target) || index.to_string() == target
        };
        if target.is_some_and(named) {
            break;
        }
    }
    steps
}

/// An event in JSON, in BuildKit's words.
fn shown(event: &Event) -> serde_json::Value {
    match event {
        Event::Vertex(state) => json!({ "vertex": {
            "digest": state.digest.to_string(),
            "name": state.name,
            "inputs": state.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "cached": state.cached,
            "started": state.started,
            "completed": state.completed,
            "error": state.error,
        }}),
        Event::Status(status) => json!({ "status": {
            "id": status.id,
            "vertex": status.vertex.to_string(),
            "current": status.current,
            "total": status.total,
            "started": status.started,
            "completed": status.completed,
        }}),
        Event::Log {
            vertex,
            stream,
            at,
            bytes,
        } => json!({ "log": {
            "vertex": vertex.to_string(),
            "stream": stream,
            "timestamp": at,
            "data": String::from_utf8_lossy(bytes),
        }}),
        Event::Warning(finding) => json!({ "warning": {
            "rule": finding.rule.name(),
            "detail": finding.detail,
            "line": finding.span.start.line,
        }}),
    }
}
