//! The typed client: one method an operation.
//!
//! Made for a local socket and a short life. One idle connection is kept for the next call; calls at
//! the same time get connections of their own. There is no ping before the first call: the newest
//! version is spoken, and only a daemon that refuses it makes the call go out a second time.
//!
//! Methods that stream return when the answer's head is there.

mod body;
mod builds;
mod connect;
mod containers;
mod error;
mod exec;
mod hijack;
mod images;
mod networks;
mod request;
mod secrets;
mod system;
mod volumes;

use std::sync::Mutex;

use crate::Version;

pub use body::{Body, Chunks, Download};
pub use builds::{BuildPruneQuery, Session, SessionOffer};
pub use connect::{Dial, Dialer, Endpoint, InvalidEndpoint, Place, Why};
pub use containers::{CommitQuery, ListQuery, LogsQuery, RemoveQuery, StopQuery, Waiting};
pub use error::Error;
pub use hijack::{Attach, Hijacked, Stream};
pub use images::{ImageListQuery, ImportQuery, ManifestQuery, Messages, PullQuery, PushQuery};
pub use system::Ping;

/// Filters of listings: `{"name": ["web"]}`.
pub type Filters = std::collections::BTreeMap<String, Vec<String>>;

/// A daemon to talk to. Needs a tokio runtime.
#[derive(Debug)]
pub struct Client {
    endpoint: Place,
    /// Whether the user pinned it.
    pinned: bool,
    user_agent: String,
    /// Hears of every request and how it was answered.
    observer: Option<fn(&str)>,
    // A std lock: held for a swap, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    version: Version,
    idle: Option<connect::Sender>,
}

impl Client {
    /// A client for the daemon at `endpoint`; nothing is sent yet.
    pub fn new(endpoint: impl Into<Place>) -> Self {
        Self {
            endpoint: endpoint.into(),
            pinned: false,
            user_agent: concat!("Brig-Client/", env!("CARGO_PKG_VERSION"), " (linux)").to_owned(),
            observer: None,
            state: Mutex::new(State {
                version: Version::MAX,
                idle: None,
            }),
        }
    }

    /// Speaks this version only, as `DOCKER_API_VERSION` asks.
    #[must_use]
    pub fn pin(mut self, version: Version) -> Self {
        self.pinned = true;
        self.lock().version = version;
        self
    }

    /// Tells `observer` of every request and how it was answered, in a line each.
    #[must_use]
    pub fn observed(mut self, observer: fn(&str)) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes a connection that is there already for the next call.
    ///
    /// # Errors
    /// When it cannot speak HTTP.
    pub async fn adopt(&self, stream: tokio::net::UnixStream) -> Result<(), Error> {
        let sender = connect::handshake(stream).await?;
        self.lock().idle = Some(sender);
        Ok(())
    }

    /// A connection on which nothing has been said.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn raw(&self) -> Result<Stream, Error> {
        self.endpoint.stream().await
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Place {
        &self.endpoint
    }

    /// The version spoken; lower than the newest once a daemon asked for that.
    pub fn version(&self) -> Version {
        self.lock().version
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned lock guards two plain values: both are good whatever happened.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
