//! Mending: content from its layer or from the database, a layer from its content. What cannot be
//! mended is marked, so that it is not taken for here and comes again with the next pull.

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use types::{ContainerId, Digest, ImageRef};

use super::{BUFFER, Blob, Check, Checked, Layer, Problem, Remedy};
use crate::Durability;
use crate::content::kept;
use crate::encoder::{self, name};
use crate::error::Error;
use crate::hash::digest_of;
use crate::image::layers::{self, Job};
use crate::layer::{Rebuilt, Unpacked};
use crate::store::Store;

/// Content that is damaged.
pub(super) fn blob(
    store: &Arc<Store>,
    check: &Check<'_>,
    blob: &Blob,
    problem: String,
    checked: &mut Checked,
) -> Result<(), Error> {
    let remedy = match check.repair {
        false => Remedy::Repair,
        true if mend_blob(store, blob)? => Remedy::Mended,
        true => {
            lose_blob(store, &blob.digest)?;
            Remedy::PullAgain
        }
    };
    checked.problems.push(Problem {
        text: format!("blob {} {problem}", blob.digest),
        remedy,
        images: images(store, "image_content", "digest", &blob.digest)?,
    });
    Ok(())
}

/// Writes the content again; whether there was anything to write it from.
fn mend_blob(store: &Arc<Store>, blob: &Blob) -> Result<bool, Error> {
    if let Some(text) = configuration(store, &blob.digest)? {
        return put(store, &blob.digest, &mut text.as_bytes());
    }
    let Some(number) = layer_of(store, blob)? else {
        return Ok(false);
    };
    for encoder in [name::PLAIN, name::MEMBERS] {
        // What cannot be read of the layer is told when the layer is looked at.
        let Ok(archive) = Rebuilt::open(&store.paths.layer(number)) else {
            return Ok(false);
        };
        let recipe = store.paths.recipe(number, &blob.digest);
        let stream = encoder::encoded(encoder, archive, recipe)?;
        if put(
            store,
            &blob.digest,
            &mut BufReader::with_capacity(BUFFER, stream),
        )? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text of a configuration, of which the database has a copy.
fn configuration(store: &Store, digest: &Digest) -> Result<Option<String>, Error> {
    let texts: Vec<String> = store.read(|db| {
        let mut query = db.prepare("SELECT DISTINCT config FROM manifests")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })?;
    let is_it = |text: &String| digest_of(digest.algorithm(), text.as_bytes()) == *digest;
    Ok(texts.into_iter().find(is_it))
}

fn layer_of(store: &Store, blob: &Blob) -> Result<Option<u64>, Error> {
    let Some(diff_id) = &blob.diff_id else {
        return Ok(None);
    };
    let sql = "SELECT number FROM layers WHERE diff_id = ?1 AND recorded AND NOT damaged";
    store.read(|db| {
        let mut query = db.prepare(sql)?;
        let row = query.query_row([diff_id.to_string()], |row| row.get::<_, i64>(0));
        Ok(row.optional()?.map(i64::cast_unsigned))
    })
}

/// Puts content in its place if it is what it should be.
fn put(store: &Arc<Store>, digest: &Digest, from: &mut dyn io::Read) -> Result<bool, Error> {
    let mut ingest = store.ingest_as(digest.algorithm())?;
    if io::copy(from, &mut ingest).is_err() {
        return Ok(false);
    }
    let blob = ingest.finish();
    if blob.digest != *digest {
        return Ok(false);
    }
    let path = store.paths.blob(digest);
    blob.open()?
        .sync_data()
        .map_err(Error::file("sync", &path))?;
    blob.move_to(&path)?;
    let sql = "UPDATE content SET kept = ?2, encoder = NULL WHERE digest = ?1";
    store.write(Durability::Power, |tx| {
        tx.execute(sql, params![digest.to_string(), kept::FILE])?;
        Ok(true)
    })
}

fn lose_blob(store: &Store, digest: &Digest) -> Result<(), Error> {
    let sql = "UPDATE content SET kept = ?2, encoder = NULL WHERE digest = ?1";
    store.write(Durability::Power, |tx| {
        tx.execute(sql, params![digest.to_string(), kept::LOST])?;
        Ok(())
    })?;
    // It may not be there; what stays is removed at the next open.
    let _ = store.trash.discard(&store.paths.blob(digest));
    Ok(())
}

/// A layer that is damaged; `source` is the whole content it came from, if there is any.
pub(super) fn layer(
    store: &Arc<Store>,
    check: &Check<'_>,
    layer: &Layer,
    source: Option<PathBuf>,
    problem: String,
    checked: &mut Checked,
) -> Result<(), Error> {
    let remedy = if check.repair {
        mend_layer(store, check, layer, source)?
    } else {
        Remedy::Repair
    };
    checked.problems.push(Problem {
        text: format!("layer {} is damaged: {problem}", layer.diff_id),
        remedy,
        images: images(store, "image_layers", "diff_id", &layer.diff_id)?,
    });
    Ok(())
}

fn mend_layer(
    store: &Arc<Store>,
    check: &Check<'_>,
    layer: &Layer,
    source: Option<PathBuf>,
) -> Result<Remedy, Error> {
    // The kernel has it open below a container: to be changed it has to be let go.
    if users(store, &layer.diff_id)?.iter().any(check.runs) {
        return Ok(Remedy::InUse);
    }
    let unpacked = source.and_then(|file| {
        let job = Job {
            what: format!("layer {}", layer.diff_id),
            diff_id: layer.diff_id.clone(),
            file,
        };
        layers::unpack(store, vec![job]).ok()?.pop()
    });
    match unpacked {
        Some(unpacked) => {
            replace(store, layer, unpacked)?;
            Ok(Remedy::Mended)
        }
        None => {
            let sql = "UPDATE layers SET damaged = 1 WHERE diff_id = ?1";
            store.write(Durability::Power, |tx| {
                tx.execute(sql, [layer.diff_id.to_string()])?;
                Ok(Remedy::PullAgain)
            })
        }
    }
}

/// The new directory in the row, then the old one away.
fn replace(store: &Arc<Store>, layer: &Layer, unpacked: Unpacked) -> Result<(), Error> {
    let root = store.paths.layers();
    sys::dir::Dir::open(&root)
        .and_then(|dir| dir.sync_file_system())
        .map_err(Error::file("sync", &root))?;
    let sql = "UPDATE layers SET number = ?2, recorded = ?3, damaged = 0, disk = NULL
        WHERE diff_id = ?1";
    store.write(Durability::Power, |tx| {
        tx.execute(
            sql,
            params![
                layer.diff_id.to_string(),
                unpacked.number.cast_signed(),
                unpacked.recorded
            ],
        )?;
        Ok(())
    })?;
    unpacked.keep();
    // It may be gone already, which was the damage.
    let _ = store.trash.discard(&store.paths.layer(layer.number));
    Ok(())
}

/// Containers that stand on a layer.
fn users(store: &Store, diff_id: &Digest) -> Result<Vec<ContainerId>, Error> {
    let sql = "SELECT DISTINCT container FROM snapshots
        JOIN image_layers ON image_layers.image = snapshots.image
            AND image_layers.manifest = snapshots.manifest
        WHERE diff_id = ?1";
    let ids: Vec<String> = store.read(|db| {
        let mut query = db.prepare(sql)?;
        let rows = query.query_map([diff_id.to_string()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Names of the images that something is part of.
fn images(
    store: &Store,
    table: &'static str,
    column: &'static str,
    digest: &Digest,
) -> Result<Vec<ImageRef>, Error> {
    let sql = format!(
        "SELECT DISTINCT name FROM names JOIN {table} ON {table}.image = names.image
            WHERE {column} = ?1 ORDER BY name"
    );
    let names: Vec<String> = store.read(|db| {
        let mut query = db.prepare(&sql)?;
        let rows = query.query_map([digest.to_string()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}
