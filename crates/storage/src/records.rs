//! The engine's records: rows of its own JSON, which this crate does not read.

use std::sync::Arc;

use rusqlite::{ErrorCode, OptionalExtension, Row, Transaction};
use types::ContainerId;

use crate::error::Error;
use crate::gc::parse_digest;
use crate::store::Store;
use crate::{Durability, Record};

/// The engine's records in the one store.
#[derive(Debug, Clone)]
pub struct Records {
    pub(crate) store: Arc<Store>,
}

impl Records {
    /// Adds one.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when the name or id is.
    pub fn insert(&self, record: &Record, durability: Durability) -> Result<(), Error> {
        self.store.write(durability, |tx| insert(tx, record))
    }

    /// Replaces body and name of one that is there.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when another has the name, [`Error::NoContainer`] when it is not there.
    pub fn update(&self, record: &Record, durability: Durability) -> Result<(), Error> {
        self.store.write(durability, |tx| {
            let changed = tx
                .prepare_cached("UPDATE containers SET name = ?2, body = ?3 WHERE id = ?1")?
                .execute([record.id.as_str(), &record.name, &record.body])
                .map_err(|error| taken(tx, record, error))?;
            if changed == 0 {
                Err(Error::NoContainer(record.id.clone()))
            } else {
                Ok(())
            }
        })
    }

    /// Removes one; nothing happens when it is not there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(&self, id: &ContainerId, durability: Durability) -> Result<(), Error> {
        self.store.write(durability, |tx| delete(tx, id))
    }

    /// All of them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn all(&self) -> Result<Vec<Record>, Error> {
        self.store.read(|db| {
            let mut query = db.prepare_cached("SELECT id, name, image, body FROM containers")?;
            let rows = query.query_map([], row)?;
            rows.map(|row| parse(row?)).collect()
        })
    }
}

type Columns = (String, String, String, String);

fn row(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn parse((id, name, image, body): Columns) -> Result<Record, Error> {
    let id = id.parse().map_err(|_| Error::Record {
        what: "container id",
        text: id,
    })?;
    Ok(Record {
        id,
        name,
        image: parse_digest(image)?,
        body,
    })
}

pub(crate) fn insert(tx: &Transaction<'_>, record: &Record) -> Result<(), Error> {
    let Record {
        id,
        name,
        image,
        body,
    } = record;
    tx.prepare_cached("INSERT INTO containers VALUES (?1, ?2, ?3, ?4)")?
        .execute([id.as_str(), name, &image.to_string(), body])
        .map_err(|error| taken(tx, record, error))?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, id: &ContainerId) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM containers WHERE id = ?1")?
        .execute([id.as_str()])?;
    Ok(())
}

/// Says who has the name when that is why the row was refused.
fn taken(tx: &Transaction<'_>, record: &Record, error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return error.into();
    }
    let sql = "SELECT id FROM containers WHERE name = ?1 OR id = ?2";
    let holder = tx
        .query_row(sql, [&record.name, record.id.as_str()], |row| {
            row.get::<_, String>(0)
        })
        .optional();
    match holder {
        Ok(holder) => Error::NameTaken {
            name: record.name.clone(),
            holder: holder.unwrap_or_default(),
        },
        Err(error) => error.into(),
    }
}
