//! Content and layers that no image keeps and no stage holds.

use rusqlite::Transaction;
use types::Digest;

use crate::Durability;
use crate::error::Error;
use crate::stage::Leases;
use crate::store::{State, Store};

/// A layer that no image stands on, no content is made of and no result of a build has.
macro_rules! unused_layer {
    () => {
        "NOT EXISTS (SELECT 1 FROM image_layers WHERE diff_id = layers.diff_id)
         AND NOT EXISTS (SELECT 1 FROM content WHERE kept = 1 AND content.diff_id = layers.diff_id)
         AND NOT EXISTS (SELECT 1 FROM build_layers WHERE diff_id = layers.diff_id)"
    };
}

/// What lost its last user in a transaction; its files go when that is committed.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    content: Vec<Digest>,
    layers: Vec<u64>,
}

/// Removes rows that nothing needs.
pub(crate) fn sweep(tx: &Transaction<'_>, leases: &Leases) -> Result<Garbage, Error> {
    let mut garbage = Garbage::default();
    let unused = "SELECT digest FROM content
        WHERE NOT EXISTS (SELECT 1 FROM image_content WHERE digest = content.digest)";
    for digest in tx
        .prepare_cached(unused)?
        .query_map([], |row| row.get::<_, String>(0))?
    {
        let digest = parse_digest(digest?)?;
        if !leases.content.contains_key(&digest) {
            garbage.content.push(digest);
        }
    }
    for digest in &garbage.content {
        tx.prepare_cached("DELETE FROM content WHERE digest = ?1")?
            .execute([digest.to_string()])?;
    }
    let mut diff_ids = Vec::new();
    let mut query = tx.prepare_cached(concat!(
        "SELECT diff_id, number FROM layers WHERE ",
        unused_layer!()
    ))?;
    for row in query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })? {
        let (diff_id, number) = row?;
        let diff_id = parse_digest(diff_id)?;
        if !leases.layers.contains_key(&diff_id) {
            garbage.layers.push(number.cast_unsigned());
            diff_ids.push(diff_id);
        }
    }
    for diff_id in diff_ids {
        tx.prepare_cached("DELETE FROM layers WHERE diff_id = ?1")?
            .execute([diff_id.to_string()])?;
    }
    Ok(garbage)
}

/// Moves the files away. Under the store's lock, so that nobody brings the same content meanwhile.
pub(crate) fn discard(store: &Store, garbage: Garbage) {
    let blobs = garbage
        .content
        .iter()
        .map(|digest| store.paths.blob(digest));
    let layers = garbage
        .layers
        .iter()
        .map(|number| store.paths.layer(*number));
    for path in blobs.chain(layers) {
        // The row is gone: what stays is removed at the next open.
        let _ = store.trash.discard(&path);
    }
}

/// Sweeps and discards, when there is anything to do.
pub(crate) fn collect(store: &Store, state: &mut State) -> Result<(), Error> {
    let State { database, leases } = state;
    let any = concat!(
        "SELECT EXISTS (SELECT 1 FROM content
            WHERE NOT EXISTS (SELECT 1 FROM image_content WHERE digest = content.digest))
        OR EXISTS (SELECT 1 FROM layers WHERE ",
        unused_layer!(),
        ")"
    );
    if !database
        .read()
        .prepare_cached(any)?
        .query_row([], |row| row.get::<_, bool>(0))?
    {
        return Ok(());
    }
    let garbage = database.write(Durability::Process, |tx| sweep(tx, leases))?;
    discard(store, garbage);
    Ok(())
}

/// A digest this crate wrote.
pub(crate) fn parse_digest(text: String) -> Result<Digest, Error> {
    text.parse().map_err(|_| Error::Record {
        what: "digest",
        text,
    })
}
