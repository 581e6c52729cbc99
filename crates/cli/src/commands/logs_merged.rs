//! `logs` of several containers, or of lines that fit a pattern: each line with its time, the earliest
//! first.
//!
//! What there is already is merged; what is written meanwhile follows as it comes.

use std::collections::VecDeque;
use std::io::{self, Write};

use api::client::{Client, Download, LogsQuery};
use api::stream::{Decoder, Source};
use tokio::sync::mpsc;

use super::Context;
use crate::args::containers::LogsArgs;
use crate::error::CliError;

/// Lines of one container that wait for those of another.
const AHEAD: usize = 256;

pub(super) async fn run(
    args: &LogsArgs,
    query: &LogsQuery,
    context: &Context,
) -> Result<u8, CliError> {
    let client = &context.daemon.client;
    let mut show = Show::new(args);
    let past = LogsQuery {
        follow: false,
        timestamps: true,
        ..query.clone()
    };
    let mut logs = Vec::new();
    for name in &args.names {
        logs.push(Log::open(client, name, &past).await?);
    }
    let last = merge(&mut logs, &mut show).await?;
    if args.follow {
        follow(client, args, &past, &last, &mut show).await?;
    }
    Ok(0)
}

/// Shows lines of all in their order, and answers with the time of the last of each.
async fn merge(logs: &mut [Log], show: &mut Show) -> Result<Vec<Option<String>>, CliError> {
    let mut last = vec![None; logs.len()];
    let mut heads = VecDeque::new();
    for log in &mut *logs {
        heads.push_back(log.next().await?);
    }
    loop {
        let times = heads.iter().enumerate();
        let times = times.filter_map(|(at, head)| Some((&head.as_ref()?.time, at)));
        let Some((_, first)) = times.min() else {
            return Ok(last);
        };
        if let Some(line) = std::mem::take(&mut heads[first]) {
            show.line(first, &line)?;
            last[first] = Some(line.time);
        }
        heads[first] = logs[first].next().await?;
    }
}

/// Shows what comes after what was shown.
async fn follow(
    client: &Client,
    args: &LogsArgs,
    past: &LogsQuery,
    last: &[Option<String>],
    show: &mut Show,
) -> Result<(), CliError> {
    let (send, mut lines) = mpsc::channel(AHEAD);
    for (number, name) in args.names.iter().enumerate() {
        let query = LogsQuery {
            follow: true,
            ..match &last[number] {
                None => past.clone(),
                Some(time) => LogsQuery {
                    since: Some(time.clone()),
                    tail: None,
                    ..past.clone()
                },
            }
        };
        let mut log = Log::open(client, name, &query).await?;
        let (send, shown) = (send.clone(), last[number].clone());
        tokio::spawn(async move {
            loop {
                let line = match log.next().await {
                    Ok(Some(line)) if Some(&line.time) == shown.as_ref() => continue,
                    Ok(Some(line)) => Ok((number, line)),
                    Ok(None) => return,
                    Err(error) => Err(error),
                };
                let broken = line.is_err();
                if send.send(line).await.is_err() || broken {
                    return;
                }
            }
        });
    }
    drop(send);
    while let Some(line) = lines.recv().await {
        let (number, line) = line?;
        show.line(number, &line)?;
    }
    Ok(())
}

/// One line of a container.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// As the daemon writes it: texts of one length, so that they are in order as the times are.
    time: String,
    stderr: bool,
    text: Vec<u8>,
}

/// A log as it comes.
struct Log {
    download: Download,
    lines: Lines,
}

impl Log {
    async fn open(client: &Client, name: &str, query: &LogsQuery) -> Result<Self, CliError> {
        let download = client.container_logs(name, query).await?;
        let framed = download.content_type != api::stream::RAW;
        Ok(Self {
            download,
            lines: Lines::new(framed),
        })
    }

    async fn next(&mut self) -> Result<Option<Line>, CliError> {
        loop {
            if let Some(line) = self.lines.ready.pop_front() {
                return Ok(Some(line));
            }
            match self.download.chunks.next().await? {
                Some(bytes) => self.lines.push(&bytes).map_err(written)?,
                None => return Ok(self.lines.rest()),
            }
        }
    }
}

/// Bytes become lines, those of each stream by themselves.
#[derive(Debug)]
struct Lines {
    /// None takes everything as output, as with a terminal.
    decoder: Option<Decoder>,
    unfinished: [Vec<u8>; 2],
    ready: VecDeque<Line>,
}

