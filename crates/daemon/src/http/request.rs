//! A request on its way to a handler.

use std::sync::Arc;

use api::Version;
use hyper::header::{HeaderMap, UPGRADE};
use serde::de::DeserializeOwned;

use super::body;
use super::error::Failure;
use super::query::Query;
use super::resumed::Resume;
use super::unread::Sent;
use crate::access::{Peer, Policy};

/// A request whose operation is known.
#[derive(Debug)]
pub(crate) struct Call {
    /// The version it speaks.
    pub(crate) version: Version,
    /// The container, image or session its path names; empty if none.
    pub(crate) name: String,
    /// The part after the question mark.
    pub(crate) query: Query,
    /// Who asks, and by which socket.
    pub(crate) peer: Arc<Peer>,
    /// The request itself.
    pub(crate) request: hyper::Request<Sent>,
}

impl Call {
    /// Its body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        request: hyper::Request<Sent>,
    ) -> Result<Option<T>, Failure> {
        check_json_type(request.headers())?;
        body::json(request.into_body()).await
    }

    /// Where its answer is to be gone on with, if the daemon before this one has begun it.
    pub(crate) fn resumes_at(&self) -> Option<&str> {
        let resume = self.request.extensions().get::<Resume>();
        resume.map(|resume| resume.0.as_str())
    }

    /// The same where the words begin with whom it is about: by the id, for it may have another name by now.
    pub(crate) fn resumes(&self) -> Option<(&str, &str)> {
        self.resumes_at()?.split_once(' ')
    }

    /// What may be done by the socket that it came by.
    pub(crate) fn policy(&self) -> &Policy {
        &self.peer.door.policy
    }

    /// Whether the client wants the connection for itself.
    pub(crate) fn wants_upgrade(&self) -> bool {
        // As by Docker, whatever `Connection` says.
        self.request.headers().contains_key(UPGRADE)
    }
}

/// Bodies that say they are something else are no JSON, whatever is in them.
fn check_json_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(hyper::header::CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() || media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "unsupported Content-Type header ({text}): must be 'application/json'"
    )))
}
