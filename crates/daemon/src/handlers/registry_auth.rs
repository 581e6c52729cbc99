//! `X-Registry-Auth`: as whom a registry is asked.

use std::collections::BTreeMap;

use api::convert::decode_auth;
use api::wire::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use engine::image::registries::{Credential, Credentials};
use hyper::header::USER_AGENT;

use crate::http::error::Failure;
use crate::http::request::Call;

/// The header's name.
const HEADER: &str = "x-registry-auth";
/// Its like for several registries.
const CONFIG: &str = "x-registry-config";

/// As whom the request asks; nobody when it does not say, or says it in a way that cannot be read: so it is with
/// Docker, and clients send `{}` bare.
pub(super) fn credentials(call: &Call) -> Credentials {
    let header = call.request.headers().get(HEADER);
    let auth = header.and_then(|header| decode_auth(header.to_str().ok()?));
    let credentials = auth.map_or_else(Credentials::anonymous, |auth| {
        Credentials::own(credential(&auth))
    });
    credentials.for_client(&agent(call))
}

/// What the client calls itself.
pub(super) fn agent(call: &Call) -> String {
    let agent = call.request.headers().get(USER_AGENT);
    let text = agent.and_then(|agent| agent.to_str().ok());
    text.unwrap_or_default().to_owned()
}

/// Of several registries, by what they are called in the client's configuration.
#[derive(Debug, Default)]
pub(super) struct All {
    known: BTreeMap<String, AuthConfig>,
    agent: String,
}

impl All {
    /// As whom the registry of an image is asked.
    pub(super) fn of(&self, image: &types::ImageRef) -> Credentials {
        let domain = image.domain();
        let is_hub = domain == "docker.io";
        let named = |name: &str| {
            let name = name
                .trim_start_matches("https://")
                .trim_start_matches("http://");
            let host = name.split('/').next().unwrap_or_default();
            host == domain || is_hub && matches!(host, "index.docker.io" | "registry-1.docker.io")
        };
        let mut known = self.known.iter();
        let found = match known.find(|(name, _)| named(name)) {
            Some((_, auth)) => Credentials::own(credential(auth)),
            None => Credentials::anonymous(),
        };
        found.for_client(&self.agent)
    }
}

/// `X-Registry-Config`: as whom a build asks registries.
pub(super) fn all(call: &Call) -> Result<All, Failure> {
    let nobody = All {
        agent: agent(call),
        ..All::default()
    };
    let Some(header) = call.request.headers().get(CONFIG) else {
        return Ok(nobody);
    };
    let text = header
        .to_str()
        .unwrap_or_default()
        .replace('-', "+")
        .replace('_', "/");
    let text = STANDARD_NO_PAD.decode(text.trim_end_matches('='));
    let wrong =
        || Failure::bad_request("invalid X-Registry-Config header: JSON in base64 is expected");
    let text = text.map_err(|_| wrong())?;
    if text.is_empty() {
        return Ok(nobody);
    }
    // Docker's library says `null` where there is nobody.
    let all: Result<Option<_>, _> = api::loose::from_slice(&text);
    let all = all.map_err(|_| wrong())?;
    Ok(All {
        known: all.unwrap_or_default(),
        ..nobody
    })
}

/// The strongest thing it says.
pub(super) fn credential(auth: &AuthConfig) -> Credential {
    if !auth.registry_token.is_empty() {
        return Credential::RegistryToken(auth.registry_token.clone());
    }
    if !auth.identity_token.is_empty() {
        return Credential::IdentityToken(auth.identity_token.clone());
    }
    let of_file = || {
        let text = String::from_utf8(STANDARD.decode(&auth.auth).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        Some((username.to_owned(), password.to_owned()))
    };
    let (username, password) = match auth.username.is_empty() {
        true => of_file().unwrap_or_default(),
        false => (auth.username.clone(), auth.password.clone()),
    };
    if username.is_empty() && password.is_empty() {
        return Credential::Anonymous;
    }
    Credential::Password { username, password }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_counts() {
        let mut auth = AuthConfig::default();
        assert_eq!(credential(&auth), Credential::Anonymous);
        auth.auth = STANDARD.encode("ann:se:cret");
        let password = |password: &str| Credential::Password {
            username: "ann".into(),
            password: password.into(),
        };
        assert_eq!(credential(&auth), password("se:cret"));
        auth.username = "ann".into();
        auth.password = "x".into();
        assert_eq!(credential(&auth), password("x"));
        auth.identity_token = "refresh".into();
        assert_eq!(
            credential(&auth),
            Credential::IdentityToken("refresh".into())
        );
        auth.registry_token = "bearer".into();
        assert_eq!(
            credential(&auth),
            Credential::RegistryToken("bearer".into())
        );
    }
}
