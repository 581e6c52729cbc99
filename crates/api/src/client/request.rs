//! One request and its answer.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connect::Sender;
use super::{Body, Chunks, Client, Error, Filters};
use crate::Version;
use crate::wire::{AuthConfig, ErrorResponse, MADE};

/// What may stand in a path's segment or a query's value as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// In image names slashes and colons are part of the path.
const ESCAPED_NAME: &AsciiSet = &ESCAPED.remove(b'/').remove(b':').remove(b'@');

/// The longest error body that is read.
const LONGEST_ERROR: usize = 1 << 20;

/// A request being put together.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: String,
    json: Option<Vec<u8>>,
    stream: Option<Body>,
    content_type: Option<String>,
    registry_auth: Option<String>,
    upgrade: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
}

/// An answer whose head is there.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<Incoming>,
    /// Goes back to the client once the body has been read.
    sender: Sender,
    operation: String,
}

/// A name as part of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// An image's name as part of a path.
pub(super) fn image_segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED_NAME).to_string()
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            json: None,
            stream: None,
            content_type: None,
            registry_auth: None,
            upgrade: None,
            headers: Vec::new(),
        }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds `name=value`.
    pub(super) fn query(mut self, name: &str, value: impl ToString) -> Self {
        let separator = if self.query.is_empty() { '?' } else { '&' };
        let value = value.to_string();
        // Writing to a String cannot fail.
        let _ = write!(
            self.query,
            "{separator}{name}={}",
            utf8_percent_encode(&value, ESCAPED)
        );
        self
    }

    /// Adds `name=value` if there is one.
    pub(super) fn query_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds `name=1` if it is so.
    pub(super) fn query_flag(self, name: &str, value: bool) -> Self {
        self.query_some(name, value.then_some(1))
    }

    pub(super) fn filters(self, filters: &Filters) -> Self {
        if filters.is_empty() {
            return self;
        }
        let map: std::collections::BTreeMap<_, std::collections::BTreeMap<_, bool>> = filters
            .iter()
            .map(|(key, values)| (key, values.iter().map(|v| (v, true)).collect()))
            .collect();
        // Maps with string keys always serialize.
        self.query("filters", serde_json::to_string(&map).unwrap_or_default())
    }

    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        // Wire types are maps with string keys: they always serialize.
        self.json = Some(serde_json::to_vec(body).unwrap_or_default());
        self
    }

    /// A body that is no JSON of the API's.
    pub(super) fn content(mut self, media_type: &str, body: &[u8]) -> Self {
        self.content_type = Some(media_type.to_owned());
        self.json = Some(body.to_owned());
        self
    }

    pub(super) fn stream(mut self, body: Body) -> Self {
        self.stream = Some(body);
        self
    }

    /// Who the user is to the registry that this is about.
    pub(super) fn registry_auth(mut self, auth: &AuthConfig) -> Self {
        self.registry_auth = Some(crate::convert::encode_auth(auth));
        self
    }

    pub(super) fn upgrade(self) -> Self {
        self.upgrade_to("tcp")
    }

    /// Asks for the connection, for this protocol.
    pub(super) fn upgrade_to(mut self, protocol: &'static str) -> Self {
        self.upgrade = Some(protocol);
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn operation(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn request(&mut self, version: Version, user_agent: &str) -> Result<Request<Body>, Error> {
        let uri = format!("/v{version}{}{}", self.path, self.query);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(uri)
            .header(HOST, "brig")
            .header(USER_AGENT, user_agent);
        if let Some(auth) = &self.registry_auth {
            request = request.header("X-Registry-Auth", auth);
        }
        if let Some(protocol) = self.upgrade {
            request = request
                .header(CONNECTION, "Upgrade")
                .header(UPGRADE, protocol);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = match (&self.json, self.stream.take()) {
            (_, Some(stream)) => {
                request = request.header(CONTENT_TYPE, "application/x-tar");
                stream
            }
            (Some(json), None) => {
                let kind = self.content_type.as_deref().unwrap_or("application/json");
                request = request.header(CONTENT_TYPE, kind);
                Body::full(json.clone())
            }
            (None, None) => Body::empty(),
        };
        Ok(request.body(body)?)
    }
}

impl Client {
    /// Sends it and waits for the answer's head; statuses from 400 on are errors.
    pub(super) async fn send(&self, mut call: Call) -> Result<Answer, Error> {
        let repeatable = call.stream.is_none();
        let refused = match self.send_once(&mut call).await {
            Err(refused @ Error::Refused { .. }) => refused,
            other => return other,
        };
        match maximum(&refused).filter(|_| repeatable && !self.pinned) {
            Some(version) if version < self.version() => {
                self.lock().version = version;
                self.send_once(&mut call).await
            }
            _ => Err(refused),
        }
    }

    async fn send_once(&self, call: &mut Call) -> Result<Answer, Error> {
        let request = call.request(self.version(), &self.user_agent)?;
        let operation = call.operation();
        let answer = self.exchange(request).await;
        let answer = answer.map_err(|error| self.endpoint.explain(error));
        if let Some(observer) = self.observer {
            match &answer {
                Ok((_, response)) => observer(&format!("{operation}: {}", response.status())),
                Err(error) => observer(&format!("{operation}: {error}")),
            }
        }
        let (mut sender, response) = answer?;
        if response.status().as_u16() < 400 && response.status() != StatusCode::NOT_MODIFIED {
            return Ok(Answer {
                response,
                sender,
                operation,
            });
        }
        let status = response.status().as_u16();
        let message = error_message(response, &operation).await;
        if sender.ready().await.is_ok() {
            self.put_back(sender);
        }
        Err(Error::Refused { status, message })
    }

    /// Sends a request on the idle connection, or on a new one.
    async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<(Sender, Response<Incoming>), Error> {
        let idle = self.lock().idle.take();
        let request = match alive(idle).await {
            None => request,
            Some(mut sender) => match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                // The daemon closed the idle connection before anything was sent.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => unsent,
                    None => return Err(failed.into_error().into()),
                },
            },
        };
        let mut sender = self.endpoint.connect().await?;
        let response = sender.send_request(request).await?;
        Ok((sender, response))
    }

    fn put_back(&self, sender: Sender) {
        self.lock().idle = Some(sender);
    }

    /// Sends it, reads the whole answer and throws it away.
    pub(super) async fn send_unit(&self, call: Call) -> Result<(), Error> {
        self.send(call).await?.bytes(self).await.map(drop)
    }

    /// Sends it and reads the answer as JSON.
    pub(super) async fn send_json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        self.send(call).await?.json(self).await
    }
}

