//! The tags of a repository.

use std::collections::HashSet;

use reqwest::header::LINK;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Action, Error};
use crate::route::Need;
use crate::session::{Call, Session, resolve_location, same_origin};
use crate::{Repository, header};

/// The longest page of a list.
const MAX_PAGE: u64 = 16 << 20;
/// A list that is longer is a stranger's joke.
const MAX_PAGES: usize = 10_000;
const MAX_NAMES: usize = 2_000_000;

/// A page of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// As the registry sorts them.
    pub tags: Vec<String>,
    /// What to ask for the next page with, if there is one.
    pub next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Wire {
    tags: Option<Vec<String>>,
}

impl Repository {
    /// One page of at most `limit` tags (the registry's own number if none), after the tag `last`, which
    /// may also be the `next` of the page before.
    ///
    /// # Errors
    /// [`Error::NoRepository`] and all others.
    pub async fn tags(&self, limit: Option<u32>, last: Option<&str>) -> Result<Tags, Error> {
        let what = format!("list the tags of {}", self.reference.familiar_name());
        let mut tries = self.tries(Need::Tag, Action::Pull, &what)?;
        while let Some(session) = tries.next() {
            let query = query(limit, last);
            match page::<Wire>(&session, &format!("/tags/list{query}")).await {
                Ok((wire, next)) => {
                    return Ok(Tags {
                        tags: wire.tags.unwrap_or_default(),
                        next,
                    });
                }
                Err(Error::Refused {
                    status: 404, said, ..
                }) => {
                    let repository = self.reference.familiar_name();
                    tries.failed(&session, Error::NoRepository { repository, said })?;
                }
                Err(error) => tries.failed(&session, error)?,
            }
        }
        Err(self.nobody())
    }

    /// All tags, page by page, sorted as they come.
    ///
    /// # Errors
    /// As [`Repository::tags`], and when there is no end of them.
    pub async fn all_tags(&self) -> Result<Vec<String>, Error> {
        let (mut all, mut last, mut seen) = (Vec::new(), None, HashSet::new());
        loop {
            let page = self.tags(None, last.as_deref()).await?;
            all.extend(page.tags);
            let Some(next) = page.next else {
                return Ok(all);
            };
            if seen.len() >= MAX_PAGES || all.len() > MAX_NAMES || !seen.insert(next.clone()) {
                let name = self.reference.familiar_name();
                return Err(Error::Invalid(format!(
                    "the registry's list of the tags of {name} has no end"
                )));
            }
            last = Some(next);
        }
    }
}

/// The question for a page. A `next` is a question already: no tag has a `=` in it.
pub(crate) fn query(limit: Option<u32>, last: Option<&str>) -> String {
    if let Some(next) = last.filter(|last| last.contains('=')) {
        return format!("?{next}");
    }
    let limit = limit.map(|limit| format!("n={limit}"));
    let last = last.map(|last| format!("last={last}"));
    let parts: Vec<_> = [limit, last].into_iter().flatten().collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("?{}", parts.join("&"))
    }
}

/// One page of a list, and the question for the next one.
pub(crate) async fn page<T: DeserializeOwned>(
    session: &Session,
    rest: &str,
) -> Result<(T, Option<String>), Error> {
    let response = session
        .send(&Call::new(Method::GET, session.url(rest)?))
        .await?;
    if response.status() != StatusCode::OK {
        return Err(session.refusal(response).await);
    }
    let next = next_question(&response);
    let body = session.document(response, MAX_PAGE, "a list").await?;
    let page = serde_json::from_slice(&body)
        .map_err(|_| session.broken("sent a list that cannot be read"))?;
    Ok((page, next))
}

/// Of the next page's address only the question is taken: it is the same list of the same registry.
pub(crate) fn next_question(response: &Response) -> Option<String> {
    let links = response.headers().get_all(LINK);
    let target = links
        .iter()
        .find_map(|link| header::next(link.to_str().ok()?))?;
    question(response.url(), target)
}

pub(crate) fn question(base: &Url, target: &str) -> Option<String> {
    let url = resolve_location(base, target).ok()?;
    let query = url.query().filter(|query| query.contains('='))?;
    same_origin(&url, base).then(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for() {
        assert_eq!(query(None, None), "");
        assert_eq!(query(Some(3), Some("a")), "?n=3&last=a");
        assert_eq!(query(Some(3), Some("next=x&n=1")), "?next=x&n=1");
    }

    #[test]
    fn the_next_page_is_on_the_same_registry() {
        let base = Url::parse("https://reg:5000/v2/a/tags/list?n=2").unwrap();
        let table = [
            ("/v2/a/tags/list?last=b&n=2", Some("last=b&n=2")),
            ("?token=%20x", Some("token=%20x")),
            ("https://reg:5000/v2/other?last=b", Some("last=b")),
            ("https://evil:5000/v2/a/tags/list?last=b", None),
            ("/v2/a/tags/list", None),
        ];
        for (target, expected) in table {
            assert_eq!(question(&base, target).as_deref(), expected, "{target}");
        }
    }
}
