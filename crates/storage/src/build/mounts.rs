//! Directories that steps of builds keep from build to build, by name.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::MutexGuard;

use rusqlite::{OptionalExtension, params};
use sys::dir::Dir;

use super::Draft;
use crate::error::Error;
use crate::paths::DATA;
use crate::store::State;
use crate::{Durability, Storage, clock, usage};

/// One of them in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheUsage {
    /// Its name.
    pub id: String,
    /// Bytes on disk.
    pub size: u64,
    /// When it was made, nanoseconds since the Unix epoch.
    pub created: i64,
    /// When it was last used.
    pub used: i64,
    /// How many bytes it may have, if that is said.
    pub limit: Option<u64>,
}

impl Storage {
    /// The files of this name, used by that; none when there are none.
    ///
    /// # Errors
    /// When the disk or the database fails.
    pub fn cache_dir(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        let state = self.store.state();
        let Some(number) = number(&state, id)? else {
            return Ok(None);
        };
        let path = self.store.paths.cache(number.cast_unsigned()).join(DATA);
        if !path.is_dir() {
            return Ok(None);
        }
        self.used(state, id, number)?;
        Ok(Some(path))
    }

    /// Keeps what a draft holds under a name, whole or not at all; where somebody has been faster, his files
    /// are it.
    ///
    /// # Errors
    /// When the disk or the database fails.
    pub fn add_cache_dir(&self, id: &str, draft: &Draft) -> Result<PathBuf, Error> {
        let state = self.store.state();
        let known = number(&state, id)?;
        let number = match known {
            Some(number) => number,
            None => {
                let sql = "SELECT coalesce(max(number), 0) + 1 FROM build_mounts";
                state.database.read().query_row(sql, [], |row| row.get(0))?
            }
        };
        let dir = self.store.paths.cache(number.cast_unsigned());
        let path = dir.join(DATA);
        if known.is_none() || !path.is_dir() {
            make(&dir, 0o710)?;
            let moved = std::fs::rename(draft.upper(), &path);
            moved.map_err(Error::file("keep", &path))?;
        }
        self.used(state, id, number)?;
        Ok(path)
    }

    fn used(&self, mut state: MutexGuard<'_, State>, id: &str, number: i64) -> Result<(), Error> {
        state.database.write(Durability::Process, |tx| {
            let sql = "INSERT INTO build_mounts VALUES (?1, ?2, ?3, ?3)
                ON CONFLICT (id) DO UPDATE SET used = ?3";
            tx.prepare_cached(sql)?
                .execute(params![id, number, clock::now()])?;
            Ok(())
        })
    }

    /// All of them.
    ///
    /// # Errors
    /// When the disk or the database fails.
    pub fn cache_dirs(&self) -> Result<Vec<CacheUsage>, Error> {
        let rows = self.store.read(|db| {
            let sql = "SELECT id, number, created, used FROM build_mounts ORDER BY used, id";
            let mut query = db.prepare_cached(sql)?;
            let rows = query.query_map([], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?))
            })?;
            Ok(rows.collect::<Result<Vec<(String, i64, i64, i64)>, _>>()?)
        })?;
        let mut all = Vec::new();
        for (id, number, created, used) in rows {
            let dir = self.store.paths.cache(number.cast_unsigned());
            let path = dir.join(DATA);
            let size = match Dir::open(&path) {
                Ok(dir) => usage::below(dir, &path)?,
                Err(_) => 0,
            };
            all.push(CacheUsage {
                id,
                size,
                created,
                used,
                limit: super::limit::read(&dir),
            });
        }
        Ok(all)
    }

    /// Forgets some of them, with their files.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_cache_dirs(&self, ids: &[String]) -> Result<(), Error> {
        // A number is free when its files are gone, and not before.
        let mut state = self.store.state();
        for id in ids {
            let number: Option<i64> = state.database.write(Durability::Process, |tx| {
                let sql = "DELETE FROM build_mounts WHERE id = ?1 RETURNING number";
                let mut delete = tx.prepare_cached(sql)?;
                Ok(delete.query_row([id], |row| row.get(0)).optional()?)
            })?;
            if let Some(number) = number {
                let dir = self.store.paths.cache(number.cast_unsigned());
                // The row is gone: what stays is removed at the next open.
                let _ = self.store.trash.discard(&dir);
            }
        }
        Ok(())
    }
}

pub(super) fn number(state: &State, id: &str) -> Result<Option<i64>, Error> {
    let sql = "SELECT number FROM build_mounts WHERE id = ?1";
    let mut query = state.database.read().prepare_cached(sql)?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?)
}

fn make(path: &std::path::Path, mode: u32) -> Result<(), Error> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::file("create", path)(error));
        }
        _ => {}
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::file("change the permissions of", path))
}
