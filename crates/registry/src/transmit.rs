//! One request on the wire: which scheme, the host's own headers, and a bound on silence.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Response, StatusCode, Url};

use crate::answer::why;
use crate::client::Shared;
use crate::error::Error;
use crate::route::{Endpoint, Security, security};
use crate::session::{Call, Session};

impl Shared {
    /// How a place is spoken to, as far as it is known: what an insecure one speaks is only known once it
    /// has answered.
    pub(crate) fn scheme(&self, endpoint: &Endpoint) -> &'static str {
        match endpoint.security {
            Security::Plain => "http",
            Security::Verified => "https",
            Security::Insecure if self.is_plain(&endpoint.address) => "http",
            Security::Insecure => "https",
        }
    }

    /// How long silence is borne.
    pub(crate) fn stall(&self) -> Duration {
        Duration::from_secs(self.config.limits.stall_seconds.max(1))
    }

    /// Sends one request and waits for the head of its answer.
    pub(crate) async fn transmit(
        &self,
        session: &Session,
        mut call: Call,
    ) -> Result<Response, Error> {
        let endpoint = &session.endpoint;
        let own = is_at(&call.url, endpoint);
        let tls = call.url.scheme() == "https";
        let either = own && tls && !call.led && endpoint.security == Security::Insecure;
        if either && !self.is_known(&endpoint.address) {
            return self.find_out(session, call).await;
        }
        if either && self.is_plain(&endpoint.address) {
            // What has been learnt since the address was made.
            let _ = call.url.set_scheme("http");
        }
        let scheme = if call.url.scheme() == "http" {
            "http"
        } else {
            "https"
        };
        let sent = self.send_to(session, call).await;
        match &sent {
            // It may speak otherwise since it was started again; the next request finds out.
            Ok(response) if either && response.status() == StatusCode::BAD_REQUEST => {
                self.forget(endpoint);
            }
            Err(Error::Connection { .. }) if either => self.forget(endpoint),
            Ok(_) if own => self.remember(endpoint, scheme),
            _ => {}
        }
        sent
    }

    /// Asks an insecure place by https, and by http if it speaks no TLS.
    async fn find_out(&self, session: &Session, mut call: Call) -> Result<Response, Error> {
        let first = self.send_to(session, call.clone()).await;
        let Err(error) = first else {
            self.remember(&session.endpoint, "https");
            return first;
        };
        if !matches!(error, Error::Connection { .. }) || call.url.set_scheme("http").is_err() {
            return Err(error);
        }
        // What it said to TLS is the better reason when it does not answer http either.
        let Ok(response) = self.send_to(session, call).await else {
            return Err(error);
        };
        self.remember(&session.endpoint, "http");
        Ok(response)
    }

    async fn send_to(&self, session: &Session, call: Call) -> Result<Response, Error> {
        let request = self.request(session, &call.url, call.method).await?;
        let mut request = request.headers(call.headers);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        match tokio::time::timeout(self.stall(), request.send()).await {
            Err(_) => Err(session.stalled()),
            Ok(Err(error)) => Err(session.unreachable(reason(&call.url, session, error))),
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// A request to a host with the headers that the configuration gives it.
    pub(crate) async fn request(
        &self,
        session: &Session,
        url: &Url,
        method: reqwest::Method,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let endpoint = &session.endpoint;
        let own = is_at(url, endpoint);
        let host = if own {
            endpoint.host.clone()
        } else {
            name_of(url)
        };
        let client = self.pool.client(&self.config, &host).await?;
        let mut request = client.request(method, url.clone());
        if let Some(agent) = &session.agent {
            request = request.header(USER_AGENT, agent);
        }
        // Not where others lead to: who leads there would use what is not theirs.
        let known = self
            .config
            .hosts
            .get(&host)
            .filter(|_| own && !session.guest);
        for (name, value) in known.iter().flat_map(|host| &host.headers) {
            // Both have been checked when the client was made.
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(value)) {
                value.set_sensitive(true);
                request = request.header(name, value);
            }
        }
        Ok(request)
    }

    /// Whether a host may be told secrets, or asked at all, without TLS.
    pub(crate) fn may_be_plain(&self, url: &Url) -> bool {
        security(&self.config, &name_of(url)) != Security::Verified
    }
}

/// Whether an address is on an endpoint's host.
pub(crate) fn is_at(url: &Url, endpoint: &Endpoint) -> bool {
    let (scheme, address) = (url.scheme(), &endpoint.address);
    let own = Url::parse(&format!("{scheme}://{address}/"));
    own.is_ok_and(|own| crate::session::same_origin(&own, url))
}

/// `host` or `host:port` as the configuration names it.
pub(crate) fn name_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Why there is no answer, and of whom if that is not the registry itself.
fn reason(url: &Url, session: &Session, error: reqwest::Error) -> String {
    let why = why(error);
    if is_at(url, &session.endpoint) {
        why
    } else {
        format!("it leads to {}: {why}", name_of(url))
    }
}
