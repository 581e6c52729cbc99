//! What everything takes on disk, in the blocks that files and directories really have.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, params};
use sys::dir::{self, Dir, Kind};
use types::{ContainerId, Digest};

use crate::error::Error;
use crate::gc::parse_digest;
use crate::snapshot::UPPER;
use crate::store::Store;
use crate::{Durability, content::kept};

/// Directories open at a time while counting; what lies deeper is not counted.
const MAX_DEPTH: usize = 256;
/// The unit of `st_blocks`, whatever the file system's block is (stat(2)).
const BLOCK: u64 = 512;

/// What the store takes on disk, in bytes, as du(1) counts: whole blocks, a file of several names
/// once.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Each image.
    pub images: Vec<ImageUsage>,
    /// Content of all images: manifests, configurations, compressed layers.
    pub content: u64,
    /// Unpacked layers of all images.
    pub layers: u64,
    /// Each container.
    pub containers: Vec<ContainerUsage>,
    /// What pulls have not finished.
    pub partial: u64,
    /// Compressed layers that stay beside the unpacked ones because nobody could make the same bytes
    /// again; part of `content`.
    pub doubled: u64,
}

/// What an image takes on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// The image.
    pub id: Digest,
    /// All of it.
    pub size: u64,
    /// What other images use too.
    pub shared: u64,
    /// What would be free without it.
    pub unique: u64,
}

/// What a container takes on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUsage {
    /// The container.
    pub id: ContainerId,
    /// Its writable layer.
    pub layer: u64,
    /// Everything else of it: its log and its files.
    pub files: u64,
}

/// Content and layers with their bytes, and who uses them.
#[derive(Debug, Default)]
struct Parts {
    bytes: HashMap<String, u64>,
    users: HashMap<String, Vec<String>>,
}

/// Counts everything.
pub(crate) fn disk_usage(store: &Store) -> Result<DiskUsage, Error> {
    let mut usage = DiskUsage::default();
    let parts = parts(store, &mut usage)?;
    usage.images = store.read(ids)?.iter().map(|id| parts.of(id)).collect();
    for id in store.read(containers)? {
        let dir = store.paths.container(&id);
        let layer = tree(&dir.join(UPPER)).unwrap_or(0);
        let all = tree(&dir).unwrap_or(0);
        usage.containers.push(ContainerUsage {
            id,
            layer,
            files: all.saturating_sub(layer),
        });
    }
    let partials = store.paths.partials();
    usage.partial = tree(&partials)?.saturating_sub(blocks(&partials));
    Ok(usage)
}

/// Counts what one image takes.
pub(crate) fn image_usage(store: &Store, id: &Digest) -> Result<ImageUsage, Error> {
    Ok(parts(store, &mut DiskUsage::default())?.of(id))
}

/// Content and layers, added up in `usage`.
fn parts(store: &Store, usage: &mut DiskUsage) -> Result<Parts, Error> {
    let mut parts = Parts::default();
    for (digest, untold) in store.read(files)? {
        let bytes = blocks(&store.paths.blob(&digest));
        usage.content += bytes;
        if untold {
            usage.doubled += bytes;
        }
        parts.bytes.insert(digest.to_string(), bytes);
    }
    for (diff_id, number, known) in store.read(layers)? {
        let bytes = match known {
            Some(bytes) => bytes,
            None => count_layer(store, &diff_id, number)?,
        };
        usage.layers += bytes;
        parts.bytes.insert(format!("layer {diff_id}"), bytes);
    }
    store.read(|db| parts.read_users(db))?;
    Ok(parts)
}

/// A layer never changes: it is counted once.
fn count_layer(store: &Store, diff_id: &Digest, number: u64) -> Result<u64, Error> {
    let bytes = tree(&store.paths.layer(number))?;
    store.write(Durability::Process, |tx| {
        let sql = "UPDATE layers SET disk = ?2 WHERE diff_id = ?1 AND number = ?3";
        tx.prepare_cached(sql)?.execute(params![
            diff_id.to_string(),
            bytes.cast_signed(),
            number.cast_signed()
        ])?;
        Ok(())
    })?;
    Ok(bytes)
}

/// Bytes that a name takes on disk, without what is in it; 0 when it is gone.
fn blocks(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |status| status.blocks() * BLOCK)
}

