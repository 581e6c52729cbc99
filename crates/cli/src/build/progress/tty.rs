//! A build in place: a line a step with its time, and below those at work what they are at and the last
//! lines they have printed.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::trace::{Step, Trace, measure, seconds};

/// The last lines of a step that are shown.
const LINES: usize = 6;
/// The narrowest terminal for which lines are made.
const NARROWEST: usize = 20;

const BLUE: &str = "\x1b[34m";
const RED: &str = "\x1b[31m";
const FAINT: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
/// Clears what is right of here, and below.
const CLEAR: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What is on the terminal.
#[derive(Debug)]
pub(super) struct Tty {
    /// Lines that were drawn, and are drawn over.
    drawn: usize,
    started: i128,
    color: bool,
}

/// A line, and how it looks.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    left: String,
    right: String,
    color: &'static str,
}

fn now() -> i128 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.map_or(0, |age| i128::try_from(age.as_nanos()).unwrap_or(0))
}

impl Tty {
    /// Nothing is drawn yet.
    pub(super) fn new() -> Self {
        Self {
            drawn: 0,
            started: now(),
            color: std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// What has to be written to draw everything anew.
    pub(super) fn draw(&mut self, trace: &Trace, ended: bool) -> String {
        let (rows, columns) = crate::terminal::error_window().unwrap_or((24, 80));
        let (rows, columns) = (
            usize::from(rows).max(4),
            usize::from(columns).max(NARROWEST),
        );
        let now = now();
        let mut lines = vec![self.head(trace, now, ended)];
        let room = if ended { usize::MAX } else { rows - 2 };
        lines.extend(body(trace, now, room));
        let mut text = String::new();
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        text.push('\r');
        for line in &lines {
            self.line(line, columns, &mut text);
        }
        text.push_str(CLEAR_BELOW);
        self.drawn = lines.len();
        text
    }

    fn head(&self, trace: &Trace, now: i128, ended: bool) -> Line {
        let known = trace.steps.iter().filter(|step| step.started.is_some());
        let known = known.count();
        let done = trace.steps.iter().filter(|step| step.completed.is_some());
        let done = done.count();
        let took = seconds(now - self.started);
        let state = if ended { " FINISHED" } else { "" };
        Line {
            left: format!("[+] Building {took:.1}s ({done}/{known}){state}"),
            right: String::new(),
            color: "",
        }
    }

    fn line(&self, line: &Line, columns: usize, text: &mut String) {
        let right = line.right.chars().count();
        let left = fit(&line.left, columns.saturating_sub(right + 2));
        let gap = columns.saturating_sub(left.chars().count() + right + 1);
        let (on, off) = match self.color && !line.color.is_empty() {
            true => (line.color, PLAIN),
            false => ("", ""),
        };
        let gap = if right == 0 { 0 } else { gap };
        let _ = write!(text, "{on}{left}{:gap$}{}{off}{CLEAR}\r\n", "", line.right);
    }
}

/// Cut to a width; what would move the cursor is left out.
fn fit(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c == '\t' { ' ' } else { c });
    let clean: String = clean.filter(|c| !c.is_control()).collect();
    match clean.chars().count() > width {
        false => clean,
        true => {
            let kept: String = clean.chars().take(width.saturating_sub(3)).collect();
            format!("{kept}...")
        }
    }
}

/// Lines of all steps, those that matter most where there is no room for all.
fn body(trace: &Trace, now: i128, room: usize) -> Vec<Line> {
    let known: Vec<&Step> = trace
        .steps
        .iter()
        .filter(|step| step.started.is_some() || step.completed.is_some())
        .collect();
    let mut blocks: Vec<(bool, Vec<Line>)> = known
        .iter()
        .map(|step| (step.runs(), of(step, now)))
        .collect();
    let mut count: usize = blocks.iter().map(|(_, lines)| lines.len()).sum();
    // First goes what steps that are done were at, then they themselves, then lines of those at work.
    for (runs, lines) in &mut blocks {
        if count > room && !*runs {
            count -= lines.len() - 1;
            lines.truncate(1);
        }
    }
    for (runs, lines) in &mut blocks {
        if count > room && !*runs {
            count -= lines.len();
            lines.clear();
        }
    }
    for (_, lines) in &mut blocks {
        if count > room {
            count -= lines.len().saturating_sub(1);
            lines.truncate(1);
        }
    }
    let mut lines: Vec<Line> = blocks.into_iter().flat_map(|(_, lines)| lines).collect();
    lines.truncate(room);
    lines
}

fn of(step: &Step, now: i128) -> Vec<Line> {
    let (mark, color) = match () {
        () if step.error.ends_with("context canceled") => ("CANCELED ", FAINT),
        () if !step.error.is_empty() => ("ERROR ", RED),
        () if step.cached => ("CACHED ", BLUE),
        () if step.completed.is_some() => ("", BLUE),
        () => ("", ""),
    };
    let time = format!("{:.1}s", step.seconds(now));
    let mut lines = vec![Line {
        left: format!(" => {mark}{}", step.name),
        right: time,
        color,
    }];
    for shown in &step.statuses {
        let (bytes, time) = measure(&shown.status);
        let time = if time.is_empty() {
            " 0.0s".to_owned()
        } else {
            time
        };
        lines.push(Line {
            left: format!(" => => {}{bytes}", shown.status.id),
            right: time.trim_start().to_owned(),
            color,
        });
    }
    if step.runs() {
        let skipped = step.last.len().saturating_sub(LINES);
        lines.extend(step.last.iter().skip(skipped).map(|line| Line {
            left: format!(" => => # {line}"),
            right: String::new(),
            color: FAINT,
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, started: i128, completed: Option<i128>) -> Step {
        Step {
            name: name.to_owned(),
            started: Some(started),
            completed,
            ..Step::default()
        }
    }

    fn shown(trace: &Trace, room: usize) -> String {
        let lines = body(trace, 3_000_000_000, room).into_iter();
        let lines = lines.map(|line| format!("{}|{}", line.left, line.right));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn steps_at_work_keep_their_lines_longest() {
        let mut working = step("[2/3] RUN make", 1_000_000_000, None);
        working.last = (0..8).map(|n| format!("0.{n} line {n}")).collect();
        let trace = Trace {
            steps: vec![step("[1/3] FROM bb", 0, Some(500_000_000)), working],
            ..Trace::default()
        };
        insta::assert_snapshot!(shown(&trace, 20), @r"
         => [1/3] FROM bb|0.5s
         => [2/3] RUN make|2.0s
         => => # 0.2 line 2|
         => => # 0.3 line 3|
         => => # 0.4 line 4|
         => => # 0.5 line 5|
         => => # 0.6 line 6|
         => => # 0.7 line 7|
        ");
        assert_eq!(shown(&trace, 1), " => [2/3] RUN make|2.0s");
    }

    #[test]
    fn lines_fit() {
        assert_eq!(fit("a\tb\x1b[2J", 80), "a b[2J");
        assert_eq!(fit("0123456789", 8), "01234...");
    }
}
