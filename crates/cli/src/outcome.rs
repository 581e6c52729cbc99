//! A container's exit code, asked for in a way that survives the daemon: when the connection breaks
//! the question is asked again, of the same daemon started anew if need be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::client::{Error, Waiting};
use api::wire::ContainerWaitResponse;

use crate::connect::Daemon;
use crate::error::CliError;

/// How long a daemon may stay away once the container's streams have ended.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// The question as it was first asked.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    daemon: &'a Daemon,
    id: &'a str,
    /// Whether the container removes itself: the answer comes when it is gone.
    removed: bool,
}

/// Whose exit code is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Of one that was being started when the daemon went away.
    Begun,
    /// Of one that was known to run.
    Started,
}

impl<'a> Question<'a> {
    /// About this container.
    pub(crate) fn new(daemon: &'a Daemon, id: &'a str, removed: bool) -> Self {
        Self {
            daemon,
            id,
            removed,
        }
    }

    /// Asks; the daemon watches when this returns. `next` asks for an exit that is still to come.
    pub(crate) async fn ask(&self, next: bool) -> Result<Waiting<'a>, CliError> {
        Ok(self
            .daemon
            .client
            .container_wait(self.id, Some(self.condition(next)))
            .await?)
    }

    /// The same about one that is being started by the request that made it; fails as that start does. None when
    /// the daemon goes away meanwhile: the container may run, with a shim that serves its streams.
    pub(crate) async fn ask_begun(&self) -> Result<Option<Waiting<'a>>, CliError> {
        match self.begun().await {
            Ok(waiting) => Ok(Some(waiting)),
            Err(error @ Error::Refused { .. }) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// The same, of the next daemon.
    pub(crate) async fn ask_begun_again(
        &self,
        ended: &AtomicBool,
    ) -> Result<Waiting<'a>, CliError> {
        self.again(ended, About::Begun).await
    }

    async fn begun(&self) -> Result<Waiting<'a>, Error> {
        let client = &self.daemon.client;
        client
            .container_wait_begun(self.id, self.condition(true))
            .await
    }

    fn condition(&self, next: bool) -> &'static str {
        match (self.removed, next) {
            (true, _) => "removed",
            (false, true) => "next-exit",
            (false, false) => "not-running",
        }
    }

    /// The exit code. `ended` is set once the container's streams are over: from then on the
    /// daemon is not waited for without end.
    pub(crate) async fn answer(
        &self,
        first: Waiting<'a>,
        ended: &AtomicBool,
    ) -> Result<u8, CliError> {
        self.answer_number(first, ended).await.map(low_byte)
    }

    /// The same, as the daemon wrote it.
    pub(crate) async fn answer_number(
        &self,
        first: Waiting<'a>,
        ended: &AtomicBool,
    ) -> Result<i64, CliError> {
        let mut waiting = first;
        loop {
            match waiting.done().await {
                Ok(response) => return code(response),
                Err(error @ Error::Refused { .. }) => return Err(error.into()),
                Err(_) => waiting = self.ask_again(ended).await?,
            }
        }
    }

    async fn ask_again(&self, ended: &AtomicBool) -> Result<Waiting<'a>, CliError> {
        self.again(ended, About::Started).await
    }

    /// Asks until a daemon answers.
    async fn again(&self, ended: &AtomicBool, about: About) -> Result<Waiting<'a>, CliError> {
        let mut deadline = None;
        let mut revived = false;
        loop {
            let condition = Some(self.condition(false));
            let answer = match about {
                About::Begun => self.begun().await,
                About::Started => self.daemon.client.container_wait(self.id, condition).await,
            };
            match answer {
                Ok(waiting) => return Ok(waiting),
                Err(Error::Refused { status: 404, .. }) => return Err(self.unknown("removed it")),
                Err(error @ Error::Refused { .. }) => return Err(error.into()),
                Err(_) => {}
            }
            if ended.load(Ordering::Relaxed) {
                if !revived {
                    revived = true;
                    // It says itself why it cannot be started; others may still start it.
                    if let Err(error) = self.daemon.revive().await {
                        crate::print::complain(&format!("brig: {error}"));
                    }
                }
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                if Instant::now() > deadline {
                    return Err(self.unknown("did not come back"));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn unknown(&self, what: &str) -> CliError {
        CliError::Connection(format!(
            "the daemon went away while container {} ran and {what}: its exit code is not known",
            self.id
        ))
    }
}

/// What the daemon says about the end.
fn code(response: ContainerWaitResponse) -> Result<i64, CliError> {
    match response.error {
        Some(error) if !error.message.is_empty() => Err(CliError::Daemon {
            message: error.message,
            kind: types::ErrorKind::Internal,
        }),
        _ => Ok(response.status_code),
    }
}

/// Exit codes are a byte.
pub(crate) fn low_byte(code: i64) -> u8 {
    code.to_le_bytes()[0]
}
