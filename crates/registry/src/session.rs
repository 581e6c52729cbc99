//! One place asked for one purpose: authentication, repetition, redirects, and what a refusal means.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};

use crate::answer::{self, Said};
use crate::client::Shared;
use crate::error::{Action, Error};
use crate::header;
use crate::route::{self, Endpoint};
use crate::transmit::{is_at, name_of};
use crate::{Credential, Credentials};

/// As browsers and Go have it.
const MAX_REDIRECTS: usize = 10;
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// What is asked for, for the sentences of errors.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// To read or to write.
    pub action: Action,
    /// The repository as people write it; none for the registry as a whole.
    pub repository: Option<String>,
    /// `pull debian:12`: what comes after "cannot".
    pub what: String,
    /// The scopes of a token for it.
    pub scopes: Vec<String>,
}

/// A request without its place's authentication; its body can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// A redirect has led there: its scheme is the one that was said.
    pub led: bool,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            led: false,
        }
    }

    pub(crate) fn with(mut self, name: reqwest::header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// One place asked for one purpose.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub shared: std::sync::Arc<Shared>,
    pub endpoint: Endpoint,
    pub credential: Credential,
    pub purpose: Purpose,
    /// How often what can be repeated is tried.
    pub attempts: u32,
    /// Who asks, where it is not for us alone.
    pub agent: Option<HeaderValue>,
    /// Led here by others: nothing of what the configuration says to this host is said.
    pub guest: bool,
}

impl Session {
    pub(crate) fn new(
        shared: &std::sync::Arc<Shared>,
        endpoint: Endpoint,
        (credentials, registry): (&Credentials, &str),
        purpose: Purpose,
    ) -> Self {
        let credential = credentials.of(&endpoint.host, registry).clone();
        let agent = match credentials.upstream() {
            upstream if upstream.is_empty() => None,
            // What cannot be in a header is not told.
            upstream => HeaderValue::from_str(&format!("{}{upstream}", shared.pool.agent())).ok(),
        };
        Self {
            shared: shared.clone(),
            credential,
            purpose,
            attempts: shared.config.limits.attempts.max(1),
            agent,
            guest: false,
            endpoint,
        }
    }

    /// An address of the API: `/manifests/latest` below the repository.
    pub(crate) fn url(&self, rest: &str) -> Result<Url, Error> {
        let scheme = self.shared.scheme(&self.endpoint);
        let Endpoint {
            address,
            root,
            repository,
            ..
        } = &self.endpoint;
        let slash = if repository.is_empty() { "" } else { "/" };
        let text = format!("{scheme}://{address}{root}{slash}{repository}{rest}");
        let parsed = Url::parse(&text);
        let mut url = parsed.map_err(|_| self.broken(format!("has no usable address: {text}")))?;
        if let Some(namespace) = &self.endpoint.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        Ok(url)
    }

