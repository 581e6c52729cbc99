//! Layers compressed as somebody asks for. Such content is a file: no encoder makes the same bytes for ever but
//! this program's own, whose gzip is what is made unless somebody asks.

use std::io::{self, BufReader, Write};
use std::sync::Arc;

use flate2::GzBuilder;
use rusqlite::{OptionalExtension, params};
use types::{Algorithm, Digest};

use super::documents::Descriptor;
use crate::compress::Format;
use crate::content::kept;
use crate::error::Error;
use crate::gc;
use crate::layer::Rebuilt;
use crate::stage::Stage;
use crate::store::Store;
use crate::temp::{Blob, Ingest};

const BUFFER: usize = 128 << 10;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// gzip (RFC 1952).
    #[default]
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Not at all.
    Plain,
}

/// How layers of an image are compressed that were made for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compression {
    /// How.
    pub method: Method,
    /// How hard: 0 to 9 of gzip, 0 to 22 of Zstandard; none is what is usual.
    pub level: Option<u8>,
    /// So are those that came from elsewhere, unless they came so.
    pub all: bool,
}

impl Method {
    fn format(self) -> Format {
        match self {
            Self::Gzip => Format::Gzip,
            Self::Zstd => Format::Zstd,
            Self::Plain => Format::Plain,
        }
    }

    /// The highest level; none where there is none to choose.
    pub fn hardest(self) -> Option<u8> {
        match self {
            Self::Gzip => Some(9),
            Self::Zstd => Some(22),
            Self::Plain => None,
        }
    }
}

impl Compression {
    /// Whether it is what is made unless somebody asks.
    pub(super) fn is_usual(self) -> bool {
        self.method == Method::Gzip && self.level.is_none()
    }

    /// The media type of a layer stored so.
    pub(super) fn media_type(self) -> &'static str {
        match self.method {
            Method::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Method::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Method::Plain => "application/vnd.oci.image.layer.v1.tar",
        }
    }

    /// What content is marked by that was made so.
    fn mark(self) -> String {
        let level = self
            .level
            .map_or_else(String::new, |level| format!("-{level}"));
        format!("asked-{}{level}", self.method.format().name())
    }

    fn write(self, archive: &mut impl io::Read, to: Ingest) -> io::Result<Ingest> {
        match self.method {
            Method::Plain => {
                let mut to = to;
                io::copy(archive, &mut to)?;
                Ok(to)
            }
            Method::Gzip => {
                let level = self
                    .level
                    .map_or_else(flate2::Compression::default, |level| {
                        flate2::Compression::new(level.into())
                    });
                let mut encoder = GzBuilder::new().write(to, level);
                io::copy(archive, &mut encoder)?;
                encoder.finish()
            }
            Method::Zstd => {
                // 0 is what is usual.
                let level = self.level.unwrap_or(0);
                let mut encoder = zstd::stream::write::Encoder::new(to, level.into())?;
                encoder.include_checksum(true)?;
                io::copy(archive, &mut encoder)?;
                encoder.finish()
            }
        }
    }
}

/// What a layer is when it is compressed so.
pub(super) fn compressed(
    store: &Arc<Store>,
    stage: &mut Stage,
    diff_id: &Digest,
    how: Compression,
) -> Result<Descriptor, Error> {
    if !stage.has_layer(diff_id)? {
        return Err(Error::Missing(format!("layer {diff_id}")));
    }
    if let Some((digest, size)) = made(store, diff_id, how)?
        && stage.has_content(&digest)?
    {
        return Ok(Descriptor::new(how.media_type(), digest, size));
    }
    let blob = make(store, stage, diff_id, how)?;
    stage.add_asked(&blob, how.media_type(), diff_id, how.mark())?;
    Ok(Descriptor::new(
        how.media_type(),
        blob.digest.clone(),
        blob.size,
    ))
}

fn make(
    store: &Arc<Store>,
    stage: &Stage,
    diff_id: &Digest,
    how: Compression,
) -> Result<Blob, Error> {
    let (number, _) = stage.layer(diff_id)?;
    let layer = store.paths.layer(number);
    let archive = Rebuilt::open(&layer).map_err(Error::file("read", &layer))?;
    let mut archive = BufReader::with_capacity(BUFFER, archive);
    let to = store.ingest_as(Algorithm::Sha256)?;
    let mut written = how
        .write(&mut archive, to)
        .map_err(Error::file("write", &store.paths.tmp()))?;
    written
        .flush()
        .map_err(Error::file("write", &store.paths.tmp()))?;
    Ok(written.finish())
}

/// Content of a layer that was made so before.
fn made(store: &Store, diff_id: &Digest, how: Compression) -> Result<Option<(Digest, u64)>, Error> {
    let sql = "SELECT digest, size FROM content WHERE diff_id = ?1 AND kept = ?2 AND encoder = ?3
        ORDER BY digest LIMIT 1";
    let row = store.read(|db| {
        let mut query = db.prepare_cached(sql)?;
        let wanted = params![diff_id.to_string(), kept::FILE, how.mark()];
        let row = query.query_row(wanted, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
        Ok(row.optional()?)
    })?;
    row.map(|(digest, size)| Ok((gc::parse_digest(digest)?, size.cast_unsigned())))
        .transpose()
}
