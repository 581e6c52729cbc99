//! Whether credentials are right.

use std::fmt;

use reqwest::{Method, Response, StatusCode, Url};

use crate::error::{Action, Error};
use crate::header::{self, Challenge};
use crate::route::{self, DOCKER};
use crate::session::{Call, Purpose, Session};
use crate::token::Key;
use crate::transmit::is_at;
use crate::{Client, Credential, Credentials};

/// What a login has got.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// A token to keep instead of the password, if the registry gives one.
    pub identity_token: Option<String>,
}

impl fmt::Debug for Login {
    /// The token is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login(token: {})", self.identity_token.is_some())
    }
}

impl Client {
    /// Asks a registry (`docker.io`, `host:port`, or Docker's `https://index.docker.io/v1/`) whether the
    /// credentials for it are right.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when it is not, and all others.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<Login, Error> {
        let host = host_of(registry);
        let session = self.whole(&host, credentials, format!("log in to {host}"))?;
        let root = Call::new(Method::GET, session.url("/")?);
        let response = session.follow(&root, None).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            // It is open to all, or does not say who it wants to know.
            return settle(&session, response, None).await;
        }
        let (header, identity_token) = session.introduce(&response).await?;
        let Some(header) = header else {
            return Err(session.refusal(response).await);
        };
        // Where it really spoke: http is known by now.
        let again = Call::new(Method::GET, session.url("/")?);
        let response = session.follow(&again, Some(header)).await?;
        settle(&session, response, identity_token).await
    }

    /// A session with a registry as a whole.
    pub(crate) fn whole(
        &self,
        host: &str,
        credentials: &Credentials,
        what: String,
    ) -> Result<Session, Error> {
        let endpoint = route::own(&self.shared.config, host, "");
        if Url::parse(&format!("https://{}/", endpoint.address)).is_err() {
            return Err(Error::Invalid(format!(
                "{host:?} is no registry: a host or host:port is expected"
            )));
        }
        let purpose = Purpose {
            action: Action::Pull,
            repository: None,
            what,
            scopes: Vec::new(),
        };
        let whose = (credentials, host);
        Ok(Session::new(&self.shared, endpoint, whose, purpose))
    }
}

impl Session {
    /// What to say to a challenge, and what to keep instead of a password.
    async fn introduce(
        &self,
        response: &Response,
    ) -> Result<(Option<reqwest::header::HeaderValue>, Option<String>), Error> {
        let offered = response
            .headers()
            .get_all(reqwest::header::WWW_AUTHENTICATE);
        let offered = offered.iter().filter_map(|value| value.to_str().ok());
        let bearer = offered.flat_map(header::challenges).find_map(|c| match c {
            Challenge::Bearer { realm, service, .. } => Some((realm, service)),
            Challenge::Basic => None,
        });
        let elsewhere = !is_at(response.url(), &self.endpoint);
        let given = elsewhere || matches!(self.credential, Credential::RegistryToken(_));
        let Some((realm, service)) = bearer.filter(|_| !given) else {
            return Ok((self.answer_challenge(response, None).await?, None));
        };
        let key = Key {
            realm,
            service,
            scopes: Vec::new(),
            credential: self.credential.clone(),
        };
        let (token, keep) = self.fetch(&key, true).await?;
        Ok((Some(token.header), keep))
    }
}

async fn settle(
    session: &Session,
    response: Response,
    identity_token: Option<String>,
) -> Result<Login, Error> {
    if response.status() == StatusCode::OK {
        return Ok(Login { identity_token });
    }
    Err(session.refusal(response).await)
}

/// The registry that people mean: Docker's by any of its names.
pub(crate) fn host_of(registry: &str) -> String {
    let place = registry
        .strip_prefix("https://")
        .or_else(|| registry.strip_prefix("http://"))
        .unwrap_or(registry);
    match place.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => DOCKER.to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_known_by_what_people_type() {
        let table = [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("https://reg.example.com/v2/", "reg.example.com"),
        ];
        for (typed, host) in table {
            assert_eq!(host_of(typed), host, "{typed}");
        }
    }
}
