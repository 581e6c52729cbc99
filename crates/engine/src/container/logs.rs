//! `logs`: the log is read here and streamed through a channel; the shim goes on writing it.
//!
//! Following waits for inotify(7) events of the container's directory and for the container's end;
//! the reading is over when the container has ended and all it wrote has been read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shim::log::{Filter, ReadError, Reader, Start, Stream, Verdict};
use sys::inotify::Changes;
use tokio::sync::{mpsc, watch};
use types::{ErrorKind, Lifecycle};

use super::{LogLine, LogLines, LogQuery, log_path, written_log};
use crate::readable::Readable;
use crate::table::{Container, Progress};
use crate::{Engine, Error};

/// Lines sent at once, so that a fast reader is not woken for each.
const BATCH: usize = 128;
/// Batches that wait for a slow client; then the reading waits.
const AHEAD: usize = 4;

/// Where the lines go.
type Lines = mpsc::Sender<Result<Vec<LogLine>, Error>>;

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The driver keeps none.
    #[error("configured logging driver does not support reading")]
    NotKept,
    /// Neither standard output nor standard error is wanted.
    #[error("Bad parameters: you must choose at least one stream")]
    NoStream,
    /// The file cannot be read.
    #[error(transparent)]
    Read(ReadError),
}

impl LogError {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotKept => ErrorKind::Unsupported,
            Self::NoStream => ErrorKind::Invalid,
            Self::Read(error) => error.kind(),
        }
    }
}

/// Reads the log.
pub fn logs(engine: &Engine, who: &str, query: LogQuery) -> Result<LogLines, Error> {
    let container = engine.find(who)?;
    if !query.stdout && !query.stderr {
        return Err(LogError::NoStream.into());
    }
    let path = log_path(engine, &container).ok_or(LogError::NotKept)?;
    Ok(LogReading::new(&container, path, query).begin(engine))
}

/// Reads what was written, also where nobody else may: with the log open, if it is there.
pub(crate) fn read_all(
    engine: &Engine,
    container: &Arc<Container>,
    query: LogQuery,
) -> Result<LogReading, Error> {
    let path = written_log(engine, container).ok_or(LogError::NotKept)?;
    let mut reading = LogReading::new(container, path, query);
    reading.changes = reading.watch()?;
    reading.reader = reading.open_now()?;
    Ok(reading)
}

/// A container that does not run writes nothing to wait for.
fn follows(container: &Container) -> bool {
    matches!(
        container.lifecycle(),
        Lifecycle::Starting { .. } | Lifecycle::Running { .. }
    )
}

/// A log that is going to be read.
pub(crate) struct LogReading {
    path: PathBuf,
    start: Start,
    filter: Filter,
    follow: bool,
    progress: watch::Receiver<Progress>,
    /// What tells of new lines, if they are wanted.
    changes: Option<Changes>,
    /// Where it is read, once it is there.
    reader: Option<Reader>,
}

/// What one batch came to.
struct Batch {
    reader: Reader,
    lines: Vec<LogLine>,
    more: More,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    /// There may be more at once.
    AtOnce,
    /// Not now.
    Later,
    /// Nothing that is wanted will come.
    Never,
}

impl LogReading {
    fn new(container: &Container, path: PathBuf, query: LogQuery) -> Self {
        Self {
            follow: query.follow && follows(container),
            filter: Filter {
                no_stdout: !query.stdout,
                no_stderr: !query.stderr,
                since: query.since,
                until: query.until,
            },
            start: match (query.tail, query.since) {
                (Some(lines), _) => Start::Last(lines),
                (None, Some(time)) => Start::Since(time),
                (None, None) => Start::Beginning,
            },
            progress: container.progress(),
            path,
            changes: None,
            reader: None,
        }
    }

    /// Reads in a task of its own.
    pub(crate) fn begin(self, engine: &Engine) -> LogLines {
        let (send, receive) = mpsc::channel(AHEAD);
        let engine_of_task = engine.clone();
        engine.watch(async move {
            if let Err(error) = self.run(&engine_of_task, &send).await {
                // Nobody listens any more: nobody is to be told.
                drop(send.send(Err(error)).await);
            }
        });
        receive
    }

