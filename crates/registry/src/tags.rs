//! The tags of a repository.

use crate::{Error, Repository};

/// A page of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// As the registry sorts them.
    pub tags: Vec<String>,
    /// After which the next page begins, if there is one.
    pub next: Option<String>,
}

impl Repository {
    /// One page of at most `limit` tags (the registry's own number if none), after the tag `last`.
    ///
    /// # Errors
    /// [`Error::NoRepository`] and all others.
    pub async fn tags(&self, limit: Option<u32>, last: Option<&str>) -> Result<Tags, Error> {
        let _ = (limit, last);
        Err(self.pending())
    }

    /// All tags, page by page, sorted as they come.
    ///
    /// # Errors
    /// As [`Repository::tags`], and when there is no end of them.
    pub async fn all_tags(&self) -> Result<Vec<String>, Error> {
        Err(self.pending())
    }
}
