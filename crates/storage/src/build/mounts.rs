//! Directories that steps of builds keep from build to build, by name.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;

use rusqlite::{OptionalExtension, params};
use sys::dir::Dir;

use crate::error::Error;
use crate::paths::DATA;
use crate::{Durability, Storage, clock, usage};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheDir {
    /// Where its files are.
    pub path: PathBuf,
    /// Whether nobody had it before.
    pub new: bool,
}

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
}

impl Storage {
    /// The directory of this name, made if there is none.
    ///
    /// # Errors
    /// When the disk or the database fails.
    pub fn cache_dir(&self, id: &str) -> Result<CacheDir, Error> {
        // Under the store's lock, so that two make one.
        let mut state = self.store.state();
        let sql = "SELECT number FROM build_mounts WHERE id = ?1";
        let number: Option<i64> = state
            .database
            .read()
            .prepare_cached(sql)?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let new = number.is_none();
        let number = match number {
            Some(number) => number,
            None => {
                let sql = "SELECT coalesce(max(number), 0) + 1 FROM build_mounts";
                state.database.read().query_row(sql, [], |row| row.get(0))?
            }
        };
        let dir = self.store.paths.cache(number.cast_unsigned());
        let path = dir.join(DATA);
        if !path.is_dir() {
            make(&dir, 0o710)?;
            make(&path, 0o755)?;
        }
        state.database.write(Durability::Process, |tx| {
            let sql = "INSERT INTO build_mounts VALUES (?1, ?2, ?3, ?3)
                ON CONFLICT (id) DO UPDATE SET used = ?3";
            tx.prepare_cached(sql)?
                .execute(params![id, number, clock::now()])?;
            Ok(())
        })?;
        Ok(CacheDir { path, new })
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
            let path = self.store.paths.cache(number.cast_unsigned()).join(DATA);
            let size = match Dir::open(&path) {
                Ok(dir) => usage::below(dir, &path)?,
                Err(_) => 0,
            };
            all.push(CacheUsage {
                id,
                size,
                created,
                used,
            });
        }
        Ok(all)
    }

    /// Forgets some of them, with their files.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_cache_dirs(&self, ids: &[String]) -> Result<(), Error> {
        for id in ids {
            let number: Option<i64> = self.store.write(Durability::Process, |tx| {
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
