//! The engine's records of networks: rows of its own JSON, which this crate does not read.

use std::sync::Arc;

use crate::Durability;
use crate::error::Error;
use crate::store::Store;

/// One record of a network: `body` is the engine's own versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRecord {
    /// The network's id.
    pub id: String,
    /// Its name, unique among all.
    pub name: String,
    /// The record.
    pub body: String,
}

/// The engine's records of networks in the one store.
#[derive(Debug, Clone)]
pub struct NetworkRecords {
    pub(crate) store: Arc<Store>,
}

impl NetworkRecords {
    /// Adds one.
    ///
    /// # Errors
    /// When the database fails, as it does for a name or an id that is there: the engine asks for
    /// neither twice.
    pub fn insert(&self, record: &NetworkRecord) -> Result<(), Error> {
        self.store.write(Durability::Power, |tx| {
            tx.prepare_cached("INSERT INTO networks VALUES (?1, ?2, ?3)")?
                .execute([&record.id, &record.name, &record.body])?;
            Ok(())
        })
    }

    /// Removes one; nothing happens when it is not there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(&self, id: &str) -> Result<(), Error> {
        self.store.write(Durability::Power, |tx| {
            tx.prepare_cached("DELETE FROM networks WHERE id = ?1")?
                .execute([id])?;
            Ok(())
        })
    }

    /// All of them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn all(&self) -> Result<Vec<NetworkRecord>, Error> {
        self.store.read(|db| {
            let mut query = db.prepare_cached("SELECT id, name, body FROM networks")?;
            let rows = query.query_map([], |row| {
                Ok(NetworkRecord {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    body: row.get(2)?,
                })
            })?;
            rows.map(|row| Ok(row?)).collect()
        })
    }
}