impl Answer {
    async fn bytes(self, client: &Client) -> Result<bytes::Bytes, Error> {
        let bytes = self.response.into_body().collect().await?.to_bytes();
        if !self.sender.is_closed() {
            client.put_back(self.sender);
        }
        Ok(bytes)
    }

    pub(super) async fn json<T: DeserializeOwned>(self, client: &Client) -> Result<T, Error> {
        let operation = self.operation.clone();
        let bytes = self.bytes(client).await?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Answer { operation, source })
    }

    /// What has been made, told by an answer that is a connection.
    pub(super) fn made<T: DeserializeOwned>(&self, operation: &str) -> Result<T, Error> {
        let bytes = STANDARD.decode(self.header(MADE)).unwrap_or_default();
        serde_json::from_slice(&bytes).map_err(|source| Error::Answer {
            operation: operation.to_owned(),
            source,
        })
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.response
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether the connection is the client's from now on.
    pub(super) fn is_taken_over(&self) -> bool {
        self.response.status() == StatusCode::SWITCHING_PROTOCOLS
    }

    pub(super) fn chunks(self) -> Chunks {
        Chunks::new(self.response.into_body())
    }

    pub(super) fn into_response(self) -> Response<Incoming> {
        self.response
    }
}

/// An idle connection that is still good. Its driver may have had no turn since it was made or last
/// used: waiting for it is what tells.
async fn alive(idle: Option<Sender>) -> Option<Sender> {
    let mut sender = idle?;
    sender.ready().await.is_ok().then_some(sender)
}

/// The daemon's own sentence, or the best that can be made of what it sent.
async fn error_message(response: Response<Incoming>, operation: &str) -> String {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), LONGEST_ERROR);
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => bytes::Bytes::new(),
    };
    if let Ok(ErrorResponse { message }) = serde_json::from_slice(&bytes)
        && !message.is_empty()
    {
        return message;
    }
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => text.to_owned(),
        _ => format!("{operation} was answered with status {status}"),
    }
}

/// The newest version the daemon speaks, if it refused ours as too new.
fn maximum(refused: &Error) -> Option<Version> {
    let Error::Refused {
        status: 400,
        message,
    } = refused
    else {
        return None;
    };
    let (_, rest) = message.split_once("Maximum supported API version is ")?;
    rest.trim().trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let call = Call::get("/containers/json")
            .query_flag("all", true)
            .query_flag("size", false)
            .query_some("limit", None::<u32>)
            .filters(&[("name".to_owned(), vec!["a b".to_owned()])].into());
        assert_eq!(
            call.query,
            "?all=1&filters=%7B%22name%22%3A%7B%22a%20b%22%3Atrue%7D%7D"
        );
        assert_eq!(segment("a/b"), "a%2Fb");
        assert_eq!(image_segment("h:5/a/b@sha256:0 "), "h:5/a/b@sha256:0%20");
    }

    #[test]
    fn a_refused_version_names_the_one_to_use() {
        let refused = |message: &str| Error::Refused {
            status: 400,
            message: message.to_owned(),
        };
        let text = "client version 1.55 is too new. Maximum supported API version is 1.44";
        assert_eq!(maximum(&refused(text)), Some(Version::new(1, 44)));
        assert_eq!(maximum(&refused("something else")), None);
    }
}
