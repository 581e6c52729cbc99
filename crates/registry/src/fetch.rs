//! What anybody serves under an address: fetched as a stranger, unless who asks says otherwise, with the
//! configuration's certificates and proxies.

use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue, LAST_MODIFIED};
use reqwest::{Method, Response, StatusCode, Url};

use crate::answer::why;
use crate::error::{Action, Error};
use crate::route::{self, Security};
use crate::session::{Call, Purpose, Session};
use crate::transmit::name_of;
use crate::{Client, Credentials};

/// Bytes on their way here. They end where their sender says they end.
#[derive(Debug)]
pub struct Fetched {
    session: Session,
    response: Response,
}

/// The host that [`Client::fetch`] asks for an address, and its port unless it is the usual one.
pub fn place_of(url: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port()))
}

impl Client {
    /// Begins to fetch what an address (`http` or `https`) names. Of further `headers` that of who asks
    /// (`Authorization`) goes to no other place that the address may lead to.
    ///
    /// # Errors
    /// When it is no such address or header, and when nobody serves it.
    pub async fn fetch(&self, url: &str, headers: &[(String, String)]) -> Result<Fetched, Error> {
        let told = harmless(url);
        let invalid = |why: &str| Error::Invalid(format!("cannot fetch {told}: {why}"));
        let parsed = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(invalid("an address with http or https is expected"));
        }
        let mut call = Call::new(Method::GET, parsed.clone());
        for (name, value) in headers {
            let wrong = || invalid(&format!("the header {name} cannot be sent"));
            let named = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            call = call.with(named, value);
        }
        let mut endpoint = route::own(&self.shared.config, &name_of(&parsed), "");
        if parsed.scheme() == "http" {
            // It was typed so.
            endpoint.security = Security::Plain;
        }
        let purpose = Purpose {
            action: Action::Pull,
            repository: None,
            what: format!("fetch {told}"),
            scopes: Vec::new(),
        };
        let nobody = Credentials::anonymous();
        let mut session = Session::new(&self.shared, endpoint, (&nobody, ""), purpose);
        session.guest = true;
        let response = session.send(&call).await?;
        match response.status() {
            StatusCode::OK => Ok(Fetched { session, response }),
            _ => Err(session.refusal(response).await),
        }
    }
}

impl Fetched {
    /// When it was changed last, in seconds since the Unix epoch, if its sender says so.
    pub fn modified(&self) -> Option<i64> {
        let said = self.response.headers().get(LAST_MODIFIED)?.to_str().ok()?;
        let time = jiff::fmt::rfc2822::parse(said).ok()?;
        Some(time.timestamp().as_second())
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// When the connection breaks, or brings nothing for long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let stall = self.session.shared.stall();
        match tokio::time::timeout(stall, self.response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(self.session.unreachable(why(error))),
            Err(_) => Err(self.session.stalled()),
        }
    }
}

/// An address as it may be told to others: without a password, and without a query, which may be as good.
fn harmless(url: &str) -> String {
    let (plain, query) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], "?..."),
        None => (url, ""),
    };
    let Some((scheme, rest)) = plain.split_once("://") else {
        return format!("{plain}{query}");
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_told() {
        for (url, told) in [
            ("http://h/a.tar", "http://h/a.tar"),
            ("https://ann:secret@h:5/a", "https://h:5/a"),
            ("https://ann:se@cret@h", "https://h"),
            ("https://h/a@b?signature=secret", "https://h/a@b?..."),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(harmless(url), told);
        }
    }
}
