//! Writable layers of containers: an upper and a work directory, and the image's layers below.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};
use sys::dir::Dir;
use types::{ContainerId, Digest, Mount};

use crate::error::Error;
use crate::image::documents::MAX_LAYERS;
use crate::paths::{DIFF, EMPTY_LAYER};
use crate::store::Store;
use crate::volume::{self, Settled, StagedVolume};
use crate::{Durability, Image, Record, Snapshot, quota, records, usage};

pub(crate) const UPPER: &str = "upper";
pub(crate) const WORK: &str = "work";

/// Makes a container's directories and both its rows in one transaction.
pub(crate) fn create(
    store: &Store,
    record: &Record,
    manifest: Option<&Digest>,
    throwaway: bool,
) -> Result<Snapshot, Error> {
    with_dirs(store, &record.id, throwaway, |tx| {
        insert(tx, &record.id, &record.image, manifest, throwaway)?;
        records::insert(tx, record)?;
        lower(tx, &record.id)
    })
}

/// The same with volumes and images that it mounts: what has to be made of them is named in the same
/// transaction.
pub(crate) fn create_with(
    store: &Store,
    record: &Record,
    manifest: Option<&Digest>,
    throwaway: bool,
    parts: Parts,
) -> Result<Snapshot, Error> {
    // Volumes with names outlive the container, and are to survive a power cut.
    let keeps = parts.volumes.iter().any(|volume| volume.outlives());
    let durability = durability(throwaway && !keeps);
    let mut settled = Settled::default();
    let dir = store.paths.container(&record.id);
    make_dirs(&dir)?;
    let rows = store.write(durability, |tx| {
        insert(tx, &record.id, &record.image, manifest, throwaway)?;
        records::insert(tx, record)?;
        settled = volume::references(tx, &record.id, &parts.volumes)?;
        for image in &parts.images {
            let sql = "INSERT OR IGNORE INTO container_images VALUES (?1, ?2)";
            tx.prepare_cached(sql)?
                .execute([record.id.as_str(), &image.to_string()])?;
        }
        lower(tx, &record.id)
    });
    match rows {
        Ok(lower) => {
            volume::done(store, parts.volumes, &settled);
            Ok(mounts(store, &record.id, &lower, throwaway))
        }
        Err(error) => {
            // The first error is the one to tell; what stays is removed at the next open.
            let _ = store.trash.discard(&dir);
            Err(error)
        }
    }
}

/// Has a container that is there have these too.
pub(crate) fn add_parts(store: &Store, id: &ContainerId, parts: Parts) -> Result<(), Error> {
    let mut settled = Settled::default();
    store.write(Durability::Power, |tx| {
        settled = volume::references(tx, id, &parts.volumes)?;
        for image in &parts.images {
            let sql = "INSERT OR IGNORE INTO container_images VALUES (?1, ?2)";
            tx.prepare_cached(sql)?
                .execute([id.as_str(), &image.to_string()])?;
        }
        Ok(())
    })?;
    volume::done(store, parts.volumes, &settled);
    Ok(())
}

/// The reverse for volumes; those of `new` that nobody has then are deleted.
pub(crate) fn take_volumes(
    store: &Store,
    id: &ContainerId,
    names: &[String],
    new: &[String],
) -> Result<(), Error> {
    let deleted = store.write(Durability::Power, |tx| {
        for name in names {
            volume::part_from(tx, id, name)?;
        }
        volume::delete_unused(tx, &store.paths, new)
    })?;
    for number in deleted {
        volume::discard(store, number);
    }
    Ok(())
}

/// What a container has beside its own image.
#[derive(Debug, Default)]
pub struct Parts {
    /// Volumes.
    pub volumes: Vec<StagedVolume>,
    /// Images that it mounts.
    pub images: Vec<Digest>,
}

fn durability(throwaway: bool) -> Durability {
    match throwaway {
        true => Durability::Process,
        false => Durability::Power,
    }
}

/// Makes a container's directories and the row of its writable layer.
pub(crate) fn prepare(
    store: &Store,
    id: &ContainerId,
    image: &Digest,
    throwaway: bool,
) -> Result<Snapshot, Error> {
    with_dirs(store, id, throwaway, |tx| {
        insert(tx, id, image, None, throwaway)?;
        lower(tx, id)
    })
}

