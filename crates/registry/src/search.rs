//! Images by words in their names.

use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use crate::error::Error;
use crate::route::{self, DOCKER, Need};
use crate::session::{Call, Session};
use crate::tags::{page, query};
use crate::{Client, Credentials};

/// Docker's search is on another host than its registry.
const DOCKER_SEARCH: &str = "index.docker.io";
const MAX_ANSWER: u64 = 4 << 20;
const MOST: u32 = 100;
/// Of a catalogue so many pages are looked at.
const PAGES: usize = 100;
const PAGE: u32 = 1000;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Words, with a registry's host before them if it is not Docker's: `nginx`, `localhost:5000/app`.
    pub term: String,
    /// How many at most: 1 to 100.
    pub limit: u32,
}

/// One repository that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As people write it.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// How many like it.
    pub stars: u64,
    /// One of Docker's own library.
    pub official: bool,
    /// Built by the registry.
    pub automated: bool,
}

#[derive(Debug, Deserialize)]
struct Results {
    results: Option<Vec<Entry>>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    description: Option<String>,
    star_count: Option<u64>,
    is_official: Option<bool>,
    is_automated: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Catalogue {
    repositories: Option<Vec<String>>,
}

impl Client {
    /// Searches: by Docker's search where the registry has it, else in the registry's catalogue.
    ///
    /// # Errors
    /// When the registry has neither, and all others.
    pub async fn search(
        &self,
        search: &Search,
        credentials: &Credentials,
    ) -> Result<Vec<Found>, Error> {
        let Search { term, limit } = search;
        if !(1..=MOST).contains(limit) {
            return Err(Error::Invalid(format!(
                "limit {limit} is outside the range of [1, {MOST}]"
            )));
        }
        let (host, words) = split(term);
        let session = self.searching(&host, term, credentials)?;
        let limit = usize::try_from(*limit).unwrap_or(1);
        match by_index(&session, &words, limit).await? {
            Some(found) => Ok(found),
            None => by_catalogue(session, &host, &words, limit).await,
        }
    }

    /// Rules for the registry as a whole count here too.
    fn searching(
        &self,
        host: &str,
        term: &str,
        credentials: &Credentials,
    ) -> Result<Session, Error> {
        let whole = format!("{host}/a").parse();
        let whole = whole.map_err(|_| Error::Invalid(format!("{host:?} is no registry")))?;
        let mut endpoints = route::plan(&self.shared.config, &whole, Need::Change)?;
        let what = format!("search {host} for {term:?}");
        let mut session = self.whole(host, credentials, what)?;
        if let Some(endpoint) = endpoints.pop().filter(|e| e.host != host) {
            session.credential = credentials.of(&endpoint.host, host).clone();
            session.endpoint = endpoint;
        }
        session.endpoint.repository.clear();
        Ok(session)
    }
}

/// The registry and the words: a host before them is one as in references.
fn split(term: &str) -> (String, String) {
    match term.split_once('/') {
        Some((host, words)) if host.contains(['.', ':']) || host == "localhost" => {
            let host = if host == DOCKER_SEARCH { DOCKER } else { host };
            (host.to_owned(), words.to_owned())
        }
        _ => {
            let words = term.strip_prefix("library/").unwrap_or(term);
            (DOCKER.to_owned(), words.to_owned())
        }
    }
}

/// Docker's search; none when the registry has no such thing.
async fn by_index(
    session: &Session,
    words: &str,
    limit: usize,
) -> Result<Option<Vec<Found>>, Error> {
    let mut session = session.clone();
    if session.endpoint.host == DOCKER {
        DOCKER_SEARCH.clone_into(&mut session.endpoint.address);
    }
    "/v1".clone_into(&mut session.endpoint.root);
    let mut url: Url = session.url("/search")?;
    url.query_pairs_mut()
        .append_pair("q", words)
        .append_pair("n", &limit.to_string());
    let response = session.send(&Call::new(Method::GET, url)).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            if session.endpoint.host != DOCKER =>
        {
            return Ok(None);
        }
        _ => return Err(session.refusal(response).await),
    }
    let body = session
        .document(response, MAX_ANSWER, "search results")
        .await?;
    let Ok(results) = serde_json::from_slice::<Results>(&body) else {
        return Err(session.broken("sent search results that cannot be read"));
    };
    let found = results.results.unwrap_or_default().into_iter().take(limit);
    Ok(Some(found.map(Into::into).collect()))
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            description: entry.description.unwrap_or_default(),
            stars: entry.star_count.unwrap_or_default(),
            official: entry.is_official.unwrap_or_default(),
            automated: entry.is_automated.unwrap_or_default(),
        }
    }
}

/// Every name with the words in it, from a registry's list of all.
async fn by_catalogue(
    mut session: Session,
    host: &str,
    words: &str,
    limit: usize,
) -> Result<Vec<Found>, Error> {
    session.purpose.scopes = vec!["registry:catalog:*".to_owned()];
    let words = words.to_lowercase();
    let (mut found, mut last) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let rest = format!("/_catalog{}", query(Some(PAGE), last.as_deref()));
        let (catalogue, next) = page::<Catalogue>(&session, &rest).await?;
        let names = catalogue.repositories.unwrap_or_default();
        let fitting = names.into_iter().filter(|name| name.contains(&words));
        found.extend(
            fitting
                .take(limit - found.len())
                .map(|name| in_catalogue(host, &name)),
        );
        if found.len() == limit || next.is_none() || next == last {
            break;
        }
        last = next;
    }
    Ok(found)
}

fn in_catalogue(host: &str, name: &str) -> Found {
    Found {
        name: format!("{host}/{name}"),
        description: String::new(),
        stars: 0,
        official: false,
        automated: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_before_the_words_is_a_registry() {
        let table = [
            ("nginx", ("docker.io", "nginx")),
            ("user/nginx", ("docker.io", "user/nginx")),
            ("library/nginx", ("docker.io", "nginx")),
            ("localhost:5000/a/b", ("localhost:5000", "a/b")),
            ("index.docker.io/a", ("docker.io", "a")),
        ];
        for (term, (host, words)) in table {
            assert_eq!(split(term), (host.to_owned(), words.to_owned()), "{term}");
        }
    }
}
