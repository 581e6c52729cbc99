//! Finding images.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use types::{Digest, ImageRef};

use super::config::DockerConfig;
use crate::Image;
use crate::error::Error;
use crate::gc::parse_digest;
use crate::store::Store;

/// The columns of an image that are one value.
type Columns = (String, String, String, i64, i64);

const COLUMNS: &str = "SELECT id, manifest, config, size, added FROM images";

/// All images.
pub(crate) fn list(store: &Store) -> Result<Vec<Image>, Error> {
    store.read(|db| {
        let mut names = grouped(db, "SELECT image, name FROM names ORDER BY image, name")?;
        let sql = "SELECT image, diff_id FROM image_layers JOIN images ON id = image
            AND images.manifest = image_layers.manifest ORDER BY image, position";
        let mut layers = grouped(db, sql)?;
        let mut query = db.prepare_cached(COLUMNS)?;
        let rows = query.query_map([], columns)?;
        rows.map(|row| {
            let row = row?;
            let names = names.remove(&row.0).unwrap_or_default();
            let layers = layers.remove(&row.0).unwrap_or_default();
            parse(row, names, layers)
        })
        .collect()
    })
}

/// The image named by a reference, an id or a unique prefix of one.
pub(crate) fn find(store: &Store, name: &str) -> Result<Image, Error> {
    store.read(|db| {
        let id = resolve(db, name)?;
        get(db, &id)
    })
}