/// Bytes that a directory and all in it take on disk.
pub(crate) fn tree(path: &Path) -> Result<u64, Error> {
    let dir = Dir::open(path).map_err(Error::file("read", path))?;
    Ok(blocks(path) + below(dir, path)?)
}

/// Bytes that all in a directory takes on disk, a file of several names counted once.
pub(crate) fn below(dir: Dir, path: &Path) -> Result<u64, Error> {
    let failed = || Error::file("read", path);
    let mut seen = HashSet::new();
    let mut bytes = 0;
    // Open directories wait here, with their entries; one at a time goes deeper.
    let mut stack = vec![(dir.entries().map_err(failed())?, dir)];
    loop {
        let depth = stack.len();
        let Some((entries, dir)) = stack.last_mut() else {
            return Ok(bytes);
        };
        let Some(entry) = entries.next() else {
            stack.pop();
            continue;
        };
        let (name, _) = entry.map_err(failed())?;
        let name = dir::name(&name);
        // The container may be running: what is gone meanwhile is not counted.
        let Ok(status) = dir.status(name) else {
            continue;
        };
        if status.links < 2 || status.kind == Kind::Directory || seen.insert(status.identity) {
            bytes += status.allocated;
        }
        let deeper = (status.kind == Kind::Directory && depth < MAX_DEPTH)
            .then(|| dir.open_dir(name).and_then(|dir| Ok((dir.entries()?, dir))));
        if let Some(Ok(deeper)) = deeper {
            stack.push(deeper);
        }
    }
}

impl Parts {
    fn read_users(&mut self, db: &Connection) -> Result<(), Error> {
        let queries = [
            "SELECT image, digest FROM image_content",
            "SELECT DISTINCT image, 'layer ' || diff_id FROM image_layers",
        ];
        for sql in queries {
            let mut query = db.prepare_cached(sql)?;
            for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
                let (image, part): (String, String) = row?;
                self.users.entry(part).or_default().push(image);
            }
        }
        Ok(())
    }

    fn of(&self, id: &Digest) -> ImageUsage {
        let name = id.to_string();
        let mut usage = ImageUsage {
            id: id.clone(),
            size: 0,
            shared: 0,
            unique: 0,
        };
        let ours = self.users.iter().filter(|(_, users)| users.contains(&name));
        for (part, users) in ours {
            let bytes = self.bytes.get(part).copied().unwrap_or(0);
            usage.size += bytes;
            match users.len() {
                1 => usage.unique += bytes,
                _ => usage.shared += bytes,
            }
        }
        usage
    }
}

/// Content that has a file, and whether it is a layer's that nobody can make again.
fn files(db: &Connection) -> Result<Vec<(Digest, bool)>, Error> {
    let sql = "SELECT digest, diff_id IS NOT NULL AND encoder IS NOT NULL FROM content
        WHERE kept = ?1";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([kept::FILE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| {
        row.map_err(Error::from)
            .and_then(|(d, b)| Ok((parse_digest(d)?, b)))
    })
    .collect()
}

type LayerRow = (Digest, u64, Option<u64>);

fn layers(db: &Connection) -> Result<Vec<LayerRow>, Error> {
    let mut query = db.prepare_cached("SELECT diff_id, number, disk FROM layers")?;
    let rows = query.query_map([], |row| {
        let disk: Option<i64> = row.get(2)?;
        Ok((row.get(0)?, row.get::<_, i64>(1)?, disk))
    })?;
    rows.map(|row| {
        let (diff_id, number, disk) = row?;
        Ok((
            parse_digest(diff_id)?,
            number.cast_unsigned(),
            disk.map(i64::cast_unsigned),
        ))
    })
    .collect()
}

fn ids(db: &Connection) -> Result<Vec<Digest>, Error> {
    let mut query = db.prepare_cached("SELECT id FROM images ORDER BY id")?;
    let rows = query.query_map([], |row| row.get(0))?;
    rows.map(|row| parse_digest(row?)).collect()
}

fn containers(db: &Connection) -> Result<Vec<ContainerId>, Error> {
    let mut query = db.prepare_cached("SELECT container FROM snapshots ORDER BY container")?;
    let rows = query.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| {
        let text = row?;
        let what = "container's id";
        text.parse().map_err(|_| Error::Record { what, text })
    })
    .collect()
}
