//! Tokens (the distribution project's token authentication, and OAuth 2.0 in it): one for each scope,
//! kept until shortly before it ends, fetched once however many ask at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::Credential;

/// A token that says nothing about its life lives so long (token authentication, `expires_in`).
const USUAL_LIFE: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// So much earlier a new one is fetched, at most a tenth of its life.
const MARGIN: Duration = Duration::from_secs(10);
/// More kept tokens than this are a stranger's doing.
const MAX_KEPT: usize = 1024;
/// The longest answer of a token server.
pub(crate) const MAX_ANSWER: u64 = 256 << 10;

/// For what and for whom a token is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Where it is given out.
    pub realm: String,
    /// For which service.
    pub service: Option<String>,
    /// For what.
    pub scopes: Vec<String>,
    /// For whom.
    pub credential: Credential,
}

/// A token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// `Bearer ...`.
    pub header: HeaderValue,
    expires: Instant,
}

impl Token {
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now < self.expires
    }
}

/// Where one token is kept, locked by who fetches it.
pub(crate) type Place = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens of a client.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// Held for the look-up only, never while one is fetched.
    kept: Mutex<HashMap<Key, Place>>,
}

impl Tokens {
    /// Where the token of `key` is, or is to be put.
    pub(crate) fn place(&self, key: &Key) -> Place {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.get(key) {
            return place.clone();
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let place = Place::default();
        kept.insert(key.clone(), place.clone());
        place
    }
}

/// What a token server answers.
#[derive(Deserialize)]
pub(crate) struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    /// A number, or a text with one in it, depending on who made the server.
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<String>,
}

impl Answer {
    /// Reads one.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|_| "gave an answer that is no token".to_owned())
    }

    /// The token, received at `now`.
    pub(crate) fn token(&self, now: Instant) -> Result<Token, String> {
        let both = [&self.token, &self.access_token];
        let text = both.into_iter().flatten().find(|t| !t.is_empty());
        let text = text.ok_or("gave an answer without a token")?;
        let header = HeaderValue::from_str(&format!("Bearer {text}"));
        let mut header = header.map_err(|_| "gave a token that cannot be in a header")?;
        header.set_sensitive(true);
        let life = self.expires_in.as_ref().map_or(USUAL_LIFE, life);
        let expires = now + life.saturating_sub(MARGIN.min(life / 10));
        Ok(Token { header, expires })
    }

    /// What to keep instead of a password.
    pub(crate) fn refresh_token(self) -> Option<String> {
        self.refresh_token.filter(|token| !token.is_empty())
    }
}

/// Whatever was written: none lives for ever.
fn life(seconds: &serde_json::Value) -> Duration {
    let number = seconds.as_f64().or_else(|| seconds.as_str()?.parse().ok());
    number
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(USUAL_LIFE)
        .clamp(Duration::from_secs(1), LONGEST_LIFE)
}

/// `repository:library/debian:pull,push`.
pub(crate) fn scope(repository: &str, actions: &str) -> String {
    format!("repository:{repository}:{actions}")
}

/// The scopes wanted, with those that a challenge asks for besides.
pub(crate) fn merge(wanted: &[String], challenge: Option<&str>) -> Vec<String> {
    const MOST: usize = 16;
    let mut all = wanted.to_vec();
    for more in challenge
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
        .take(MOST)
    {
        if !all.iter().any(|scope| covers(scope, more)) {
            all.push(more.to_owned());
        }
    }
    all
}

/// Whether one scope has the actions of another on the same thing.
fn covers(scope: &str, other: &str) -> bool {
    match (scope.rsplit_once(':'), other.rsplit_once(':')) {
        (Some((thing, actions)), Some((other_thing, others))) => {
            thing == other_thing
                && others
                    .split(',')
                    .all(|o| actions.split(',').any(|a| a == o))
        }
        _ => scope == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_token_servers_are_read() {
        let now = Instant::now();
        let read = |text: &str| {
            let token = Answer::parse(text.as_bytes())?.token(now)?;
            let life = token.expires.duration_since(now).as_secs();
            Ok::<_, String>((token.header.to_str().unwrap().to_owned(), life))
        };
        let table = [
            (r#"{"token":"a"}"#, Ok(("Bearer a", 54))),
            (
                r#"{"access_token":"b","expires_in":300,"token":""}"#,
                Ok(("Bearer b", 290)),
            ),
            (r#"{"token":"c","expires_in":"300"}"#, Ok(("Bearer c", 290))),
            (r#"{"token":"c","expires_in":-5}"#, Ok(("Bearer c", 54))),
            (r#"{"token":"c","expires_in":1e300}"#, Ok(("Bearer c", 54))),
            (r#"{"token":"c","expires_in":1e9}"#, Ok(("Bearer c", 86390))),
            (
                r#"{"token":"a\nb"}"#,
                Err("gave a token that cannot be in a header"),
            ),
            (r#"{}"#, Err("gave an answer without a token")),
            ("[]", Err("gave an answer that is no token")),
        ];
        for (text, expected) in table {
            let expected = expected
                .map(|(t, l)| (t.to_owned(), l))
                .map_err(str::to_owned);
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn scopes_that_are_had_are_not_asked_for_twice() {
        let own = [scope("a", "pull,push")];
        let table = [
            (None, vec!["repository:a:pull,push"]),
            (Some("repository:a:pull"), vec!["repository:a:pull,push"]),
            (
                Some("repository:a:pull,delete registry:catalog:*"),
                vec![
                    "repository:a:pull,push",
                    "repository:a:pull,delete",
                    "registry:catalog:*",
                ],
            ),
        ];
        for (challenge, expected) in table {
            assert_eq!(merge(&own, challenge), expected, "{challenge:?}");
        }
    }

    #[test]
    fn kept_tokens_are_bounded() {
        let tokens = Tokens::default();
        for number in 0..3 * MAX_KEPT {
            tokens.place(&Key {
                realm: number.to_string(),
                service: None,
                scopes: Vec::new(),
                credential: Credential::Anonymous,
            });
        }
        assert!(tokens.kept.lock().unwrap().len() <= MAX_KEPT);
    }
}
