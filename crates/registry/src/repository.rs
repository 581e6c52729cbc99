//! One repository, as one somebody, and the places that are asked for it one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use types::ImageRef;

use crate::client::Shared;
use crate::error::{Action, Error};
use crate::route::{self, Need};
use crate::session::{Purpose, Session};
use crate::{Credentials, token};

/// One repository of a registry, as one somebody. Its verbs are in the modules of their names. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reference: ImageRef,
    pub(crate) credentials: Credentials,
    /// Hosts that have sent wrong bytes.
    pub(crate) avoided: Vec<String>,
}

impl Repository {
    /// The reference it was made of.
    pub fn reference(&self) -> &ImageRef {
        &self.reference
    }

    /// The same without one host, as [`crate::Blob::host`] says it: one that has sent what does not hash
    /// to what it should. The last place that is left is asked nevertheless.
    #[must_use]
    pub fn avoiding(&self, host: &str) -> Self {
        let mut other = self.clone();
        other.avoided.push(host.to_owned());
        other
    }

    /// The places to ask, the best first. `what` comes after "cannot" in sentences.
    pub(crate) fn tries(&self, need: Need, action: Action, what: &str) -> Result<Tries, Error> {
        let mut endpoints = route::plan(&self.shared.config, &self.reference, need)?;
        let good = |host: &String| !self.avoided.contains(host);
        if endpoints.iter().any(|endpoint| good(&endpoint.host)) {
            endpoints.retain(|endpoint| good(&endpoint.host));
        }
        // What did not answer a moment ago is asked last.
        endpoints.sort_by_key(|endpoint| endpoint.mirror && self.shared.is_down(&endpoint.address));
        let actions = match action {
            Action::Pull => "pull",
            Action::Push => "pull,push",
        };
        let last = endpoints.len() - 1;
        let sessions = endpoints.into_iter().enumerate().map(|(number, endpoint)| {
            let purpose = Purpose {
                action,
                repository: Some(self.reference.familiar_name()),
                what: what.to_owned(),
                scopes: vec![token::scope(&endpoint.repository, actions)],
            };
            let whose = (&self.credentials, self.reference.domain());
            let mut session = Session::new(&self.shared, endpoint, whose, purpose);
            if session.endpoint.mirror && number < last {
                // There is somebody else to ask.
                session.attempts = 1;
            }
            session
        });
        Ok(Tries(sessions.collect()))
    }

    /// The one place where things are changed.
    pub(crate) fn changing(&self, action: Action, what: &str) -> Result<Session, Error> {
        let mut tries = self.tries(Need::Change, action, what)?;
        tries
            .next()
            .ok_or_else(|| Error::Invalid(format!("{what}: there is no registry to ask")))
    }

    /// What it is called in sentences about its reference.
    pub(crate) fn familiar(&self) -> String {
        self.reference.familiar()
    }
}

/// Places to ask until one answers.
#[derive(Debug)]
pub(crate) struct Tries(VecDeque<Session>);

impl Tries {
    pub(crate) fn next(&mut self) -> Option<Session> {
        self.0.pop_front()
    }

    /// One has failed: the error, if there is nobody else to ask.
    pub(crate) fn failed(&self, session: &Session, error: Error) -> Result<(), Error> {
        if matches!(error, Error::Connection { .. } | Error::Stalled { .. }) {
            session.shared.set_down(&session.endpoint.address);
        }
        if self.0.is_empty() {
            return Err(error);
        }
        tracing::debug!(host = %session.endpoint.host, %error, "asking the next place");
        Ok(())
    }
}
