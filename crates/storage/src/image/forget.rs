//! Removing what an image is for some platforms: the image and its names stay, with what is left.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use types::{Digest, Platform};

use super::query;
use super::variants::{Variant, on_platform, parts, variants};
use crate::error::Error;
use crate::gc;
use crate::stage::recount;
use crate::store::{State, Store};
use crate::{Durability, Image, Removed};

/// Removes what the image is for these platforms.
pub(crate) fn forget(
    store: &Arc<Store>,
    name: &str,
    platforms: &[Platform],
) -> Result<Vec<Removed>, Error> {
    loop {
        if let Some(removed) = try_forget(store, name, platforms)? {
            return Ok(removed);
        }
    }
}

/// None when a pull has brought more of the image meanwhile, which may share what was to go.
fn try_forget(
    store: &Arc<Store>,
    name: &str,
    platforms: &[Platform],
) -> Result<Option<Vec<Removed>>, Error> {
    let image = query::find(store, name)?;
    let before = store.read(|db| whole(db, &image.id))?;
    let variants = variants(store, &image)?;
    let doomed = meant(name, &variants, platforms)?;
    let stays = |variant: &&Variant| !doomed.contains(&variant.descriptor.digest);
    let kept: Vec<&Variant> = variants.iter().filter(stays).collect();
    let next = next(store, name, &image, &kept)?;
    let mut content = HashSet::new();
    for variant in variants.iter().filter(|variant| !stays(variant)) {
        content.extend(parts(store, &variant.descriptor)?.into_iter().map(|p| p.0));
    }
    for variant in &kept {
        for (part, _) in parts(store, &variant.descriptor)? {
            content.remove(&part);
        }
    }
    let mut state = store.state();
    let State { database, leases } = &mut *state;
    let garbage = database.write(Durability::Power, |tx| {
        if whole(tx, &image.id)? != before {
            return Ok(None);
        }
        delete(tx, &image, name, &doomed, &next, &content)?;
        gc::sweep(tx, leases).map(Some)
    })?;
    let Some(garbage) = garbage else {
        return Ok(None);
    };
    gc::discard(store, garbage);
    Ok(Some(doomed.into_iter().map(Removed::Deleted).collect()))
}

/// All content of an image.
fn whole(db: &Connection, id: &Digest) -> Result<Vec<String>, Error> {
    let sql = "SELECT digest FROM image_content WHERE image = ?1 ORDER BY digest";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([id.to_string()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The manifests that are here for the platforms.
fn meant(name: &str, variants: &[Variant], platforms: &[Platform]) -> Result<Vec<Digest>, Error> {
    let here = || variants.iter().filter(|v| !v.statement && v.content > 0);
    let mut doomed = Vec::new();
    for platform in platforms {
        let of = |variant: &&Variant| variant.platform.as_ref() == Some(platform);
        let runs = |variant: &&Variant| variant.platform.as_ref().is_some_and(|p| platform.runs(p));
        let found = here().find(of).or_else(|| here().find(runs));
        let found = found.ok_or_else(|| Error::NoPlatform {
            what: format!("image {name}"),
            platform: platform.clone(),
            there: names(here()),
        })?;
        if !doomed.contains(&found.descriptor.digest) {
            doomed.push(found.descriptor.digest.clone());
        }
    }
    // What is stated about them goes with them.
    let stated = variants.iter().filter(|variant| {
        let about = variant.about.as_ref();
        variant.content > 0 && about.is_some_and(|about| doomed.contains(about))
    });
    let stated: Vec<_> = stated
        .map(|variant| variant.descriptor.digest.clone())
        .collect();
    doomed.extend(stated);
    Ok(doomed)
}

fn names<'a>(variants: impl Iterator<Item = &'a Variant>) -> String {
    let names = variants.filter_map(|variant| variant.platform.as_ref());
    names
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What runs when nobody names a platform, once the others are gone.
fn next(store: &Arc<Store>, name: &str, image: &Image, kept: &[&Variant]) -> Result<Digest, Error> {
    if kept.iter().any(|v| v.descriptor.digest == image.manifest) {
        return Ok(image.manifest.clone());
    }
    let mut left = kept.iter().filter(|v| v.available && !v.statement);
    let platform = left.find_map(|variant| variant.platform.clone());
    let platform = platform.ok_or_else(|| Error::LastPlatform(name.to_owned()))?;
    Ok(on_platform(store, &image.id.to_string(), &platform)?.manifest)
}

fn delete(
    tx: &Transaction<'_>,
    image: &Image,
    name: &str,
    doomed: &[Digest],
    next: &Digest,
    content: &HashSet<Digest>,
) -> Result<(), Error> {
    let id = image.id.to_string();
    for manifest in doomed {
        let ids = [id.clone(), manifest.to_string()];
        // Which manifest of it a container mounts is not recorded: none goes then.
        let sql = "SELECT container FROM snapshots WHERE image = ?1 AND manifest = ?2
            UNION SELECT container FROM container_images WHERE image = ?1 LIMIT 1";
        let mut query = tx.prepare_cached(sql)?;
        let user: Option<String> = query.query_row(ids.clone(), |row| row.get(0)).optional()?;
        if let Some(container) = user {
            return Err(Error::PlatformInUse {
                image: name.to_owned(),
                manifest: manifest.short().to_owned(),
                container: container.chars().take(12).collect(),
            });
        }
        tx.prepare_cached("DELETE FROM manifests WHERE image = ?1 AND digest = ?2")?
            .execute(ids)?;
    }
    let sql = "DELETE FROM image_content WHERE image = ?1 AND digest = ?2";
    let mut query = tx.prepare_cached(sql)?;
    for digest in content {
        query.execute([&id, &digest.to_string()])?;
    }
    let sql = "UPDATE images SET manifest = ?2, config =
        (SELECT config FROM manifests WHERE image = ?1 AND digest = ?2) WHERE id = ?1";
    tx.prepare_cached(sql)?
        .execute(params![id, next.to_string()])?;
    recount(tx, &image.id)
}
