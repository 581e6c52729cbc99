//! Removing names and images, with Docker's rules about which of the two is meant.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Transaction};
use types::{Digest, ImageRef};

use super::query;
use crate::error::Error;
use crate::gc;
use crate::store::{State, Store};
use crate::{Durability, Image, Removed};

/// Removes a name, and the image when it was the last; by id all names with it.
pub(crate) fn remove(store: &Store, name: &str, force: bool) -> Result<Vec<Removed>, Error> {
    let mut state = store.state();
    let State { database, leases } = &mut *state;
    let (removed, garbage) = database.write(Durability::Power, |tx| {
        let removed = remove_rows(tx, name, force)?;
        Ok((removed, gc::sweep(tx, leases)?))
    })?;
    gc::discard(store, garbage);
    Ok(removed)
}

fn remove_rows(tx: &Transaction<'_>, name: &str, force: bool) -> Result<Vec<Removed>, Error> {
    let image = query::get(tx, &query::resolve(tx, name)?)?;
    let mut removed = Vec::new();
    let doomed = names_meant(tx, &image, name, force)?;
    let last = doomed.len() == image.references.len();
    let user = user(tx, &image.id)?;
    if let Some(container) = user.as_ref().filter(|_| last && !force) {
        return Err(Error::InUse {
            image: name.to_owned(),
            container: container.chars().take(12).collect(),
            id: image.id.short().to_owned(),
        });
    }
    for reference in doomed {
        tx.execute("DELETE FROM names WHERE name = ?1", [reference.to_string()])?;
        removed.push(Removed::Untagged(reference));
    }
    // What a container runs on stays, without a name.
    if last && user.is_none() {
        tx.execute("DELETE FROM images WHERE id = ?1", [image.id.to_string()])?;
        removed.push(Removed::Deleted(image.id));
    }
    Ok(removed)
}

impl Image {
    /// The names that go when this one is taken away; none if the image is not called so. A repository's last
    /// tag takes the digests along by which the image is known there; a digest by which it is not known means all of
    /// its repository.
    pub fn names_with(&self, reference: &ImageRef) -> Vec<&ImageRef> {
        let repository = reference.repository();
        let of_it = self.references.iter();
        let of_it: Vec<_> = of_it.filter(|r| r.repository() == repository).collect();
        let called = of_it.contains(&reference);
        if reference.digest().is_some() {
            let exact = |r: &&ImageRef| !called || *r == reference;
            return of_it.into_iter().filter(exact).collect();
        }
        let last = !of_it.iter().any(|r| is_tag(r) && *r != reference);
        let goes = |r: &&ImageRef| called && (last || *r == reference);
        of_it.into_iter().filter(goes).collect()
    }

    /// Whether its names are those of one repository, of which one at most is a tag.
    pub fn has_one_name(&self) -> bool {
        let of_one = self
            .references
            .windows(2)
            .all(|two| two[0].repository() == two[1].repository());
        of_one && self.references.iter().filter(|r| is_tag(r)).count() <= 1
    }
}

fn is_tag(reference: &ImageRef) -> bool {
    reference.digest().is_none()
}

/// The names that go: the one given, or by id all of them.
fn names_meant(
    tx: &Transaction<'_>,
    image: &Image,
    name: &str,
    force: bool,
) -> Result<Vec<ImageRef>, Error> {
    let reference = name.parse::<ImageRef>().ok();
    // A whole id is one although a name may be called so.
    let by_name = match &reference {
        Some(reference) => query::named(tx, reference)?.as_ref() == Some(&image.id),
        None => false,
    };
    if let Some(reference) = reference.filter(|_| by_name) {
        return Ok(image.names_with(&reference).into_iter().cloned().collect());
    }
    let first = image.references.first().map(ImageRef::repository);
    let several = image
        .references
        .iter()
        .any(|r| Some(r.repository()) != first);
    if several && !force {
        return Err(Error::ManyRepositories(name.to_owned()));
    }
    Ok(image.references.clone())
}

/// Ids of all images that containers need.
pub(crate) fn in_use(db: &Connection) -> Result<HashSet<String>, Error> {
    let sql = "SELECT image FROM containers UNION SELECT image FROM snapshots
        UNION SELECT image FROM container_images";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A container that needs the image.
fn user(tx: &Transaction<'_>, id: &Digest) -> Result<Option<String>, Error> {
    let sql = "SELECT id FROM containers WHERE image = ?1
        UNION SELECT container FROM snapshots WHERE image = ?1
        UNION SELECT container FROM container_images WHERE image = ?1 LIMIT 1";
    Ok(tx
        .prepare_cached(sql)?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?)
}