/// The image of this id.
pub(crate) fn get(db: &Connection, id: &Digest) -> Result<Image, Error> {
    let id = id.to_string();
    let mut query =
        db.prepare_cached("SELECT id, manifest, config, size, added FROM images WHERE id = ?1")?;
    let row = query.query_row([&id], columns).optional()?;
    let row = row.ok_or_else(|| Error::NoSuchImage(id.clone()))?;
    let strings = |sql| -> Result<Vec<String>, Error> {
        let mut query = db.prepare_cached(sql)?;
        let rows = query.query_map([&id], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let names = strings("SELECT name FROM names WHERE image = ?1 ORDER BY name")?;
    let layers = strings(
        "SELECT diff_id FROM image_layers WHERE image = ?1
            AND manifest = (SELECT manifest FROM images WHERE id = ?1) ORDER BY position",
    )?;
    parse(row, names, layers)
}

/// The image of this id as one of its manifests has it.
pub(crate) fn get_manifest(
    db: &Connection,
    id: &Digest,
    manifest: &Digest,
) -> Result<Image, Error> {
    let image = get(db, id)?;
    let ids = [id.to_string(), manifest.to_string()];
    let sql = "SELECT config FROM manifests WHERE image = ?1 AND digest = ?2";
    let config: Option<String> = db
        .prepare_cached(sql)?
        .query_row(ids.clone(), |row| row.get(0))
        .optional()?;
    let config = config.ok_or_else(|| Error::Missing(format!("manifest {manifest}")))?;
    let sql = "SELECT diff_id FROM image_layers WHERE image = ?1 AND manifest = ?2
        ORDER BY position";
    let mut query = db.prepare_cached(sql)?;
    let layers = query.query_map(ids, |row| row.get(0))?;
    let what = format!("the configuration of manifest {manifest}");
    Ok(Image {
        manifest: manifest.clone(),
        docker: DockerConfig::of(&config),
        config: super::documents::parse(&what, config.as_bytes())?,
        layers: layers
            .map(|layer| parse_digest(layer?))
            .collect::<Result<_, _>>()?,
        ..image
    })
}

/// The id that a name means. As Docker has it: a whole id first, which no name that somebody gives can
/// take from its image, then a reference, then a prefix of an id.
pub(crate) fn resolve(db: &Connection, name: &str) -> Result<Digest, Error> {
    let missing = || Error::NoSuchImage(name.to_owned());
    if let Some(id) = whole_id(name) {
        let mut query = db.prepare_cached("SELECT 1 FROM images WHERE id = ?1")?;
        if query.exists([id.to_string()])? {
            return Ok(id);
        }
    }
    let reference = name.parse::<ImageRef>().ok();
    let by_name = reference
        .map(|reference| named(db, &reference))
        .transpose()?
        .flatten();
    if let Some(id) = by_name {
        return Ok(id);
    }
    let (algorithm, digits) = match name.strip_prefix("sha512:") {
        Some(digits) => ("sha512", digits),
        None => ("sha256", name.strip_prefix("sha256:").unwrap_or(name)),
    };
    let is_hex = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digits.is_empty() || digits.len() > 128 || !is_hex {
        return Err(missing());
    }
    let (from, to) = (
        format!("{algorithm}:{digits}"),
        format!("{algorithm}:{digits}g"),
    );
    let sql = "SELECT id FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2";
    let mut query = db.prepare_cached(sql)?;
    let mut ids = query.query_map([from, to], |row| row.get::<_, String>(0))?;
    match (ids.next().transpose()?, ids.next().transpose()?) {
        (Some(id), None) => parse_digest(id),
        (Some(_), Some(_)) => Err(Error::Ambiguous(name.to_owned())),
        (None, _) => Err(missing()),
    }
}

/// An id in full, with or without `sha256:`.
fn whole_id(name: &str) -> Option<Digest> {
    let plain = || format!("sha256:{name}").parse().ok();
    name.parse().ok().or_else(plain)
}

/// The names with tags in the repository of `reference`, in order.
pub(crate) fn tagged(db: &Connection, reference: &ImageRef) -> Result<Vec<String>, Error> {
    // ':' follows the repository; ';' comes right after it.
    let sql = "SELECT name FROM names WHERE name >= ?1 || ':' AND name < ?1 || ';' ORDER BY name";
    let mut query = db.prepare_cached(sql)?;
    let names = query.query_map([reference.repository()], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// What a reference names. With a digest, that is the image's id, and any name of the repository will
/// do.
pub(crate) fn named(db: &Connection, reference: &ImageRef) -> Result<Option<Digest>, Error> {
    let exact = "SELECT image FROM names WHERE name = ?1";
    let image = |name: &str| -> Result<Option<String>, Error> {
        let mut query = db.prepare_cached(exact)?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    };
    let Some(digest) = reference.digest() else {
        return image(&reference.to_string())?.map(parse_digest).transpose();
    };
    if let Some(id) = image(&reference.to_string())? {
        return parse_digest(id).map(Some);
    }
    // ':' and '@' follow the repository; ';' and 'A' come right after them.
    let repository = reference.repository();
    let sql = "SELECT 1 FROM names WHERE image = ?1 AND
        ((name >= ?2 || ':' AND name < ?2 || ';') OR (name >= ?2 || '@' AND name < ?2 || 'A'))";
    let mut query = db.prepare_cached(sql)?;
    let there = query.exists(params![digest.to_string(), repository])?;
    Ok(there.then(|| digest.clone()))
}

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

fn grouped(db: &Connection, sql: &str) -> Result<HashMap<String, Vec<String>>, Error> {
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    let mut query = db.prepare_cached(sql)?;
    for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (image, value): (String, String) = row?;
        groups.entry(image).or_default().push(value);
    }
    Ok(groups)
}

fn parse(row: Columns, names: Vec<String>, layers: Vec<String>) -> Result<Image, Error> {
    let (id, manifest, config, size, added) = row;
    let what = || format!("the configuration of image {id}");
    let docker = DockerConfig::of(&config);
    let config = super::documents::parse(&what(), config.as_bytes())?;
    let reference = |text: String| {
        text.parse().map_err(|_| Error::Record {
            what: "reference",
            text,
        })
    };
    Ok(Image {
        id: parse_digest(id)?,
        manifest: parse_digest(manifest)?,
        references: names.into_iter().map(reference).collect::<Result<_, _>>()?,
        config,
        layers: layers
            .into_iter()
            .map(parse_digest)
            .collect::<Result<_, _>>()?,
        docker,
        size: size.cast_unsigned(),
        added,
    })
}
