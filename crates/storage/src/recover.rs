//! What a crash leaves: files that no row names, rows of containers that never came to be.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Transaction;

use crate::Durability;
use crate::build;
use crate::content::kept;
use crate::error::Error;
use crate::gc;
use crate::paths::{self, DIFF, EMPTY_LAYER};
use crate::places;
use crate::store::{Store, make_dir};
use crate::volume;

/// Finishes or undoes it; returns the first free layer number.
pub(crate) fn recover(store: &Store) -> Result<u64, Error> {
    let known = {
        let state = &mut *store.state();
        let forget = build::forget_lost;
        state.database.write(Durability::Process, forget)?;
        gc::collect(store, state)?;
        state.database.write(Durability::Process, known)?
    };
    let paths = &store.paths;
    remove_unknown(store, &paths.tmp(), |_| false)?;
    keep_received(store, &known)?;
    store.partials.collect(&paths.partials(), false)?;
    remove_unknown(store, &paths.containers(), |name| {
        known.snapshots.contains(name)
    })?;
    remove_unknown(store, &paths.layers(), |name| {
        paths::layer_number(name).is_some_and(|n| n == EMPTY_LAYER || known.layers.contains(&n))
    })?;
    remove_unknown(store, &paths.caches(), |name| {
        paths::layer_number(name).is_some_and(|n| known.caches.contains(&n))
    })?;
    let empty = paths.layer(EMPTY_LAYER).join(DIFF);
    make_dir(&empty, 0o755)?;
    places::make(paths)?;
    store.trash.empty();
    Ok(known.layers.iter().max().unwrap_or(&EMPTY_LAYER) + 1)
}

/// Throws away directories that no volume names; returns the first free number.
pub(crate) fn volumes(store: &Store) -> Result<u64, Error> {
    let known: HashSet<u64> = store.read(volume::numbers)?.into_iter().collect();
    remove_unknown(store, &store.paths.volumes(), |name| {
        paths::layer_number(name).is_some_and(|number| known.contains(&number))
    })?;
    Ok(known.iter().max().map_or(0, |highest| highest + 1))
}

/// Names that belong to somebody.
struct Known {
    content: HashSet<String>,
    dropped: HashSet<String>,
    layers: HashSet<u64>,
    snapshots: HashSet<String>,
    caches: HashSet<u64>,
}

fn known(tx: &Transaction<'_>) -> Result<Known, Error> {
    // A writable layer whose container's record was never written, or was lost in a power cut.
    tx.execute(
        "DELETE FROM snapshots WHERE container NOT IN (SELECT id FROM containers)",
        [],
    )?;
    let mut known = Known {
        content: HashSet::new(),
        dropped: HashSet::new(),
        layers: HashSet::new(),
        snapshots: HashSet::new(),
        caches: HashSet::new(),
    };
    for row in tx
        .prepare("SELECT digest, kept FROM content")?
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?
    {
        let (digest, how) = row?;
        let digest = gc::parse_digest(digest)?.hex().to_owned();
        match how {
            kept::FILE => known.content.insert(digest),
            _ => known.dropped.insert(digest),
        };
    }
    for row in tx
        .prepare("SELECT number FROM layers")?
        .query_map([], |row| row.get::<_, i64>(0))?
    {
        known.layers.insert(row?.cast_unsigned());
    }
    for row in tx
        .prepare("SELECT number FROM build_mounts")?
        .query_map([], |row| row.get::<_, i64>(0))?
    {
        known.caches.insert(row?.cast_unsigned());
    }
    for row in tx
        .prepare("SELECT container FROM snapshots")?
        .query_map([], |row| row.get(0))?
    {
        known.snapshots.insert(row?);
    }
    Ok(known)
}

/// Content without a row was whole when it was put there: a pull that was cut off may come back for it.
fn keep_received(store: &Store, known: &Known) -> Result<(), Error> {
    let dirs = store.paths.blobs();
    dirs.iter()
        .try_for_each(|dir| keep_received_in(store, known, dir))
}

fn keep_received_in(store: &Store, known: &Known, dir: &Path) -> Result<(), Error> {
    // What is kept as its layer was being dropped.
    let dropped = &known.dropped;
    for entry in std::fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let entry = entry.map_err(Error::file("read", dir))?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| known.content.contains(name))
        {
            continue;
        }
        let place = store.paths.partials().join(&name);
        let moved = match name.to_str().is_some_and(|name| dropped.contains(name)) {
            true => std::fs::remove_file(entry.path()),
            false => std::fs::rename(entry.path(), place),
        };
        moved.or_else(|_| store.trash.discard(&entry.path()))?;
    }
    Ok(())
}

fn remove_unknown(store: &Store, dir: &Path, is_known: impl Fn(&str) -> bool) -> Result<(), Error> {
    for entry in std::fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let entry = entry.map_err(Error::file("read", dir))?;
        if !entry.file_name().to_str().is_some_and(&is_known) {
            store.trash.discard(&entry.path())?;
        }
    }
    Ok(())
}
