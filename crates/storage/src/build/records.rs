//! Results of steps: found by the digest of all that the step has read.

use rusqlite::{OptionalExtension, Transaction, params};
use types::Digest;

use super::{Layers, hold};
use crate::error::Error;
use crate::gc;
use crate::stage::Stage;
use crate::{Durability, Storage, clock};

/// A result as it was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The builder's own words.
    pub body: String,
    /// Its files.
    pub layers: Layers,
    /// When it was made, nanoseconds since the Unix epoch.
    pub created: i64,
}

/// A result in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    /// What it is found by.
    pub key: String,
    /// The builder's own words.
    pub body: String,
    /// Bytes of what it alone has brought.
    pub size: u64,
    /// When it was made, nanoseconds since the Unix epoch.
    pub created: i64,
    /// When it was last used.
    pub used: i64,
    /// How often it was used.
    pub uses: u64,
    /// Its layers, the lowest first.
    pub layers: Vec<Digest>,
}

const BOOT: &str = "/proc/sys/kernel/random/boot_id";

fn boot() -> String {
    std::fs::read_to_string(BOOT).unwrap_or_default()
}

/// Forgets results whose files were not yet on the disk when the machine stopped.
pub(crate) fn forget_lost(tx: &Transaction<'_>) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM build_records WHERE boot IS NOT NULL AND boot != ?1",
        [boot()],
    )?;
    Ok(())
}

impl Storage {
    /// Keeps a result: its layers, how many of them, the uppermost, it has brought, and when it was made if
    /// that is not now. Returns when that was, in nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// When the database fails.
    pub fn keep_result(
        &self,
        key: &str,
        body: &str,
        (layers, own, made): (&Layers, usize, Option<i64>),
    ) -> Result<i64, Error> {
        let mut stage = Stage::new(&self.store);
        for diff_id in layers.ids() {
            stage.has_layer(diff_id)?;
        }
        let size = layers.size(layers.len().saturating_sub(own));
        let used = clock::now();
        let created = made.unwrap_or(used);
        stage.name_layers(|tx| {
            tx.prepare_cached("DELETE FROM build_records WHERE key = ?1")?
                .execute([key])?;
            let sql = "INSERT INTO build_records (key, body, size, created, used, boot)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            tx.prepare_cached(sql)?.execute(params![
                key,
                body,
                size.cast_signed(),
                created,
                used,
                boot()
            ])?;
            let mut insert = tx.prepare_cached("INSERT INTO build_layers VALUES (?1, ?2, ?3)")?;
            for (position, diff_id) in (0_i64..).zip(layers.ids()) {
                insert.execute(params![key, position, diff_id.to_string()])?;
            }
            Ok(())
        })?;
        Ok(created)
    }

    /// The result of this key, which is used by that.
    ///
    /// # Errors
    /// When the database fails.
    pub fn result(&self, key: &str) -> Result<Option<Kept>, Error> {
        let found = self.store.read(|db| {
            let sql = "SELECT body, created FROM build_records WHERE key = ?1";
            let found: Option<(String, i64)> = db
                .prepare_cached(sql)?
                .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((body, created)) = found else {
                return Ok(None);
            };
            let sql = "SELECT diff_id FROM build_layers WHERE record = ?1 ORDER BY position";
            let mut query = db.prepare_cached(sql)?;
            let ids = query.query_map([key], |row| row.get::<_, String>(0))?;
            let ids: Result<Vec<Digest>, Error> = ids.map(|text| gc::parse_digest(text?)).collect();
            Ok(Some((body, created, ids?)))
        })?;
        let Some((body, created, ids)) = found else {
            return Ok(None);
        };
        // One whose layer was found damaged is none.
        let Some(layers) = hold(&self.store, ids.iter())? else {
            return Ok(None);
        };
        self.store.write(Durability::Process, |tx| {
            let sql = "UPDATE build_records SET used = ?2, uses = uses + 1 WHERE key = ?1";
            tx.prepare_cached(sql)?
                .execute(params![key, clock::now()])?;
            Ok(())
        })?;
        Ok(Some(Kept {
            body,
            layers,
            created,
        }))
    }

    /// All results, the longest unused first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn results(&self) -> Result<Vec<BuildRecord>, Error> {
        self.store.read(|db| {
            let sql = "SELECT key, body, size, created, used, uses FROM build_records
                ORDER BY used, key";
            let mut query = db.prepare_cached(sql)?;
            let rows = query.query_map([], |row| {
                Ok(BuildRecord {
                    key: row.get(0)?,
                    body: row.get(1)?,
                    size: row.get::<_, i64>(2)?.cast_unsigned(),
                    created: row.get(3)?,
                    used: row.get(4)?,
                    uses: row.get::<_, i64>(5)?.cast_unsigned(),
                    layers: Vec::new(),
                })
            })?;
            let mut records = rows.collect::<Result<Vec<_>, _>>()?;
            let sql = "SELECT diff_id FROM build_layers WHERE record = ?1 ORDER BY position";
            let mut query = db.prepare_cached(sql)?;
            for record in &mut records {
                let ids = query.query_map([&record.key], |row| row.get::<_, String>(0))?;
                let ids: Result<Vec<_>, Error> = ids.map(|text| gc::parse_digest(text?)).collect();
                record.layers = ids?;
            }
            Ok(records)
        })
    }

    /// Forgets results; what nobody else needs of their layers goes.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_results(&self, keys: &[String]) -> Result<(), Error> {
        let mut state = self.store.state();
        state.database.write(Durability::Process, |tx| {
            let mut delete = tx.prepare_cached("DELETE FROM build_records WHERE key = ?1")?;
            for key in keys {
                delete.execute([key])?;
            }
            Ok(())
        })?;
        gc::collect(&self.store, &mut state)
    }

    /// Has the results kept so far survive a power cut.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle_results(&self) -> Result<(), Error> {
        let any = self.store.read(|db| {
            let sql = "SELECT 1 FROM build_records WHERE boot IS NOT NULL";
            Ok(db.prepare_cached(sql)?.exists([])?)
        })?;
        if !any {
            return Ok(());
        }
        let layers = self.store.paths.layers();
        let before = clock::now();
        sys::dir::Dir::open(&layers)
            .and_then(|dir| dir.sync_file_system())
            .map_err(Error::file("sync", &layers))?;
        self.store.write(Durability::Power, |tx| {
            let sql = "UPDATE build_records SET boot = NULL WHERE used < ?1";
            tx.execute(sql, [before])?;
            Ok(())
        })
    }
}
