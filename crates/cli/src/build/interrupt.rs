//! Signals by which a build is given up: by the keyboard, or by who manages the client.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the client ends then, as if it had died of the keyboard's signal.
pub(super) const CODE: u8 = 130;

/// What arrives of them.
pub(super) struct Interrupt {
    keyboard: Option<Signal>,
    manager: Option<Signal>,
    /// Whether one has come.
    pub(super) come: bool,
}

impl Interrupt {
    /// Listens from now on. Those that cannot be listened to end the client as they always do.
    pub(super) fn listen() -> Self {
        Self {
            keyboard: signal(SignalKind::interrupt()).ok(),
            manager: signal(SignalKind::terminate()).ok(),
            come: false,
        }
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            () = arrival(self.keyboard.as_mut()) => {}
            () = arrival(self.manager.as_mut()) => {}
        }
        self.come = true;
    }
}

async fn arrival(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
