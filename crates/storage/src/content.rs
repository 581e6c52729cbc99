//! Content to be read: from its file, or told again from the layer it unpacks to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use rusqlite::OptionalExtension;
use types::Digest;

use crate::encoder;
use crate::error::Error;
use crate::gc::parse_digest;
use crate::hash::digest_of;
use crate::image::documents::MAX_DOCUMENT;
use crate::layer::Rebuilt;
use crate::store::Store;

/// How content is kept: `content.kept`.
pub(crate) mod kept {
    /// As a file.
    pub(crate) const FILE: i64 = 0;
    /// As what its layer is packed into again.
    pub(crate) const LAYER: i64 = 1;
    /// Not at all: its file was found damaged.
    pub(crate) const LOST: i64 = 2;
}

/// Content from its byte `offset` on. Whoever reads it hashes it.
pub(crate) fn open(
    store: &Arc<Store>,
    digest: &Digest,
    offset: u64,
) -> Result<Box<dyn Read + Send>, Error> {
    let Some((number, name)) = source(store, digest)? else {
        return Ok(Box::new(open_file(store, digest, offset)?));
    };
    let layer = store.paths.layer(number);
    let archive = Rebuilt::open(&layer).map_err(Error::file("read", &layer))?;
    let recipe = store.paths.recipe(number, digest);
    let mut stream = encoder::encoded(&name, archive, recipe)?;
    let skipped = io::copy(&mut (&mut stream).take(offset), &mut io::sink());
    skipped.map_err(Error::file("read", &layer))?;
    Ok(stream)
}

fn open_file(store: &Store, digest: &Digest, offset: u64) -> Result<File, Error> {
    let path = store.paths.blob(digest);
    let mut file = File::open(&path).map_err(Error::file("open", &path))?;
    file.seek(SeekFrom::Start(offset))
        .map_err(Error::file("read", &path))?;
    Ok(file)
}

/// The layer that content is made of, and by which encoder; none when it is a file.
fn source(store: &Store, digest: &Digest) -> Result<Option<(u64, String)>, Error> {
    let sql = "SELECT content.diff_id, number, encoder FROM content
        LEFT JOIN layers ON layers.diff_id = content.diff_id
        WHERE content.digest = ?1 AND kept = ?2";
    let row = store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let diff_id: Option<String> = row.get(0)?;
            let number: Option<i64> = row.get(1)?;
            let encoder: Option<String> = row.get(2)?;
            Ok((diff_id, number, encoder))
        };
        Ok(query
            .query_row(rusqlite::params![digest.to_string(), kept::LAYER], row)
            .optional()?)
    })?;
    match row {
        None => Ok(None),
        Some((Some(_), Some(number), Some(encoder))) => Ok(Some((number.cast_unsigned(), encoder))),
        Some((diff_id, ..)) => {
            let diff_id = diff_id.map(parse_digest).transpose()?;
            let what = diff_id.map_or_else(|| "its layer".to_owned(), |d| format!("layer {d}"));
            Err(Error::Missing(format!(
                "{what}, which content {digest} is made of,"
            )))
        }
    }
}

/// A document's text, checked.
pub(crate) fn text(store: &Store, what: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
    text_within(store, what, digest, MAX_DOCUMENT)
}

/// The same of one that may have up to so many bytes.
pub(crate) fn text_within(
    store: &Store,
    what: &str,
    digest: &Digest,
    most: u64,
) -> Result<Vec<u8>, Error> {
    let path = store.paths.blob(digest);
    let mut text = Vec::new();
    let read = open_file(store, digest, 0)?
        .take(most + 1)
        .read_to_end(&mut text);
    read.map_err(Error::file("read", &path))?;
    if text.len() as u64 > most {
        let problem = format!("is longer than {most} bytes, the most that is read");
        return Err(Error::image(what, problem));
    }
    let found = digest_of(digest.algorithm(), &text);
    if found == *digest {
        return Ok(text);
    }
    Err(Error::Damaged {
        what: what.to_owned(),
        found,
    })
}
