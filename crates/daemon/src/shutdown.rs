//! Signals, and the end of the daemon: what has an end is finished, what has none is let go of,
//! containers go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;

/// How long connections may take to write out their last answers.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);

/// Signals that the daemon heeds.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    upgrade: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Stop,
    Reload,
    Upgrade,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.reload.recv() => Asked::Reload,
            _ = self.upgrade.recv() => Asked::Upgrade,
        }
    }
}

/// Ends all connections: those with a request that has an end get its answer.
pub(crate) async fn finish(
    app: &Arc<App>,
    stop: &watch::Sender<bool>,
    mut connections: JoinSet<()>,
) {
    // Nobody may be listening any more.
    let _ = stop.send(true);
    let idle = async {
        app.busy.idle().await;
        // Who has been answered is given the time to write the answer out.
        let written = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, written).await;
    };
    let patience = app.live().patience;
    if tokio::time::timeout(patience, idle).await.is_err() {
        tracing::warn!("some requests were cut off after {} s", patience.as_secs());
    }
    connections.shutdown().await;
    app.close().await;
}