    /// Sends what is safe to send again; any status is an answer once repeating does not help.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = self.once(call).await;
            let last = attempt >= self.attempts;
            let wait = match &sent {
                _ if last => None,
                Ok(response) => self.wait_for(response, attempt),
                Err(error) if is_transient(error) => Some(self.backoff(attempt)),
                Err(_) => None,
            };
            let Some(wait) = wait else {
                return sent;
            };
            tracing::debug!(what = %self.purpose.what, host = %self.endpoint.host, ?wait, "asking again");
            drop(sent);
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends once, with authentication and redirects.
    async fn once(&self, call: &Call) -> Result<Response, Error> {
        let known = self.authorization(None, None).await?;
        let mut response = self.follow(call, known.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(header) = self.answer_challenge(&response, known.as_ref()).await?
        {
            response = self.follow(call, Some(header)).await?;
        }
        let elsewhere = !is_at(response.url(), &self.endpoint);
        if response.status() == StatusCode::UNAUTHORIZED && elsewhere {
            return self.as_guest(call, response).await;
        }
        Ok(response)
    }

    /// Where a redirect has led, and somebody wants to know who asks: nobody in particular. What is known
    /// here is for the registry only.
    async fn as_guest(&self, call: &Call, response: Response) -> Result<Response, Error> {
        let guest = self.guest_of(&name_of(response.url()));
        let Some(header) = guest.answer_challenge(&response, None).await? else {
            return Ok(response);
        };
        let url = response.url().clone();
        let mut led = Call {
            url,
            led: true,
            ..call.clone()
        };
        led.headers.remove(AUTHORIZATION);
        guest.follow(&led, Some(header)).await
    }

    /// The same purpose on another host, as nobody in particular.
    pub(crate) fn guest_of(&self, host: &str) -> Self {
        let mut guest = self.clone();
        guest.endpoint = route::own(&self.shared.config, host, "");
        guest.credential = Credential::Anonymous;
        guest.purpose.scopes.clear();
        guest.guest = true;
        guest
    }

    /// What to say to an answer 401; none when there is nothing more to say.
    pub(crate) async fn answer_challenge(
        &self,
        response: &Response,
        known: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Error> {
        let offered = response
            .headers()
            .get_all(reqwest::header::WWW_AUTHENTICATE);
        let offered: Vec<_> = offered
            .iter()
            .take(8)
            .filter_map(|value| value.to_str().ok())
            .flat_map(header::challenges)
            .collect();
        // A token says no more than a password, and to one service only.
        let bearer = |c: &&header::Challenge| matches!(c, header::Challenge::Bearer { .. });
        let chosen = offered.iter().find(bearer).or(offered.first());
        let Some(challenge) = chosen else {
            return Ok(None);
        };
        let header = self.authorization(Some(challenge), known).await?;
        Ok(header.filter(|header| Some(header) != known))
    }

    /// Sends once, and again to where it is led.
    pub(crate) async fn follow(
        &self,
        call: &Call,
        header: Option<HeaderValue>,
    ) -> Result<Response, Error> {
        let mut call = call.clone();
        let mut authorization = header;
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = call.headers.clone();
            if let Some(value) = &authorization {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let sent = Call {
                headers,
                ..call.clone()
            };
            let response = self.shared.transmit(self, sent).await?;
            let Some(next) = self.redirect(&call, &response)? else {
                return Ok(response);
            };
            if !same_origin(&next, response.url()) {
                authorization = None;
                call.headers.remove(AUTHORIZATION);
            }
            call.url = next;
            call.led = true;
            if response.status() == StatusCode::SEE_OTHER && call.method != Method::HEAD {
                call.method = Method::GET;
                call.body = None;
            }
        }
        Err(self.broken(format!("redirects more than {MAX_REDIRECTS} times")))
    }

    /// Where an answer leads, if it leads elsewhere. What writes is not led elsewhere, except by the
    /// two statuses that keep method and body.
    fn redirect(&self, call: &Call, response: &Response) -> Result<Option<Url>, Error> {
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        let leads = match response.status().as_u16() {
            301..=303 => reads,
            307 | 308 => true,
            _ => false,
        };
        if !leads {
            return Ok(None);
        }
        let Some(target) = response.headers().get(LOCATION) else {
            return Err(self.broken("redirects to nowhere: it sends no Location"));
        };
        self.located(response.url(), target).map(Some)
    }

    /// The address that a `Location` means, refused where it must not lead.
    pub(crate) fn located(&self, base: &Url, location: &HeaderValue) -> Result<Url, Error> {
        let text = location.to_str().unwrap_or_default();
        let url = resolve_location(base, text);
        url.map_err(|why| self.broken(format!("sends a Location that {why}")))
    }

    fn wait_for(&self, response: &Response, attempt: u32) -> Option<Duration> {
        let again = matches!(response.status().as_u16(), 408 | 429 | 500 | 502..=504);
        if !again {
            return None;
        }
        match retry_after(response.headers()) {
            None => Some(self.backoff(attempt)),
            Some(after) => {
                let longest = Duration::from_secs(self.shared.config.limits.longest_wait_seconds);
                (after <= longest).then_some(after)
            }
        }
    }

    /// Doubled each time, and a bit by chance, so that many do not come back at once.
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        let first = Duration::from_millis(self.shared.config.limits.backoff_milliseconds);
        let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let mut chance = [0; 1];
        // Without chance it is the plain time.
        let _ = getrandom::fill(&mut chance);
        let jitter = 1.0 + f64::from(chance[0]) / 1024.0;
        doubled.min(LONGEST_BACKOFF).mul_f64(jitter)
    }

    /// The error that an answer means.
    pub(crate) async fn refusal(&self, response: Response) -> Error {
        let status = response.status();
        let after = retry_after(response.headers());
        let said = answer::said(response, self.shared.stall()).await;
        self.refused(status, said, after)
    }

    /// The error that a status and words mean.
    pub(crate) fn refused(&self, status: StatusCode, said: Said, after: Option<Duration>) -> Error {
        let place = self.place();
        let Purpose {
            action,
            repository,
            what,
            ..
        } = &self.purpose;
        let code = status.as_u16();
        let anonymous = self.credential == Credential::Anonymous;
        match (code, repository) {
            (429, _) => Error::TooMany {
                what: what.clone(),
                place,
                said: said.text,
                after,
            },
            (401, None) if !self.asks_for_a_file() => Error::Unauthorized {
                place,
                said: said.text,
            },
            (401, Some(_)) if !anonymous && !said.has("DENIED") => Error::Unauthorized {
                place,
                said: said.text,
            },
            (401 | 403, Some(repository)) => Error::Denied {
                action: *action,
                repository: repository.clone(),
                said: said.text,
            },
            (404, Some(repository)) if said.has("NAME_UNKNOWN") => Error::NoRepository {
                repository: repository.clone(),
                said: said.text,
            },
            _ => Error::Refused {
                what: what.clone(),
                place,
                status: code,
                said: said.text,
            },
        }
    }

    /// Whether who is asked serves one file, and is no registry.
    fn asks_for_a_file(&self) -> bool {
        self.guest && self.purpose.repository.is_none()
    }

    /// Who is asked, as sentences say it.
    fn place(&self) -> String {
        let host = &self.endpoint.host;
        match self.asks_for_a_file() {
            true => host.clone(),
            false => format!("registry {host}"),
        }
    }

    /// The registry breaks the protocol.
    pub(crate) fn broken(&self, why: impl Into<String>) -> Error {
        Error::Protocol {
            what: self.purpose.what.clone(),
            place: self.place(),
            why: why.into(),
        }
    }

    /// The connection is broken, or cannot be made.
    pub(crate) fn unreachable(&self, why: impl Into<String>) -> Error {
        Error::Connection {
            what: self.purpose.what.clone(),
            place: self.place(),
            why: why.into(),
        }
    }

    /// Nothing came.
    pub(crate) fn stalled(&self) -> Error {
        Error::Stalled {
            what: self.purpose.what.clone(),
            place: self.place(),
            after: self.shared.stall(),
        }
    }

    /// A body read within bounds, as `name` in the sentence when it is too long.
    pub(crate) async fn document(
        &self,
        mut response: Response,
        most: u64,
        name: &str,
    ) -> Result<Bytes, Error> {
        let read = answer::read(&mut response, most, self.shared.stall()).await;
        read.map_err(|unread| match unread {
            answer::Unread::TooLong => {
                self.broken(format!("sent {name} of more than {} KiB", most >> 10))
            }
            answer::Unread::Stalled => self.stalled(),
            answer::Unread::Broken(why) => self.unreachable(why),
        })
    }
}

/// Worth trying again, of what is safe to repeat.
pub(crate) fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Connection { .. } | Error::Stalled { .. })
}

pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Resolves a `Location`. A registry behind a proxy that ends TLS may name itself with `http`: that is
/// the same place. Elsewhere there is no way from https to http.
pub(crate) fn resolve_location(base: &Url, text: &str) -> Result<Url, String> {
    const LONGEST: usize = 16 << 10;
    if text.is_empty() || text.len() > LONGEST {
        return Err("cannot be read".to_owned());
    }
    let mut url = base
        .join(text)
        .map_err(|e| format!("cannot be read: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!(
            "leads to {:?}, http or https is expected",
            url.scheme()
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a name or a password in it".to_owned());
    }
    if base.scheme() == "https" && url.scheme() == "http" {
        let same = url.host_str() == base.host_str()
            && (url.port().is_none() || url.port() == base.port());
        let port = base.port();
        if !same || url.set_scheme("https").is_err() || url.set_port(port).is_err() {
            return Err("leads from https to http".to_owned());
        }
    }
    url.set_fragment(None);
    Ok(url)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    header::retry_after(value, Timestamp::now())
}

/// When a fetched token begins to be old.
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lead_to_http_and_https_only_and_never_down() {
        let base = Url::parse("https://reg.example.com:5000/v2/a/blobs/uploads/").unwrap();
        let table = [
            ("/v2/x?y=z#f", Ok("https://reg.example.com:5000/v2/x?y=z")),
            ("x", Ok("https://reg.example.com:5000/v2/a/blobs/uploads/x")),
            (
                "https://cdn.example.net/b?sig=1",
                Ok("https://cdn.example.net/b?sig=1"),
            ),
            (
                "http://reg.example.com/v2/x",
                Ok("https://reg.example.com:5000/v2/x"),
            ),
            (
                "http://reg.example.com:5000/v2/x",
                Ok("https://reg.example.com:5000/v2/x"),
            ),
            ("http://cdn.example.net/b", Err("leads from https to http")),
            (
                "http://reg.example.com:80/v2/x",
                Ok("https://reg.example.com:5000/v2/x"),
            ),
            (
                "http://reg.example.com:81/v2/x",
                Err("leads from https to http"),
            ),
            (
                "file:///etc/passwd",
                Err("leads to \"file\", http or https is expected"),
            ),
            (
                "ftp://a/",
                Err("leads to \"ftp\", http or https is expected"),
            ),
            ("https://u:p@a/", Err("has a name or a password in it")),
            ("", Err("cannot be read")),
        ];
        for (text, expected) in table {
            let found = resolve_location(&base, text).map(|u| u.to_string());
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found, expected, "{text}");
        }
        let plain = Url::parse("http://reg:5000/").unwrap();
        assert!(resolve_location(&plain, "http://other/").is_ok());
        assert!(resolve_location(&plain, "https://other/").is_ok());
    }
}
