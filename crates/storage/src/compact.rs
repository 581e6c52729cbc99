//! Compressed layers that are kept a second time, unpacked: their files are dropped where the same
//! bytes can be made again from the layer, which is tried before.
//!
//! A layer's lease or row keeps it as long as content is made of it ([`crate::gc`]).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::params;
use types::Digest;

use crate::Durability;
use crate::compress::{Format, MAGIC};
use crate::content::kept;
use crate::deflate;
use crate::encoder::{self, name};
use crate::error::Error;
use crate::gc::parse_digest;
use crate::layer::Rebuilt;
use crate::stage::Stage;
use crate::store::Store;
use crate::temp::Hashed;

const BUFFER: usize = 128 << 10;
/// A recipe has to take less than this part of what it is for.
const WORTH: u64 = 2;

/// What dropping compressed layers did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Layers whose compressed form was dropped.
    pub dropped: usize,
    /// Layers whose compressed form stays, because nobody could make the same bytes again.
    pub kept: usize,
    /// Bytes of disk that are free now.
    pub reclaimed: u64,
}

/// Content that may be dropped.
struct Candidate {
    digest: Digest,
    diff_id: Digest,
    number: u64,
}

/// Tries all that were not tried before, until told to stop.
pub(crate) fn compact(store: &Arc<Store>, stop: &AtomicBool) -> Result<Compacted, Error> {
    let mut done = Compacted::default();
    for candidate in candidates(store)? {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Held meanwhile; gone since is gone.
        let mut stage = Stage::new(store);
        if !stage.has_content(&candidate.digest)? || !stage.has_layer(&candidate.diff_id)? {
            continue;
        }
        match find_encoder(store, &candidate) {
            Some(encoder) => {
                done.reclaimed += drop_file(store, &candidate, encoder)?;
                done.dropped += 1;
            }
            None => {
                // One that was not written is just as well.
                let recipe = store.paths.recipe(candidate.number, &candidate.digest);
                let _ = std::fs::remove_file(recipe);
                set(store, &candidate, kept::FILE, name::NONE)?;
                done.kept += 1;
            }
        }
    }
    Ok(done)
}

fn candidates(store: &Store) -> Result<Vec<Candidate>, Error> {
    let sql = "SELECT content.digest, content.diff_id, number FROM content
        JOIN layers ON layers.diff_id = content.diff_id
        WHERE kept = ?1 AND encoder IS NULL AND recorded AND NOT damaged";
    store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let rows = query.query_map([kept::FILE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?))
        })?;
        rows.map(|row| {
            let (digest, diff_id, number) = row?;
            Ok(Candidate {
                digest: parse_digest(digest)?,
                diff_id: parse_digest(diff_id)?,
                number: number.cast_unsigned(),
            })
        })
        .collect()
    })
}

/// The encoder that makes the same bytes, if there is one. What goes wrong on the way is as good as
/// none: the file stays.
fn find_encoder(store: &Store, candidate: &Candidate) -> Option<&'static str> {
    let blob = store.paths.blob(&candidate.digest);
    if candidate.digest == candidate.diff_id {
        return same(store, candidate, name::PLAIN).then_some(name::PLAIN);
    }
    let mut start = Vec::with_capacity(MAGIC);
    File::open(&blob)
        .and_then(|file| file.take(MAGIC as u64).read_to_end(&mut start))
        .ok()?;
    if Format::of(&start) != Format::Gzip {
        return None;
    }
    if begins_alike(store, candidate, &blob) && same(store, candidate, name::MEMBERS) {
        return Some(name::MEMBERS);
    }
    let worth = write_recipe(store, candidate, &blob)?;
    (worth && same(store, candidate, name::RECIPE)).then_some(name::RECIPE)
}

/// Writes a recipe; whether it saves enough.
fn write_recipe(store: &Store, candidate: &Candidate, blob: &Path) -> Option<bool> {
    let recipe = store.paths.recipe(candidate.number, &candidate.digest);
    let layer = store.paths.layer(candidate.number);
    let written = deflate::write(&|| Rebuilt::open(&layer), &|| File::open(blob), &recipe);
    written.ok()?;
    Some(blocks(&recipe) < blocks(blob) / WORTH)
}

/// Bytes that a file takes on disk.
fn blocks(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |status| status.blocks() * 512)
}

fn encoded(store: &Store, candidate: &Candidate, encoder: &str) -> Option<Box<dyn Read + Send>> {
    let archive = Rebuilt::open(&store.paths.layer(candidate.number)).ok()?;
    let recipe = store.paths.recipe(candidate.number, &candidate.digest);
    encoder::encoded(encoder, archive, recipe).ok()
}

/// Whether the encoder makes all of the content.
fn same(store: &Store, candidate: &Candidate, encoder: &str) -> bool {
    let Some(stream) = encoded(store, candidate, encoder) else {
        return false;
    };
    let stream = BufReader::with_capacity(BUFFER, stream);
    let mut stream = Hashed::new(stream, candidate.digest.algorithm());
    let read = io::copy(&mut stream, &mut io::sink());
    read.is_ok() && stream.finish().0 == candidate.digest
}

/// Whether this program's own encoder makes the first bytes: a layer of somebody else is not encoded
/// as a whole to find out.
fn begins_alike(store: &Store, candidate: &Candidate, blob: &Path) -> bool {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let (Some(stream), Ok(file)) = (encoded(store, candidate, name::MEMBERS), File::open(blob))
    else {
        return false;
    };
    let limit = BUFFER as u64;
    stream.take(limit).read_to_end(&mut ours).is_ok()
        && file.take(limit).read_to_end(&mut theirs).is_ok()
        && ours == theirs
}

/// The recipe first, then the row, then the file goes: content is lost by nothing in between.
fn drop_file(store: &Store, candidate: &Candidate, encoder: &str) -> Result<u64, Error> {
    let layer = store.paths.layer(candidate.number);
    sys::file::sync_dir(&layer).map_err(Error::file("sync", &layer))?;
    set(store, candidate, kept::LAYER, encoder)?;
    let blob = store.paths.blob(&candidate.digest);
    let recipe = store.paths.recipe(candidate.number, &candidate.digest);
    let bytes = blocks(&blob).saturating_sub(blocks(&recipe));
    std::fs::remove_file(&blob).map_err(Error::file("remove", &blob))?;
    Ok(bytes)
}

fn set(store: &Store, candidate: &Candidate, kept: i64, encoder: &str) -> Result<(), Error> {
    store.write(Durability::Power, |tx| {
        let sql = "UPDATE content SET kept = ?2, encoder = ?3 WHERE digest = ?1 AND kept = 0";
        tx.prepare_cached(sql)?
            .execute(params![candidate.digest.to_string(), kept, encoder])?;
        // Its recipe lies beside it.
        let sql = "UPDATE layers SET disk = NULL WHERE diff_id = ?1";
        tx.prepare_cached(sql)?
            .execute([candidate.diff_id.to_string()])?;
        Ok(())
    })
}