/// Directories first, so that every row has its own; they go again when the rows cannot be written.
fn with_dirs(
    store: &Store,
    id: &ContainerId,
    throwaway: bool,
    rows: impl FnOnce(&Transaction<'_>) -> Result<Vec<u64>, Error>,
) -> Result<Snapshot, Error> {
    let dir = store.paths.container(id);
    make_dirs(&dir)?;
    match store.write(durability(throwaway), rows) {
        Ok(lower) => Ok(mounts(store, id, &lower, throwaway)),
        Err(error) => {
            // The first error is the one to tell; what stays is removed at the next open.
            let _ = store.trash.discard(&dir);
            Err(error)
        }
    }
}

/// What mounts a writable layer made before.
pub(crate) fn find(store: &Store, id: &ContainerId) -> Result<Snapshot, Error> {
    let (lower, throwaway) = store.read(|db| {
        let sql = "SELECT throwaway FROM snapshots WHERE container = ?1";
        let throwaway: Option<bool> = db
            .prepare_cached(sql)?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        let throwaway = throwaway.ok_or_else(|| Error::NoContainer(id.clone()))?;
        Ok((lower(db, id)?, throwaway))
    })?;
    if throwaway {
        allow_again(store, id)?;
    }
    Ok(mounts(store, id, &lower, throwaway))
}

/// A volatile overlay is not mounted a second time, because the kernel cannot know that nothing was
/// lost since the first. Nothing was: after a power cut its container is removed and not started.
fn allow_again(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let mark = store.paths.container(id).join(WORK).join("work/incompat");
    match std::fs::remove_dir_all(&mark) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", &mark)(error))
        }
        _ => Ok(()),
    }
}

/// Drops a writable layer. The row goes first: a directory without one is garbage, the other way
/// round it would be a container without a root.
pub(crate) fn discard(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let project = store.write(Durability::Process, |tx| delete(tx, id))?;
    quota::lift(store, project);
    discard_dir(store, id)
}

/// Drops a container: its record and its writable layer, in one transaction.
pub(crate) fn remove(store: &Store, id: &ContainerId, durability: Durability) -> Result<(), Error> {
    let project = store.write(durability, |tx| {
        records::delete(tx, id)?;
        delete(tx, id)
    })?;
    quota::lift(store, project);
    discard_dir(store, id)
}

/// The same, and the volumes that were made with it and that nobody else has.
pub(crate) fn remove_with_volumes(
    store: &Store,
    id: &ContainerId,
    durability: Durability,
) -> Result<(), Error> {
    let (project, volumes) = store.write(durability, |tx| {
        let own = volume::own(tx, id)?;
        records::delete(tx, id)?;
        Ok((
            delete(tx, id)?,
            volume::delete_unused(tx, &store.paths, &own)?,
        ))
    })?;
    quota::lift(store, project);
    for number in volumes {
        volume::discard(store, number);
    }
    discard_dir(store, id)
}

