//! The one transactional store: SQLite in WAL mode.
//!
//! One connection under one mutex (see [`crate::store::Store`]): writers exclude each other in SQLite
//! anyway, a read takes microseconds, and what a second connection would cost is memory for ever.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Durability;
use crate::error::Error;

/// The format this program writes.
const FORMAT: u32 = 5;

/// Each format's step from the one before.
const MIGRATIONS: [&str; FORMAT as usize] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// KiB of pages SQLite may keep: the daemon is small, the hot rows fit.
const CACHE_KIB: i32 = 512;
const CACHED_STATEMENTS: usize = 64;
/// Another process, an administrator's, may hold the database for a moment.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

/// Commits after which the log is folded into the database: some megabytes of it.
const COMMITS_PER_FOLD: u32 = 256;
/// Eight MiB, after which the log may not grow for want of a pause.
const MAX_LOG_PAGES: i64 = 2048;

/// The connection.
#[derive(Debug)]
pub(crate) struct Database {
    /// Before the connection, because it is to end before it is closed.
    folder: Folder,
    connection: Connection,
    durability: Durability,
    /// Since the log was last folded.
    commits: u32,
}

/// Folds the log into the database, which syncs files, on a thread of its own: else one commit in
/// some hundred would wait for the disk, whatever its durability. The thread opens a connection, does
/// it, and ends; readers and writers go on meanwhile.
#[derive(Debug)]
struct Folder {
    file: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Folder {
    fn fold(&mut self) {
        if self
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            return;
        }
        self.join();
        let file = self.file.clone();
        let thread = std::thread::Builder::new().name("checkpoint".to_owned());
        // Without it the log grows until the next time.
        self.thread = thread.spawn(move || drop(fold(&file))).ok();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It only panics by a bug, and then there is nothing to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.join();
    }
}

/// Writers are let pass, so that what they commit meanwhile is left for the next time; only when they
/// never paused for long they wait for a moment, in which the log begins anew.
fn fold(file: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    let passive = "PRAGMA wal_checkpoint(PASSIVE)";
    let pages: i64 = connection.query_row(passive, [], |row| row.get(1))?;
    if pages > MAX_LOG_PAGES {
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    }
    Ok(())
}

impl Database {
    pub(crate) fn open(file: &Path, root: &Path) -> Result<Self, Error> {
        make_private(file)?;
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        // Else a statement whose plan might be another for another value is planned anew for each.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // A log that begins anew is cut off: to overwrite its old pages the kernel would first have
        // to read those that it has dropped from memory, and who commits would wait for the disk.
        connection.pragma_update(None, "journal_size_limit", 0)?;
        migrate(&mut connection, root)?;
        Ok(Self {
            folder: Folder {
                file: file.to_owned(),
                thread: None,
            },
            connection,
            durability: Durability::Power,
            commits: 0,
        })
    }

    /// For reading.
    pub(crate) fn read(&self) -> &Connection {
        &self.connection
    }

    /// All of `change` or nothing of it.
    pub(crate) fn write<T>(
        &mut self,
        durability: Durability,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.set_durability(durability)?;
        // Immediate: one that read first and then waited to write would wait for a checkpoint that
        // waits for its readers.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = change(&transaction)?;
        transaction.commit()?;
        self.commits += 1;
        if self.commits == COMMITS_PER_FOLD {
            self.commits = 0;
            self.folder.fold();
        }
        Ok(value)
    }

    /// In WAL mode `full` syncs the log at each commit; `normal` only when it is folded into the
    /// database, so that a power cut may take the last commits but nothing in between.
    fn set_durability(&mut self, durability: Durability) -> Result<(), Error> {
        if self.durability != durability {
            let level = match durability {
                Durability::Process => "normal",
                Durability::Power => "full",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        Ok(())
    }
}

/// Records hold environments, and environments hold passwords. SQLite gives the log the permissions of
/// the database.
fn make_private(file: &Path) -> Result<(), Error> {
    let failed = || Error::file("create", file);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let opened = options.open(file).map_err(failed())?;
    opened
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(failed())
}

fn migrate(connection: &mut Connection, root: &Path) -> Result<(), Error> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > FORMAT {
        return Err(Error::Newer {
            root: root.to_owned(),
            found,
            known: FORMAT,
        });
    }
    for (format, step) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use types::Algorithm;

    use super::*;
    use crate::hash::digest_of;

    #[test]
    fn the_log_does_not_grow_for_ever() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("brig.db");
        let mut database = Database::open(&file, temp.path()).unwrap();
        let mut largest = 0;
        for i in 0..20 * COMMITS_PER_FOLD {
            database
                .write(Durability::Process, |tx| {
                    tx.execute("DELETE FROM content", [])?;
                    tx.execute(
                        "INSERT INTO content (digest, size, media_type) VALUES (?1, 1, 'x')",
                        [i],
                    )?;
                    Ok(())
                })
                .unwrap();
            if i % COMMITS_PER_FOLD == 0 {
                database.folder.join();
            }
            let log = std::fs::metadata(temp.path().join("brig.db-wal"))
                .unwrap()
                .len();
            largest = largest.max(log);
        }
        // Without a bound it would be some ten thousand.
        assert!(
            largest / 4096 < 2 * MAX_LOG_PAGES.unsigned_abs(),
            "{largest}"
        );
    }