    async fn run(mut self, engine: &Engine, send: &Lines) -> Result<(), Error> {
        let changes = match self.changes.take() {
            None => self.watch()?,
            changes => changes,
        };
        let changes = changes.map(Readable::new).transpose();
        let changes = changes.map_err(Error::io("watch a log"))?;
        let Some(mut reader) = self.open(engine, changes.as_ref(), send).await? else {
            return Ok(());
        };
        loop {
            // Asked before reading: what is written before the end is read after it was seen.
            let ended = self.ended();
            let batch = self.read(engine, reader).await?;
            reader = batch.reader;
            if !batch.lines.is_empty() && send.send(Ok(batch.lines)).await.is_err() {
                return Ok(());
            }
            match batch.more {
                More::AtOnce => {}
                More::Never => return Ok(()),
                More::Later if !self.follow || ended => return Ok(()),
                More::Later => {
                    if !self.wait(changes.as_ref(), send).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The log is made by the shim: a follower may be there first.
    async fn open(
        &mut self,
        engine: &Engine,
        changes: Option<&Readable<Changes>>,
        send: &Lines,
    ) -> Result<Option<Reader>, Error> {
        if let Some(reader) = self.reader.take() {
            return Ok(Some(reader));
        }
        loop {
            let ended = self.ended();
            let (path, start, follow) = (self.path.clone(), self.start, self.follow);
            let opened = engine.blocking(move |_| open(&path, start, follow)).await?;
            match opened {
                None if self.follow && !ended => {
                    if !self.wait(changes, send).await? {
                        return Ok(None);
                    }
                }
                opened => return Ok(opened),
            }
        }
    }

    fn open_now(&self) -> Result<Option<Reader>, Error> {
        open(&self.path, self.start, self.follow)
    }

    fn ended(&self) -> bool {
        let progress = self.progress.borrow();
        !progress.busy || progress.removed
    }

    async fn read(&self, engine: &Engine, mut reader: Reader) -> Result<Batch, Error> {
        let filter = self.filter;
        engine
            .blocking(move |_| {
                let mut lines = Vec::new();
                let more = fill(&mut reader, &filter, &mut lines).map_err(LogError::Read)?;
                Ok(Batch {
                    reader,
                    lines,
                    more,
                })
            })
            .await
    }

    fn watch(&self) -> Result<Option<Changes>, Error> {
        if !self.follow {
            return Ok(None);
        }
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        let failed = format!("watch the directory {}", dir.display());
        Changes::of_dir(dir)
            .map(Some)
            .map_err(Error::kernel(failed))
    }

    /// Until something may have been written, or the container's state changes. False when nobody
    /// listens any more.
    async fn wait(
        &mut self,
        changes: Option<&Readable<Changes>>,
        send: &Lines,
    ) -> Result<bool, Error> {
        let Some(changes) = changes else {
            return Ok(true);
        };
        tokio::select! {
            drained = changes.read(Changes::drain) => drained
                .map_err(Error::io("wait for a log to grow"))?
                .map_err(Error::kernel("read what changed in a log"))?,
            // A sender that is gone means a container that is gone: `ended` says so.
            changed = self.progress.changed() => if changed.is_err() {
                return Ok(false);
            },
            () = send.closed() => return Ok(false),
        }
        Ok(true)
    }
}

/// Nothing if it is not there. Who does not follow reads what is there now: a container may write faster than
/// anybody reads.
fn open(path: &Path, start: Start, follow: bool) -> Result<Option<Reader>, Error> {
    match Reader::open(path, start) {
        Ok(reader) if follow => Ok(Some(reader)),
        Ok(reader) => Ok(Some(reader.as_it_was())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::Read(error).into()),
    }
}

fn fill(reader: &mut Reader, filter: &Filter, lines: &mut Vec<LogLine>) -> Result<More, ReadError> {
    while lines.len() < BATCH {
        let Some(line) = reader.next_line()? else {
            return Ok(More::Later);
        };
        match filter.judge(&line) {
            Verdict::Unwanted => {}
            Verdict::Past => return Ok(More::Never),
            Verdict::Wanted => lines.push(LogLine {
                stderr: line.stream == Stream::Stderr,
                time: line.time,
                bytes: line.bytes,
            }),
        }
    }
    Ok(More::AtOnce)
}
