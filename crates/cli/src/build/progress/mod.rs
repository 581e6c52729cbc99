//! What happens in a build, shown: a tree that updates in place on a terminal, lines elsewhere, JSON for
//! programs.

mod json;
mod plain;
mod trace;
mod tty;

use std::io::IsTerminal as _;

use buildkit::control::{StatusResponse, VertexWarning};

use crate::args::build::BuildArgs;
use crate::error::CliError;
use crate::resolve::Surroundings;
use trace::Trace;

/// How a build is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Line by line.
    Plain,
    /// In place.
    Tty,
    /// A JSON document a line.
    Json,
    /// Not at all, not even what is likely not meant.
    Quiet,
}

impl Mode {
    /// What flags and environment say.
    pub(super) fn chosen(args: &BuildArgs, around: &Surroundings<'_>) -> Result<Self, CliError> {
        if args.quiet {
            let other = !matches!(args.progress.as_str(), "auto" | "quiet");
            return match other {
                true => Err(CliError::Invalid(format!(
                    "progress={} and quiet cannot be used together",
                    args.progress
                ))),
                false => Ok(Self::Quiet),
            };
        }
        let mut text = args.progress.clone();
        if text == "auto"
            && let Some(wanted) = (around.env)("BUILDKIT_PROGRESS").filter(|text| !text.is_empty())
        {
            text = wanted;
        }
        Ok(match text.as_str() {
            "auto" | "" if std::io::stderr().is_terminal() => Self::Tty,
            "auto" | "" | "plain" => Self::Plain,
            "tty" if std::io::stderr().is_terminal() => Self::Tty,
            "tty" => {
                return Err(CliError::Invalid(
                    "failed to get console: standard error is no terminal".to_owned(),
                ));
            }
            "rawjson" => Self::Json,
            "none" | "quiet" => Self::Quiet,
            other => {
                return Err(CliError::Invalid(format!(
                    "invalid progress mode {other}: auto, none, plain, quiet, rawjson or tty is expected"
                )));
            }
        })
    }
}

/// A build as it is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    trace: Trace,
    display: Display,
}

#[derive(Debug)]
enum Display {
    Plain(plain::Plain),
    Tty(tty::Tty),
    Json,
    Quiet,
}

impl Shown {
    /// Nothing has happened yet.
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            trace: Trace::default(),
            display: match mode {
                Mode::Plain => Display::Plain(plain::Plain::default()),
                Mode::Tty => Display::Tty(tty::Tty::new()),
                Mode::Json => Display::Json,
                Mode::Quiet => Display::Quiet,
            },
        }
    }

    /// Something has happened.
    pub(super) fn update(&mut self, status: StatusResponse) {
        if let Display::Json = self.display {
            write(&json::line(&status));
        }
        self.trace.update(status);
        if let Display::Plain(plain) = &mut self.display {
            write(&plain.print(&mut self.trace));
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self) {
        if let Display::Tty(tty) = &mut self.display {
            write(&tty.draw(&self.trace, false));
        }
    }

    /// Nothing more happens. Tells what was likely not meant.
    pub(super) fn finish(&mut self, questions: bool, details: bool) {
        match &mut self.display {
            Display::Plain(plain) => write(&plain.finish(&mut self.trace)),
            Display::Tty(tty) => write(&tty.draw(&self.trace, true)),
            Display::Json | Display::Quiet => {}
        }
        if matches!(self.display, Display::Plain(_) | Display::Tty(_)) {
            write(&failed(&self.trace));
            if !questions {
                write(&warned(&self.trace.warnings, details));
            }
        }
    }
}

/// To standard error; nobody can be told if that fails.
fn write(text: &str) {
    use std::io::Write as _;
    if !text.is_empty() {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }
}

/// The last lines of what failed.
fn failed(trace: &Trace) -> String {
    let mut text = String::new();
    for step in &trace.steps {
        if step.error.is_empty() || step.error.ends_with("context canceled") {
            continue;
        }
        text.push_str(&format!("------\n > {}:\n", step.name));
        for line in &step.last {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("------\n");
    }
    text
}

fn warned(warnings: &[VertexWarning], details: bool) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let count = match warnings.len() {
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    let more = if details {
        ""
    } else {
        " (use brig --debug to expand)"
    };
    let mut text = format!("\n {count} found{more}:\n");
    for warning in warnings {
        let short = String::from_utf8_lossy(&warning.short);
        text.push_str(&format!(" - {short}\n"));
        if !details {
            continue;
        }
        for line in &warning.detail {
            text.push_str(&format!("{}\n", String::from_utf8_lossy(line)));
        }
        if !warning.url.is_empty() {
            text.push_str(&format!("More info: {}\n", warning.url));
        }
        if let Some(info) = &warning.info {
            let line = |place: Option<buildkit::pb::Position>| place.map_or(0, |p| p.line.into());
            let ranges = warning.ranges.iter();
            let ranges: Vec<(i64, i64)> = ranges
                .map(|range| (line(range.start), line(range.end)))
                .collect();
            let source = super::failure::excerpt(&info.filename, &info.data, &ranges);
            text.push_str(&source);
        }
        text.push('\n');
    }
    text
}
