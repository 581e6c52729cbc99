//! Sends what containers write to syslog, journald, GELF and Fluentd servers.
//!
//! The shim writes every log to files, which `logs` reads whatever the driver is; one task a container
//! reads them as they grow and sends each line on. So no server that is slow or away holds up a
//! container, and nothing is lost while the daemon is away, as long as the files hold it. How far it has
//! come is kept beside the log: after a crash of the daemon a line may be sent twice, and none is left out.

mod fluentd;
mod gelf;
mod journald;
mod place;
mod sink;
mod syslog;
mod tls;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use self::place::Place;
use self::sink::{About, Line, Sink};
pub use self::tls::TlsError;
pub(crate) use self::tls::check;
use crate::container::{self, LogQuery, LogReading};
use crate::table::{Container, Progress};
use crate::{Engine, Error};

/// Before lines are sent again, at first and at last.
const FIRST: Duration = Duration::from_millis(200);
const LAST: Duration = Duration::from_secs(20);

/// How often the lines of a container that is gone are tried.
const TRIES: u32 = 10;

/// Sends on what a container writes, until it has ended. One that does so already goes on.
pub(crate) fn begin(engine: &Engine, container: &Arc<Container>) {
    let Some(sink) = Sink::new(&container.fixed.spec.log) else {
        return;
    };
    if std::mem::replace(&mut container.live().forwards, true) {
        return;
    }
    let dir = engine.storage().container_dir(container.id());
    let kept = dir.join("forwarded");
    let forwarder = Forwarder {
        engine: engine.clone(),
        place: Place::read(&kept),
        progress: container.progress(),
        container: container.clone(),
        sink,
        kept,
    };
    // Opened here: a container that goes when it ends takes the log with it.
    let reading = forwarder.reading();
    engine.watch(forwarder.run(reading));
}

/// After the daemon's start: what containers wrote that have ended meanwhile.
pub(crate) fn resume(engine: &Engine) {
    for container in engine.table().all() {
        if !container.progress().borrow().busy {
            begin(engine, &container);
        }
    }
}

struct Forwarder {
    engine: Engine,
    container: Arc<Container>,
    progress: Receiver<Progress>,
    sink: Sink,
    kept: PathBuf,
    place: Place,
}

impl Forwarder {
    fn reading(&self) -> Result<LogReading, Error> {
        let query = LogQuery {
            follow: true,
            stdout: true,
            stderr: true,
            since: Some(self.place.time()),
            ..LogQuery::default()
        };
        container::read_all(&self.engine, &self.container, query)
    }

    async fn run(mut self, mut reading: Result<LogReading, Error>) {
        loop {
            let done = match reading {
                Ok(reading) => self.send(reading).await,
                Err(error) => Err(error),
            };
            if let Err(error) = &done {
                tracing::warn!(container = %self.container.id(), error = %error.chain(),
                    "the log of a container is not sent on any further");
            }
            // It may have been started again meanwhile.
            let mut live = self.container.live();
            if done.is_err() || !self.progress.borrow().busy {
                live.forwards = false;
                return;
            }
            drop(live);
            reading = self.reading();
        }
    }

    /// Reads and sends until the container has ended.
    async fn send(&mut self, reading: LogReading) -> Result<(), Error> {
        let mut lines = reading.begin(&self.engine);
        let begun = self.place;
        let mut known = begun.count();
        while let Some(batch) = lines.recv().await {
            let mut batch = batch?;
            batch.retain(|line| {
                let sent = line.time == begun.time() && known > 0;
                known -= u64::from(sent);
                !sent
            });
            let about = About::of(&self.engine, &self.container);
            let messages = batch
                .iter()
                .map(|line| self.sink.message(&about, &Line::of(line)));
            let mut messages = messages.collect();
            self.deliver(&mut messages).await?;
            for line in &batch {
                self.place = self.place.after(line.time);
            }
            self.keep();
        }
        Ok(())
    }

    /// Tries until all is sent, or the container is gone and nobody takes it.
    async fn deliver(&mut self, messages: &mut sink::Messages) -> Result<(), Error> {
        let mut wait = FIRST;
        let mut tries = 0;
        while let Err(error) = self.sink.send(messages).await {
            if wait == FIRST {
                tracing::warn!(container = %self.container.id(), %error,
                    driver = self.container.fixed.spec.log.driver, "a log cannot be sent on yet");
            }
            let gone = self.progress.borrow().removed;
            tries += u32::from(gone);
            if tries > TRIES {
                return Err(Error::io("send a line of a log")(error));
            }
            if gone {
                tokio::time::sleep(FIRST).await;
            } else {
                let removed = self.progress.wait_for(|p| p.removed);
                drop(tokio::time::timeout(wait, removed).await);
            }
            wait = (wait * 2).min(LAST);
        }
        Ok(())
    }

    fn keep(&self) {
        // With a container that is gone its place is.
        if let Err(error) = self.place.write(&self.kept)
            && !self.progress.borrow().removed
        {
            tracing::warn!(container = %self.container.id(), %error,
                "cannot keep how far a log has been sent");
        }
    }
}