impl Lines {
    fn new(framed: bool) -> Self {
        Self {
            decoder: framed.then(Decoder::default),
            unfinished: [Vec::new(), Vec::new()],
            ready: VecDeque::new(),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(mut decoder) = self.decoder.take() else {
            self.take(false, bytes);
            return Ok(());
        };
        decoder.push(bytes);
        let bad = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while let Some(frame) = decoder.next().map_err(bad)? {
            let stderr = matches!(frame.source, Source::Stderr | Source::Daemon);
            self.take(stderr, &frame.bytes);
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    fn take(&mut self, stderr: bool, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let unfinished = &mut self.unfinished[usize::from(stderr)];
            unfinished.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(unfinished);
                self.ready.push_back(split(stderr, &line));
            }
        }
    }

    /// What the log ends with has no newline.
    fn rest(&mut self) -> Option<Line> {
        let stderr = self.unfinished[0].is_empty();
        let line = std::mem::take(&mut self.unfinished[usize::from(stderr)]);
        (!line.is_empty()).then(|| split(stderr, &line))
    }
}

fn split(stderr: bool, line: &[u8]) -> Line {
    let at = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
    Line {
        time: String::from_utf8_lossy(&line[..at]).into_owned(),
        stderr,
        text: line.get(at + 1..).unwrap_or_default().to_vec(),
    }
}

/// How lines are shown.
struct Show {
    /// In front of the lines of each.
    prefixes: Vec<String>,
    pattern: Option<String>,
    timestamps: bool,
}

impl Show {
    fn new(args: &LogsArgs) -> Self {
        let width = args.names.iter().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0);
        let prefix = |name: &String| format!("{name:width$} | ");
        Self {
            prefixes: match args.names.len() {
                1 => vec![String::new()],
                _ => args.names.iter().map(prefix).collect(),
            },
            pattern: args.grep.clone(),
            timestamps: args.timestamps,
        }
    }

    fn line(&self, number: usize, line: &Line) -> Result<(), CliError> {
        let Some(text) = self.text(number, line) else {
            return Ok(());
        };
        let shown = match line.stderr {
            true => io::stderr().write_all(&text),
            false => io::stdout().write_all(&text),
        };
        shown.map_err(written)
    }

    /// None if it does not fit.
    fn text(&self, number: usize, line: &Line) -> Option<Vec<u8>> {
        if let Some(pattern) = &self.pattern {
            let text = String::from_utf8_lossy(&line.text);
            let text = text.trim_end_matches(['\r', '\n']);
            if !types::pattern::matches(pattern, text) {
                return None;
            }
        }
        let mut text = self.prefixes[number].clone().into_bytes();
        if self.timestamps {
            text.extend_from_slice(line.time.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(&line.text);
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        Some(text)
    }
}

fn written(source: io::Error) -> CliError {
    CliError::Io {
        what: "show the logs",
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_any_pieces_become_lines() {
        let mut bytes = Vec::new();
        api::stream::encode(Source::Stdout, b"T1 one\nT2 tw", &mut bytes);
        api::stream::encode(Source::Stderr, b"T3 error\n", &mut bytes);
        api::stream::encode(Source::Stdout, b"o\nT4 end", &mut bytes);
        for piece in 1..bytes.len() {
            let mut lines = Lines::new(true);
            for part in bytes.chunks(piece) {
                lines.push(part).unwrap();
            }
            let rest = lines.rest();
            let all: Vec<String> = lines
                .ready
                .iter()
                .chain(&rest)
                .map(|l| {
                    format!(
                        "{} {} {:?}",
                        l.time,
                        l.stderr,
                        String::from_utf8_lossy(&l.text)
                    )
                })
                .collect();
            let expected = [
                r#"T1 false "one\n""#,
                r#"T3 true "error\n""#,
                r#"T2 false "two\n""#,
                r#"T4 false "end""#,
            ];
            assert_eq!(all, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn lines_are_shown_by_name_and_pattern() {
        let show = Show {
            prefixes: vec!["a   | ".to_owned(), "long | ".to_owned()],
            pattern: Some("^b.d$".to_owned()),
            timestamps: true,
        };
        let line = |text: &[u8]| Line {
            time: "T".to_owned(),
            stderr: false,
            text: text.to_vec(),
        };
        assert_eq!(show.text(0, &line(b"bed\n")).unwrap(), b"a   | T bed\n");
        assert_eq!(show.text(1, &line(b"bad")).unwrap(), b"long | T bad\n");
        assert_eq!(show.text(1, &line(b"good\n")), None);
    }
}
