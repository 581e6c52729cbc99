//! Sessions: connections on which clients answer. A build names the one that has its files.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use tokio::sync::watch;

use api::grpc::channel::Channel;

/// How long a build waits for its session, which comes on a connection of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many sessions are there at a time.
const MOST: usize = 1024;

const ID: &str = "x-docker-expose-session-uuid";
const SHARED_KEY: &str = "x-docker-expose-session-sharedkey";
const METHOD: &str = "x-docker-expose-session-grpc-method";

/// What a client says of its session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) id: String,
    /// Sessions with the same key come from the same directory.
    pub(super) shared_key: String,
    /// What it answers.
    methods: HashSet<String>,
}

impl Offer {
    /// Reads the headers of `POST /session`; none when they name no session.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let methods = headers.get_all(METHOD).iter();
        let offer = Self {
            id: text(ID),
            shared_key: text(SHARED_KEY),
            methods: methods
                .filter_map(|value| value.to_str().ok())
                .map(str::to_lowercase)
                .collect(),
        };
        (!offer.id.is_empty()).then_some(offer)
    }
}

/// A session.
pub(super) struct Session {
    pub(super) offer: Offer,
    pub(super) channel: Channel,
    over: watch::Receiver<bool>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.offer).finish()
    }
}

impl Session {
    /// Whether the client answers such calls.
    pub(super) fn answers(&self, method: &str) -> bool {
        self.offer.methods.contains(&method.to_lowercase())
    }

    /// Until its connection is gone.
    pub(super) async fn over(&self) {
        // An error is the sender's end, which is the connection's.
        let _ = self.over.clone().wait_for(|over| *over).await;
    }
}

/// All sessions.
#[derive(Debug, Clone)]
pub(super) struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: Mutex<HashMap<String, Arc<Session>>>,
    /// Counts those that have come.
    come: watch::Sender<u64>,
}

/// A session that is there until this is dropped.
pub(super) struct Open {
    inner: Arc<Inner>,
    id: String,
    over: watch::Sender<bool>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self(Arc::new(Inner {
            open: Mutex::default(),
            come: watch::Sender::new(0),
        }))
    }
}

impl Sessions {
    /// Adds one; none when its name is taken, or there are too many.
    pub(super) fn add(&self, offer: Offer, channel: Channel) -> Option<Open> {
        let (over, receiver) = watch::channel(false);
        let id = offer.id.clone();
        let mut open = self.0.lock();
        if open.len() >= MOST || open.contains_key(&id) {
            return None;
        }
        let session = Session {
            offer,
            channel,
            over: receiver,
        };
        open.insert(id.clone(), Arc::new(session));
        drop(open);
        self.0.come.send_modify(|count| *count += 1);
        Some(Open {
            inner: self.0.clone(),
            id,
            over,
        })
    }

    /// The session of a name, which may be on its way.
    pub(super) async fn find(&self, id: &str) -> Option<Arc<Session>> {
        let mut come = self.0.come.subscribe();
        let found = async {
            loop {
                if let Some(session) = self.0.lock().get(id) {
                    return Some(session.clone());
                }
                come.changed().await.ok()?;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.ok().flatten()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        // A map is whole between its methods.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.inner.lock().remove(&self.id);
        let _ = self.over.send(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_says_what_it_answers() {
        let mut headers = HeaderMap::new();
        assert_eq!(Offer::read(&headers), None);
        headers.insert(ID, "s1".parse().unwrap());
        headers.append(METHOD, "/a/B".parse().unwrap());
        headers.append(METHOD, "/c/D".parse().unwrap());
        let offer = Offer::read(&headers).unwrap();
        assert_eq!((offer.id.as_str(), offer.methods.len()), ("s1", 2));
        assert!(offer.methods.contains("/c/d"));
    }
}
