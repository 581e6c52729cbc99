//! The client: configuration and what is kept between calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use types::ImageRef;

use crate::header::Challenge;
use crate::pool::Pool;
use crate::ranges::PIECES;
use crate::route::{self, Endpoint};
use crate::token::Tokens;
use crate::{Config, Credentials, Error, Repository};

/// A mirror that could not be reached is asked last for so long.
const DOWN: Duration = Duration::from_secs(60);
/// More hosts than this are not remembered.
const MAX_HOSTS: usize = 1024;

/// Talks to registries. Cheap to clone; clones share connections and tokens. A new configuration is a new
/// client: calls that run keep the old one.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What clones share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) tokens: Tokens,
    /// For pieces of long blobs, in memory.
    pub(crate) room: Arc<Semaphore>,
    /// What has been learnt of each host. Held for look-ups only.
    hosts: Mutex<HashMap<String, Learnt>>,
}

/// What has been learnt of a host.
#[derive(Debug, Default)]
struct Learnt {
    scheme: Option<&'static str>,
    challenge: Option<Challenge>,
    down: Option<Instant>,
}

impl Client {
    /// Checks the configuration. Makes no connection, and nothing that a first request could make.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's name.
    pub fn new(config: Config) -> Result<Self, Error> {
        route::check(&config)?;
        let pool = Pool::new(&config)?;
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                pool,
                tokens: Tokens::default(),
                room: Arc::new(Semaphore::new(PIECES)),
                hosts: Mutex::default(),
            }),
        })
    }

    /// What it was made of.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The repository of `reference`, for calls as whom `credentials` say.
    pub fn repository(&self, reference: &ImageRef, credentials: &Credentials) -> Repository {
        Repository {
            shared: self.shared.clone(),
            reference: reference.clone(),
            credentials: credentials.clone(),
            avoided: Vec::new(),
        }
    }
}

impl Shared {
    fn learnt<T>(&self, address: &str, change: impl FnOnce(&mut Learnt) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(address) {
            hosts.clear();
        }
        change(hosts.entry(address.to_owned()).or_default())
    }

    pub(crate) fn is_known(&self, address: &str) -> bool {
        self.learnt(address, |host| host.scheme.is_some())
    }

    pub(crate) fn is_plain(&self, address: &str) -> bool {
        self.learnt(address, |host| host.scheme == Some("http"))
    }

    /// The endpoint has answered in `scheme`, which is what it speaks from now on.
    pub(crate) fn remember(&self, endpoint: &Endpoint, scheme: &'static str) {
        self.learnt(&endpoint.address, |host| {
            host.scheme.get_or_insert(scheme);
            host.down = None;
        });
    }

    /// What an insecure endpoint speaks is to be found out again.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.learnt(&endpoint.address, |host| host.scheme = None);
    }

    /// The scope is one repository's and not kept.
    pub(crate) fn keep_challenge(&self, address: &str, challenge: &Challenge) {
        let kept = match challenge.clone() {
            Challenge::Bearer { realm, service, .. } => Challenge::Bearer {
                realm,
                service,
                scope: None,
            },
            Challenge::Basic => Challenge::Basic,
        };
        self.learnt(address, |host| host.challenge = Some(kept));
    }

    pub(crate) fn challenge_of(&self, address: &str) -> Option<Challenge> {
        self.learnt(address, |host| host.challenge.clone())
    }

    pub(crate) fn set_down(&self, address: &str) {
        self.learnt(address, |host| host.down = Some(Instant::now()));
    }

    pub(crate) fn is_down(&self, address: &str) -> bool {
        self.learnt(address, |host| {
            host.down.is_some_and(|at| at.elapsed() < DOWN)
        })
    }
}