fn discard_dir(store: &Store, id: &ContainerId) -> Result<(), Error> {
    let dir = store.paths.container(id);
    match store.trash.discard(&dir) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// Bytes the writable layer takes on disk, a file of several names counted once.
pub(crate) fn usage(store: &Store, id: &ContainerId) -> Result<u64, Error> {
    let upper = store.paths.container(id).join(UPPER);
    let failed = || Error::file("read", &upper);
    let dir = match Dir::open(&upper) {
        Err(error) if error.errno == sys::Errno::NOENT => {
            return Err(Error::NoContainer(id.clone()));
        }
        answer => answer.map_err(failed())?,
    };
    usage::below(dir, &upper)
}

fn make_dirs(dir: &Path) -> Result<(), Error> {
    let make = |path: &Path, mode| {
        DirBuilder::new()
            .mode(mode)
            .create(path)
            .map_err(Error::file("create", path))
    };
    make(dir, 0o710)?;
    let upper = dir.join(UPPER);
    make(&upper, 0o755)?;
    // The container's root directory, whatever the daemon's umask is.
    std::fs::set_permissions(&upper, Permissions::from_mode(0o755))
        .map_err(Error::file("change the permissions of", &upper))?;
    make(&dir.join(WORK), 0o700)
}

fn insert(
    tx: &Transaction<'_>,
    id: &ContainerId,
    image: &Digest,
    manifest: Option<&Digest>,
    throwaway: bool,
) -> Result<(), Error> {
    let image = image.to_string();
    let manifest = manifest.map(Digest::to_string);
    let sql = "INSERT INTO snapshots (container, image, throwaway, manifest)
        SELECT ?1, id, ?3, coalesce(?4, manifest) FROM images WHERE id = ?2";
    let inserted =
        tx.prepare_cached(sql)?
            .execute(params![id.as_str(), image, throwaway, manifest])?;
    if inserted == 0 {
        return Err(Error::NoSuchImage(image));
    }
    Ok(())
}

/// Deletes the row; the project whose quota limited it.
fn delete(tx: &Transaction<'_>, id: &ContainerId) -> Result<Option<i64>, Error> {
    let sql = "DELETE FROM snapshots WHERE container = ?1 RETURNING project";
    let project: Option<Option<i64>> = tx
        .prepare_cached(sql)?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(project.flatten())
}

/// Numbers of the layers below, the uppermost first. One that an image has twice counts where it is
/// uppermost: overlayfs refuses a directory twice, and the lower one could show nothing anyway.
fn lower(db: &Connection, id: &ContainerId) -> Result<Vec<u64>, Error> {
    let sql = "SELECT layers.number FROM snapshots
        JOIN image_layers ON image_layers.image = snapshots.image
            AND image_layers.manifest = snapshots.manifest
        JOIN layers ON layers.diff_id = image_layers.diff_id
        WHERE snapshots.container = ?1 ORDER BY image_layers.position DESC";
    numbers(db, sql, params![id.as_str()])
}

fn numbers(db: &Connection, sql: &str, of: impl Params) -> Result<Vec<u64>, Error> {
    let mut query = db.prepare_cached(sql)?;
    let numbers = query.query_map(of, |row| row.get::<_, i64>(0))?;
    let mut lower: Vec<u64> = Vec::new();
    for number in numbers {
        let number = number?.cast_unsigned();
        if !lower.contains(&number) {
            lower.push(number);
        }
    }
    if lower.is_empty() {
        lower.push(EMPTY_LAYER);
    }
    Ok(lower)
}

/// What mounts an image read-only.
pub(crate) fn image(store: &Store, image: &Image) -> Result<Mount, Error> {
    let sql = "SELECT layers.number FROM image_layers
        JOIN layers ON layers.diff_id = image_layers.diff_id
        WHERE image = ?1 AND manifest = ?2 ORDER BY position DESC";
    let of = params![image.id.to_string(), image.manifest.to_string()];
    let mut lower = store.read(|db| numbers(db, sql, of))?;
    // overlayfs takes no single layer without an upper one.
    match lower.as_slice() {
        [EMPTY_LAYER] => return Ok(nothing(store)),
        [_] => lower.push(EMPTY_LAYER),
        _ => {}
    }
    Ok(Mount {
        kind: "overlay".to_owned(),
        source: "overlay".into(),
        target: "/".into(),
        options: vec![
            "ro".to_owned(),
            "redirect_dir=off".to_owned(),
            "metacopy=off".to_owned(),
        ],
        lower: lower
            .iter()
            .map(|number| store.paths.layer(*number).join(DIFF))
            .collect(),
        subpath: None,
    })
}

/// What mounts an image without a layer.
fn nothing(store: &Store) -> Mount {
    Mount {
        kind: "bind".to_owned(),
        source: store.paths.layer(EMPTY_LAYER).join(DIFF),
        target: "/".into(),
        options: vec!["bind".to_owned(), "ro".to_owned()],
        lower: Vec::new(),
        subpath: None,
    }
}

fn mounts(store: &Store, id: &ContainerId, lower: &[u64], throwaway: bool) -> Snapshot {
    let dir = store.paths.container(id);
    let option = |name: &str, dir: PathBuf| format!("{name}={}", dir.display());
    let mut options = vec![
        option("upperdir", dir.join(UPPER)),
        option("workdir", dir.join(WORK)),
        // Whatever the kernel was configured with: no inode index, which refuses an upper directory
        // whose lower one was moved, and no renames or copies by reference, which only overlayfs
        // itself could read back.
        "index=off".to_owned(),
        "redirect_dir=off".to_owned(),
        "metacopy=off".to_owned(),
    ];
    if throwaway {
        options.push("volatile".to_owned());
    }
    // overlayfs takes no more directories than the layers that an image may have. Of that many, each start
    // makes its places itself.
    let places = (lower.len() < MAX_LAYERS).then(|| store.paths.places());
    let lower = lower
        .iter()
        .map(|number| store.paths.layer(*number).join(DIFF))
        .chain(places)
        .collect();
    let mount = Mount {
        kind: "overlay".to_owned(),
        source: "overlay".into(),
        target: "/".into(),
        options,
        lower,
        subpath: None,
    };
    Snapshot {
        mounts: vec![mount],
    }
}
