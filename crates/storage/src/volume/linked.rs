//! Files of several names that a walk has come by: where the first name of each is. Whoever makes the files
//! chooses how many there are, so no more than a bound is kept in memory; the others go to a file.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

/// Device and inode.
type Identity = (u64, u64);

/// What is kept in memory, in bytes, before the file is made.
const IN_MEMORY: usize = 32 << 20;
/// What an entry takes beside its path, about.
const OVERHEAD: usize = 96;

/// Where the first name of each file is.
#[derive(Debug)]
pub(super) struct Linked {
    known: HashMap<Identity, Known>,
    /// Of those, in bytes.
    size: usize,
    bound: usize,
    /// What came after the bound was reached.
    file: Option<Connection>,
}

#[derive(Debug)]
struct Known {
    path: Vec<u8>,
    /// Names that are still to come.
    left: u64,
}

impl Default for Linked {
    fn default() -> Self {
        Self::bounded(IN_MEMORY)
    }
}

impl Linked {
    fn bounded(bound: usize) -> Self {
        Self {
            known: HashMap::new(),
            size: 0,
            bound,
            file: None,
        }
    }

    /// The first name of a file that has so many, if there was one before; this is the first one otherwise.
    ///
    /// # Errors
    /// When the file cannot be made, or be written to.
    pub(super) fn first(
        &mut self,
        identity: Identity,
        names: u64,
        path: &[u8],
    ) -> rusqlite::Result<Option<Vec<u8>>> {
        if let Some(known) = self.known.get_mut(&identity) {
            known.left = known.left.saturating_sub(1);
            if known.left > 0 {
                return Ok(Some(known.path.clone()));
            }
            // Nobody asks for it again.
            self.size = self.size.saturating_sub(known.path.len() + OVERHEAD);
            return Ok(self.known.remove(&identity).map(|known| known.path));
        }
        if let Some(file) = &self.file
            && let Some(path) = look(file, identity)?
        {
            return Ok(Some(path));
        }
        self.remember(identity, names, path)?;
        Ok(None)
    }

    fn remember(&mut self, identity: Identity, names: u64, path: &[u8]) -> rusqlite::Result<()> {
        let size = path.len() + OVERHEAD;
        if self.size + size <= self.bound {
            self.size += size;
            let known = Known {
                path: path.to_vec(),
                left: names.saturating_sub(1),
            };
            self.known.insert(identity, known);
            return Ok(());
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => make()?,
        };
        write(&file, identity, path)?;
        self.file = Some(file);
        Ok(())
    }
}

/// A database in a file that has no name, gone when it is closed (sqlite.org, "Temporary Databases"). It is never
/// read by anybody else, and so needs neither a journal nor the disk.
fn make() -> rusqlite::Result<Connection> {
    let file = Connection::open("")?;
    file.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
         CREATE TABLE linked (device INTEGER, inode INTEGER, path BLOB, PRIMARY KEY (device, inode)) WITHOUT ROWID;
         BEGIN;",
    )?;
    Ok(file)
}

/// As the database has numbers.
fn key((device, inode): Identity) -> (i64, i64) {
    (device.cast_signed(), inode.cast_signed())
}

fn write(file: &Connection, identity: Identity, path: &[u8]) -> rusqlite::Result<()> {
    let (device, inode) = key(identity);
    let mut insert = file.prepare_cached("INSERT INTO linked VALUES (?, ?, ?)")?;
    insert.execute(params![device, inode, path]).map(drop)
}

fn look(file: &Connection, identity: Identity) -> rusqlite::Result<Option<Vec<u8>>> {
    let (device, inode) = key(identity);
    let mut select =
        file.prepare_cached("SELECT path FROM linked WHERE device = ? AND inode = ?")?;
    select
        .query_row(params![device, inode], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(linked: &mut Linked, files: u64) {
        let path = |file: u64| format!("dir/{file}").into_bytes();
        for file in 0..files {
            assert_eq!(linked.first((1, file), 3, &path(file)).unwrap(), None);
        }
        for _ in 0..2 {
            for file in 0..files {
                let first = linked.first((1, file), 3, b"other").unwrap();
                assert_eq!(first, Some(path(file)), "{file}");
            }
        }
    }

    #[test]
    fn what_has_all_its_names_is_forgotten() {
        let mut linked = Linked::default();
        walk(&mut linked, 100);
        assert!(linked.known.is_empty() && linked.file.is_none());
        assert_eq!(linked.size, 0);
    }

    #[test]
    fn more_than_the_bound_is_in_a_file() {
        let mut linked = Linked::bounded(10 * (OVERHEAD + 8));
        walk(&mut linked, 1000);
        assert!(linked.file.is_some() && linked.known.is_empty());
    }
}
