//! A build line by line: one step is told of at a time, the others wait until it is done.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::trace::{Step, Trace, measure};

/// How long others wait for a step that goes on and on.
const PATIENCE: Duration = Duration::from_secs(5);

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// The step that is told of, and since when.
    current: Option<(usize, Instant)>,
    /// The highest number given.
    numbers: usize,
    /// The number that was told last.
    last: usize,
}

impl Plain {
    /// What is new, as text.
    pub(super) fn print(&mut self, trace: &mut Trace) -> String {
        let mut text = String::new();
        let mut changed = std::mem::take(&mut trace.changed);
        let current = self.current.map(|(index, _)| index);
        // The one that is told of first, then those that are done.
        changed.sort_by_key(|index| Some(*index) != current);
        let (ended, going): (Vec<usize>, Vec<usize>) = changed
            .into_iter()
            .partition(|index| trace.steps[*index].completed.is_some());
        for index in ended {
            self.step(index, &mut trace.steps[index], &mut text);
        }
        let mut waiting = Vec::new();
        for index in going {
            let free = match self.current {
                None => true,
                Some((current, since)) => current == index || since.elapsed() > PATIENCE,
            };
            match free {
                true => self.step(index, &mut trace.steps[index], &mut text),
                false => waiting.push(index),
            }
        }
        trace.changed = waiting;
        if self.current.is_none()
            && let Some(index) = trace
                .steps
                .iter()
                .position(|step| step.runs() && step.number == 0)
        {
            trace.changed.retain(|waiting| *waiting != index);
            self.step(index, &mut trace.steps[index], &mut text);
        }
        text
    }

    /// What has waited until now.
    pub(super) fn finish(&mut self, trace: &mut Trace) -> String {
        let mut text = String::new();
        for index in std::mem::take(&mut trace.changed) {
            self.step(index, &mut trace.steps[index], &mut text);
        }
        text
    }

    fn step(&mut self, index: usize, step: &mut Step, text: &mut String) {
        if step.number == 0 {
            self.numbers += 1;
            step.number = self.numbers;
        }
        let number = step.number;
        let current = self.current.map(|(current, _)| current);
        if current != Some(index) {
            match (current, self.last) {
                (Some(_), last) => {
                    let _ = writeln!(text, "#{last} ...\n");
                }
                (None, 0) => {}
                (None, _) => text.push('\n'),
            }
            let _ = writeln!(text, "#{number} {}", step.name);
            self.current = Some((index, Instant::now()));
            self.last = number;
        }
        for shown in step.statuses.iter_mut().filter(|shown| shown.changed) {
            shown.changed = false;
            let (bytes, time) = measure(&shown.status);
            let done = if shown.status.completed.is_some() {
                " done"
            } else {
                ""
            };
            let _ = writeln!(text, "#{number} {}{bytes}{time}{done}", shown.status.id);
        }
        for warning in step.warnings.drain(..) {
            let _ = writeln!(text, "#{number} WARN: {warning}");
        }
        for line in step.lines.drain(..) {
            let _ = writeln!(text, "#{number} {line}");
        }
        if step.completed.is_some() {
            self.current = None;
            let _ = match () {
                () if step.error.ends_with("context canceled") => {
                    writeln!(text, "#{number} CANCELED")
                }
                () if !step.error.is_empty() => writeln!(text, "#{number} ERROR: {}", step.error),
                () if step.cached => writeln!(text, "#{number} CACHED"),
                () => writeln!(text, "#{number} DONE {:.1}s", step.seconds(0)),
            };
        }
    }
}