    #[test]
    fn nobody_else_reads_it() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("brig.db");
        let database = Database::open(&file, temp.path()).unwrap();
        for name in ["brig.db", "brig.db-wal", "brig.db-shm"] {
            let mode = std::fs::metadata(temp.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(database);
    }

    /// What stands in people's databases was made by these very words: a change is a format of its own.
    #[test]
    fn what_formats_were_is_never_changed() {
        let digests = MIGRATIONS.map(|step| {
            let digest = digest_of(Algorithm::Sha256, step.as_bytes());
            digest.to_string()["sha256:".len()..][..8].to_owned()
        });
        assert_eq!(
            digests,
            ["9b9b2102", "496a2b37", "e8e39014", "ab92ef6c", "f8fadff8"]
        );
    }

    /// A database of a format, with what that has.
    fn of_format(file: &Path, format: usize) {
        let connection = Connection::open(file).unwrap();
        for step in &MIGRATIONS[..format] {
            connection.execute_batch(step).unwrap();
        }
        let rows = "
            INSERT INTO content (digest, size, media_type) VALUES ('sha256:m', 1, 'manifest');
            INSERT INTO content (digest, size, media_type) VALUES ('sha256:c', 2, 'config');
            INSERT INTO layers (diff_id, number, size) VALUES ('sha256:l', 1, 3);
            INSERT INTO images VALUES ('sha256:m', 'sha256:m', 'sha256:c', 4, 5);
            INSERT INTO image_content VALUES ('sha256:m', 'sha256:c');
            INSERT INTO names VALUES ('docker.io/library/bb:latest', 'sha256:m');
            INSERT INTO snapshots (container, image, throwaway) VALUES ('web', 'sha256:m', 0);
            INSERT INTO containers VALUES ('web', 'front', 'sha256:m', '{}');";
        connection.execute_batch(rows).unwrap();
        let layers = match format {
            1 => "INSERT INTO image_layers VALUES ('sha256:m', 0, 'sha256:l');",
            _ => {
                "INSERT INTO manifests VALUES ('sha256:m', 'sha256:m', 'sha256:c');
                 INSERT INTO image_layers VALUES ('sha256:m', 'sha256:m', 0, 'sha256:l');
                 UPDATE snapshots SET manifest = 'sha256:m';"
            }
        };
        connection.execute_batch(layers).unwrap();
        let format = u32::try_from(format).unwrap();
        connection
            .pragma_update(None, "user_version", format)
            .unwrap();
    }

    fn column(database: &Database, query: &str) -> Vec<String> {
        let mut statement = database.read().prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn older_formats_become_this_one_with_all_that_is_in_them() {
        let temp = tempfile::tempdir().unwrap();
        let schema = "SELECT coalesce(sql, '') FROM sqlite_master ORDER BY type, name";
        let fresh = Database::open(&temp.path().join("fresh"), temp.path()).unwrap();
        let expected = column(&fresh, schema);
        for format in 1..=MIGRATIONS.len() {
            let file = temp.path().join(format!("{format}.db"));
            of_format(&file, format);
            let database = Database::open(&file, temp.path()).unwrap();
            assert_eq!(column(&database, schema), expected, "format {format}");
            let found = [
                "SELECT group_concat(digest || ' ' || size) FROM (SELECT * FROM content ORDER BY size)",
                "SELECT manifest || ' ' || config FROM images",
                "SELECT image || ' ' || digest FROM image_content",
                "SELECT name || ' ' || image FROM names",
                "SELECT container || ' ' || manifest FROM snapshots",
                "SELECT image || ' ' || manifest || ' ' || position || ' ' || diff_id FROM image_layers",
                "SELECT digest || ' ' || config FROM manifests",
                "SELECT name || ' ' || body FROM containers",
            ];
            assert_eq!(
                found.map(|query| column(&database, query).join("; ")),
                [
                    "sha256:m 1,sha256:c 2",
                    "sha256:m sha256:c",
                    "sha256:m sha256:c",
                    "docker.io/library/bb:latest sha256:m",
                    "web sha256:m",
                    "sha256:m sha256:m 0 sha256:l",
                    "sha256:m sha256:c",
                    "front {}",
                ],
                "format {format}"
            );
            let broken = column(&database, "SELECT \"table\" FROM pragma_foreign_key_check");
            assert_eq!(broken, <[String; 0]>::default(), "format {format}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("brig.db");
        drop(Database::open(&file, temp.path()).unwrap());
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
        drop(connection);
        let before = std::fs::read(&file).unwrap();
        let error = Database::open(&file, Path::new("/data")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data root /data is of format 7, made by a newer version: this one knows up to 5"
        );
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
}
