//! What a request says about who sends it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use crate::answer::Said;
use crate::error::Error;
use crate::header::Challenge;
use crate::session::{Call, Session, now};
use crate::token::{self, Answer, Key, Token};
use crate::transmit::name_of;
use crate::{Credential, answer};

/// What token servers know this program by.
const CLIENT: &str = "brig";

impl Session {
    /// The `Authorization` for the endpoint: by a challenge of it, or by the last one that it sent.
    /// `refused` is what has been said already, to no avail.
    pub(crate) async fn authorization(
        &self,
        challenge: Option<&Challenge>,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Error> {
        if let Credential::RegistryToken(token) = &self.credential {
            return self.header(format!("Bearer {token}")).map(Some);
        }
        if let Some(challenge) = challenge {
            self.shared
                .keep_challenge(&self.endpoint.address, challenge);
        }
        let kept = || self.shared.challenge_of(&self.endpoint.address);
        match challenge.cloned().or_else(kept) {
            None => Ok(None),
            Some(Challenge::Basic) => self.basic(),
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let key = Key {
                    scopes: token::merge(&self.purpose.scopes, scope.as_deref()),
                    realm,
                    service,
                    credential: self.credential.clone(),
                };
                self.token(key, refused).await.map(Some)
            }
        }
    }

    fn basic(&self) -> Result<Option<HeaderValue>, Error> {
        match &self.credential {
            Credential::Password { username, password } => {
                let pair = STANDARD.encode(format!("{username}:{password}"));
                self.header(format!("Basic {pair}")).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn header(&self, text: String) -> Result<HeaderValue, Error> {
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            let host = &self.endpoint.host;
            Error::Invalid(format!(
                "the credentials for registry {host} cannot be in a header"
            ))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A token that is kept, or a new one. Who comes while it is fetched waits for that one.
    async fn token(&self, key: Key, refused: Option<&HeaderValue>) -> Result<HeaderValue, Error> {
        let place = self.shared.tokens.place(&key);
        let mut kept = place.lock().await;
        if let Some(token) = &*kept
            && token.is_fresh(now())
            && refused != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        *kept = None;
        let token = self.fetch(&key, false).await?.0;
        let header = token.header.clone();
        *kept = Some(token);
        Ok(header)
    }

    /// Asks the token server; with `keep` for a token to keep instead of the password too.
    pub(crate) async fn fetch(
        &self,
        key: &Key,
        keep: bool,
    ) -> Result<(Token, Option<String>), Error> {
        let realm = self.realm(&key.realm)?;
        let form = oauth(realm.clone(), key, keep);
        let call = match (&key.credential, &form) {
            (Credential::IdentityToken(_), Some(form)) => form.clone(),
            _ => self.plain(realm, key, keep)?,
        };
        let mut response = self.ask(&call).await?;
        if let (404 | 405, Some(form)) = (response.status().as_u16(), form)
            && call.method == Method::GET
        {
            // A token server that speaks OAuth 2.0 only.
            response = self.ask(&form).await?;
        }
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.no_token(status, response).await);
        }
        let body = self
            .document(response, token::MAX_ANSWER, "a token's answer")
            .await?;
        let host = name_of(&call.url);
        let broken =
            |why: String| self.broken(format!("leads to token server {host}, which {why}"));
        let answer = Answer::parse(&body).map_err(broken)?;
        let token = answer.token(now()).map_err(broken)?;
        Ok((token, answer.refresh_token()))
    }

    async fn no_token(&self, status: StatusCode, response: reqwest::Response) -> Error {
        let said = answer::said(response, self.shared.stall()).await;
        // Not every token server says what kind of no it is.
        let text = match status {
            StatusCode::UNAUTHORIZED if said.codes.is_empty() => {
                format!("unauthorized: {}", said.text)
            }
            _ => said.text.clone(),
        };
        self.refused(status, Said { text, ..said }, None)
    }

    /// Where tokens come from, if secrets may be sent there.
    fn realm(&self, realm: &str) -> Result<Url, Error> {
        let refused = |why: &str| {
            let shown = crate::manifest::shorten(realm);
            self.broken(format!("wants a token fetched from {shown:?}, which {why}"))
        };
        let url = Url::parse(realm).map_err(|_| refused("is no address"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refused("is not http or https"));
        }
        let plain = self.shared.scheme(&self.endpoint) == "http" || self.shared.may_be_plain(&url);
        if url.scheme() == "http" && !plain {
            return Err(refused("would send secrets over plain http"));
        }
        Ok(url)
    }

    fn plain(&self, mut url: Url, key: &Key, keep: bool) -> Result<Call, Error> {
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(key.service.iter().map(|service| ("service", service)));
            query.extend_pairs(key.scopes.iter().map(|scope| ("scope", scope)));
            if let Credential::Password { username, .. } = &key.credential {
                query.append_pair("account", username);
            }
            if keep {
                query.append_pair("offline_token", "true");
            }
            query.append_pair("client_id", CLIENT);
        }
        let mut call = Call::new(Method::GET, url);
        if let Some(header) = self.basic()? {
            call = call.with(AUTHORIZATION, header);
        }
        Ok(call)
    }

    /// Not led elsewhere, because it holds secrets; repeated like every question.
    async fn ask(&self, call: &Call) -> Result<reqwest::Response, Error> {
        let mut attempt = 1;
        loop {
            let sent = self.shared.transmit(self, call.clone()).await;
            let busy = match &sent {
                Ok(response) => matches!(response.status().as_u16(), 429 | 502..=504),
                Err(error) => crate::session::is_transient(error),
            };
            if !busy || attempt >= self.attempts {
                return sent;
            }
            drop(sent);
            tokio::time::sleep(self.backoff(attempt)).await;
            attempt += 1;
        }
    }
}

/// OAuth 2.0's grants (RFC 6749 sections 4.3 and 6), as token servers of registries take them. None for
/// who has nothing to show.
fn oauth(url: Url, key: &Key, keep: bool) -> Option<Call> {
    let mut form = Url::parse("form:").ok()?;
    {
        let mut pairs = form.query_pairs_mut();
        match &key.credential {
            Credential::IdentityToken(refresh) => pairs
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", refresh),
            Credential::Password { username, password } => pairs
                .append_pair("grant_type", "password")
                .append_pair("username", username)
                .append_pair("password", password),
            Credential::Anonymous | Credential::RegistryToken(_) => return None,
        };
        if keep {
            pairs.append_pair("access_type", "offline");
        }
        pairs.append_pair("client_id", CLIENT);
        pairs.append_pair("service", key.service.as_deref().unwrap_or_default());
        pairs.append_pair("scope", &key.scopes.join(" "));
    }
    let body = form.query().unwrap_or_default().to_owned();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut call = Call::new(Method::POST, url).with(CONTENT_TYPE, kind);
    call.body = Some(Bytes::from(body));
    Some(call)
}

#[cfg(test)]
mod tests {
    use crate::{Client, Config, Credentials};

    /// What becomes of a realm that a registry names.
    fn realm(insecure: &[&str], registry: &str, realm: &str) -> Result<String, String> {
        let config = Config {
            insecure: insecure.iter().map(ToString::to_string).collect(),
            ..Config::default()
        };
        let client = Client::new(config).unwrap();
        let session = client.whole(registry, &Credentials::anonymous(), "log in".into());
        let realm = session.unwrap().realm(realm);
        realm.map(|url| url.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn secrets_are_sent_over_plain_http_to_insecure_hosts_only() {
        let (registry, plain) = ("reg.example.com", "http://auth.example.com/token");
        let tls = "https://auth.example.com/token";
        assert_eq!(realm(&[], registry, tls).as_deref(), Ok(tls));
        assert_eq!(
            realm(&[], registry, plain).unwrap_err(),
            "cannot log in: registry reg.example.com wants a token fetched from \
             \"http://auth.example.com/token\", which would send secrets over plain http"
        );
        let insecure = ["auth.example.com"];
        assert_eq!(realm(&insecure, registry, plain).as_deref(), Ok(plain));
        let near = "http://localhost:5001/token";
        assert_eq!(realm(&[], registry, near).as_deref(), Ok(near));
    }
}
