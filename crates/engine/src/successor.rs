//! What an engine leaves to the one after it that is in memory only, when a newer daemon takes its place without
//! clients noticing: sessions of exec, and clients that wait for a container's start. All else is in the store, and
//! with the shims.

use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use shim::AttachOptions;
use types::ContainerId;

use crate::exec::Remembered;
use crate::table::Pending;
use crate::{Engine, exec};

/// What is left.
#[derive(Debug, Default)]
pub struct Left {
    /// Clients of containers that have not been started.
    pub clients: Vec<Waiting>,
    /// In words of the engine's own.
    pub sessions: serde_json::Value,
}

/// A client that waits for a container's start.
#[derive(Debug)]
pub struct Waiting {
    /// Its connection.
    pub connection: UnixStream,
    /// Whose start, and what it wants of it, in words of the engine's own.
    pub wanted: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    container: ContainerId,
    options: AttachOptions,
}

impl Engine {
    /// Lets go of all containers as [`Engine::close`] does, and leaves networks and everything else as it is.
    pub async fn leave(&self) -> Left {
        self.let_go().await;
        let mut clients = Vec::new();
        for container in self.table().all() {
            for pending in std::mem::take(&mut container.live().pending) {
                let wanted = Wanted {
                    container: container.id().clone(),
                    options: pending.options,
                };
                clients.push(Waiting {
                    connection: pending.client,
                    // Plain values: there is nothing in them that JSON has not.
                    wanted: serde_json::to_value(wanted).unwrap_or_default(),
                });
            }
        }
        let sessions = exec::remembered(self);
        Left {
            clients,
            sessions: serde_json::to_value(sessions).unwrap_or_default(),
        }
    }

    /// Takes what another one has left; what it says of containers that are gone is passed over.
    pub fn take_over(&self, left: Left) {
        // Without a predecessor there is nothing at all.
        let sessions: Option<Vec<Remembered>> = match serde_json::from_value(left.sessions) {
            Ok(sessions) => sessions,
            Err(error) => {
                tracing::error!("sessions of exec are forgotten: {error}");
                None
            }
        };
        let sessions = sessions.unwrap_or_default();
        exec::take_over(self, sessions);
        for waiting in left.clients {
            let wanted: Wanted = match serde_json::from_value(waiting.wanted) {
                Ok(wanted) => wanted,
                Err(error) => {
                    tracing::error!("a client is let go of: {error}");
                    continue;
                }
            };
            if let Ok(container) = self.find(wanted.container.as_str()) {
                container.live().pending.push(Pending {
                    client: waiting.connection,
                    options: wanted.options,
                });
            }
        }
    }
}
