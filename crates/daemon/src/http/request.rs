//! A request on its way to a handler.

use std::sync::Arc;

use api::Version;
use hyper::header::UPGRADE;
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
        check_json_type(&request)?;
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

/// A body is JSON only if it says so, whatever is in it; in Docker's words.
fn check_json_type(request: &hyper::Request<Sent>) -> Result<(), Failure> {
    let value = request.headers().get(hyper::header::CONTENT_TYPE);
    let text = value.map(|value| value.to_str().unwrap_or_default());
    let text = text.unwrap_or_default();
    if text.is_empty() && hyper::body::Body::is_end_stream(request.body()) {
        return Ok(());
    }
    match media_type(text) {
        Err(why) => Err(Failure::bad_request(format!(
            "malformed Content-Type header ({text}): mime: {why}"
        ))),
        Ok(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        Ok(_) => Err(Failure::bad_request(format!(
            "unsupported Content-Type header ({text}): must be 'application/json'"
        ))),
    }
}

/// The media type without its parameters (RFC 2045, section 5.1), or what is wrong with it.
fn media_type(text: &str) -> Result<&str, &'static str> {
    let mut pieces = text.split(';').map(str::trim);
    let media_type = pieces.next().unwrap_or_default();
    match media_type.split_once('/') {
        _ if media_type.is_empty() || media_type.starts_with('/') => return Err("no media type"),
        Some((_, "")) => return Err("expected token after slash"),
        _ => {}
    }
    let parameters: Vec<&str> = pieces.collect();
    // One semicolon may end it.
    let parameters = match parameters.split_last() {
        Some((&"", before)) => before,
        _ => &parameters,
    };
    match parameters.iter().all(|parameter| parameter.contains('=')) {
        true => Ok(media_type),
        false => Err("invalid media parameter"),
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn a_media_type_has_two_parts_and_parameters() {
        for right in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;",
            " application/json ;a=b;",
        ] {
            assert_eq!(media_type(right), Ok("application/json"), "{right}");
        }
        for (wrong, why) in [
            ("", "no media type"),
            (";a=b", "no media type"),
            ("/json", "no media type"),
            ("application/", "expected token after slash"),
            ("foo;;;bar", "invalid media parameter"),
            ("application/json;charset", "invalid media parameter"),
        ] {
            assert_eq!(media_type(wrong), Err(why), "{wrong}");
        }
    }
}
