//! Messages of progress: bars with rate and time left on a terminal, Docker's plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;

use api::client::Messages;
use api::wire::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::{complain, out};
use crate::error::CliError;

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard output.
    Out,
    /// Standard error: standard output is a command's own.
    Err,
    /// Nowhere; failures are told all the same.
    Nowhere,
}

/// Shows all messages; answers what the stream told programs, the last of it.
///
/// # Errors
/// When the work failed, in the daemon's words, or the connection broke.
pub async fn show(mut messages: Messages, to: To) -> Result<Option<Value>, CliError> {
    let mut screen = Screen::new(to);
    let mut aux = None;
    while let Some(message) = messages.next().await? {
        if let Some(error) = failure(&message) {
            screen.end();
            return Err(error);
        }
        if message.aux.is_some() {
            aux = message.aux;
            continue;
        }
        screen.show(&message)?;
    }
    screen.end();
    Ok(aux)
}

/// What the daemon could only say after its answer's head had been sent.
fn failure(message: &Progress) -> Option<CliError> {
    let text = match &message.error_detail {
        Some(detail) => detail.message.clone(),
        None if message.error.is_empty() => return None,
        None => message.error.clone(),
    };
    Some(CliError::Invalid(text))
}

#[derive(Debug)]
enum Screen {
    Plain(To),
    Terminal(Terminal),
}

impl Screen {
    fn new(to: To) -> Self {
        let target = match to {
            To::Out if std::io::stdout().is_terminal() => ProgressDrawTarget::stdout(),
            To::Err if std::io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
            _ => return Self::Plain(to),
        };
        Self::Terminal(Terminal {
            bars: MultiProgress::with_draw_target(target),
            by_id: HashMap::new(),
        })
    }

    fn show(&mut self, message: &Progress) -> Result<(), CliError> {
        match self {
            Self::Terminal(terminal) => {
                terminal.show(message);
                Ok(())
            }
            Self::Plain(to) => match plain(message) {
                Some(line) => write(*to, &line),
                None => Ok(()),
            },
        }
    }

    fn end(&mut self) {
        if let Self::Terminal(terminal) = self {
            terminal.end();
        }
    }
}

fn write(to: To, line: &str) -> Result<(), CliError> {
    match to {
        To::Out => out(&format!("{line}\n")),
        To::Err => {
            complain(line);
            Ok(())
        }
        To::Nowhere => Ok(()),
    }
}

/// A line without a terminal; how many bytes have moved is not told.
fn plain(message: &Progress) -> Option<String> {
    let moving = message.progress_detail.as_ref();
    if moving.is_some_and(|detail| detail.current > 0 || detail.total > 0) {
        return None;
    }
    let text = match message.stream.as_str() {
        "" => message.status.as_str(),
        stream => stream.trim_end_matches('\n'),
    };
    Some(match message.id.as_str() {
        "" => text.to_owned(),
        id => format!("{id}: {text}"),
    })
}

/// One line for each layer.
#[derive(Debug)]
struct Terminal {
    bars: MultiProgress,
    by_id: HashMap<String, ProgressBar>,
}

const WORDS: &str = "{prefix}: {msg}";
const BAR: &str = "{prefix}: {msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}, {eta} left";

impl Terminal {
    fn show(&mut self, message: &Progress) {
        let detail = match &message.progress_detail {
            Some(detail) if !message.id.is_empty() => detail,
            _ => {
                if let Some(line) = plain(message) {
                    // A terminal that is gone is noticed by what is printed next.
                    let _ = self.bars.println(line);
                }
                return;
            }
        };
        let bar = self.by_id.entry(message.id.clone()).or_insert_with(|| {
            let bar = ProgressBar::new(0).with_prefix(message.id.clone());
            bar.set_style(style(WORDS));
            self.bars.add(bar)
        });
        bar.set_message(message.status.clone());
        if detail.total > 0 {
            let total = detail.total.unsigned_abs();
            if bar.length() != Some(total) {
                bar.reset_eta();
                bar.set_length(total);
                bar.set_style(style(BAR));
            }
            bar.set_position(detail.current.unsigned_abs());
        } else {
            bar.set_style(style(WORDS));
            bar.tick();
        }
    }

    /// What is shown stays.
    fn end(&mut self) {
        for bar in self.by_id.values() {
            bar.disable_steady_tick();
            bar.abandon();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    // Both templates are constants; a test renders them.
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use api::wire::ProgressDetail;

    use super::*;

    fn message(id: &str, status: &str, detail: Option<(i64, i64)>) -> Progress {
        Progress {
            id: id.into(),
            status: status.into(),
            progress_detail: detail.map(|(current, total)| ProgressDetail { current, total }),
            ..Progress::default()
        }
    }

    #[test]
    fn lines_without_a_terminal_are_dockers() {
        let lines: Vec<String> = [
            message("latest", "Pulling from a/b", None),
            message("0a", "Pulling fs layer", Some((0, 0))),
            message("0a", "Downloading", Some((0, 10))),
            message("0a", "Downloading", Some((5, 10))),
            message("0a", "Pull complete", Some((0, 0))),
            message("", "Digest: sha256:0", None),
        ]
        .iter()
        .filter_map(plain)
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        latest: Pulling from a/b
        0a: Pulling fs layer
        0a: Pull complete
        Digest: sha256:0
        ");
    }

    #[test]
    fn the_templates_are_good() {
        for template in [WORDS, BAR] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
