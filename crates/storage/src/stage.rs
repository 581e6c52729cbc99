//! What is on its way into the store.
//!
//! Files come first and rows after them, in one transaction, so that every row has its file. Until
//! then a lease keeps what a stage has brought or found: neither another stage's failure nor a
//! removal takes it away. A file without a row and without a lease is garbage, after a crash too.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};
use types::{Digest, ImageRef, Platform};

use crate::Durability;
use crate::clock;
use crate::content::kept;
use crate::error::Error;
use crate::gc;
use crate::image::documents;
use crate::layer::Unpacked;
use crate::store::{State, Store};
use crate::temp::Blob;

/// What stages hold. In memory: after a crash there is no stage.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    pub content: HashMap<Digest, Lease<Content>>,
    pub layers: HashMap<Digest, Lease<Layer>>,
}

/// How many hold it, and what its row will be if it has none yet.
#[derive(Debug)]
pub(crate) struct Lease<T> {
    holders: usize,
    pub fresh: Option<T>,
}

/// A row of `content` to be.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    size: u64,
    media_type: String,
    /// The layer it unpacks to.
    diff_id: Option<Digest>,
    /// Whether it is worth keeping for another try.
    keep: bool,
    /// By which encoder it is made of its layer; none when it is a file.
    encoder: Option<&'static str>,
    /// Of a file, how somebody has asked for it.
    asked: Option<String>,
}

/// A row of `layers` to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    pub number: u64,
    size: u64,
    recorded: bool,
}

impl<T> Default for Lease<T> {
    fn default() -> Self {
        Self {
            holders: 0,
            fresh: None,
        }
    }
}

/// An image to be.
#[derive(Debug, Clone)]
pub(crate) struct NewImage {
    pub id: Digest,
    /// What of it is unpacked; the first is what runs when nobody names a platform.
    pub manifest: NewManifest,
    /// All content it keeps.
    pub content: Vec<Digest>,
}

/// An unpacked image of one platform to be.
#[derive(Debug, Clone)]
pub(crate) struct NewManifest {
    pub digest: Digest,
    /// The configuration's text.
    pub config: String,
    /// Diff ids, the lowest first.
    pub layers: Vec<Digest>,
    /// What it runs on; none when its configuration does not say.
    pub platform: Option<Platform>,
}

/// One import, load or pull.
#[derive(Debug)]
pub(crate) struct Stage {
    store: Arc<Store>,
    content: Vec<Digest>,
    layers: Vec<Digest>,
    /// Whether content that it brought is kept for another try.
    resumable: bool,
}

impl Stage {
    pub(crate) fn new(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            content: Vec::new(),
            layers: Vec::new(),
            resumable: false,
        }
    }

    /// One whose content is kept for another try when nothing comes of it.
    pub(crate) fn resumable(store: &Arc<Store>) -> Self {
        let mut stage = Self::new(store);
        stage.resumable = true;
        stage
    }

    /// The file of content that the store has.
    pub(crate) fn file(&self, digest: &Digest) -> Result<PathBuf, Error> {
        Ok(self.store.paths.blob(digest))
    }

    /// Whether the store has this content; if so it stays.
    pub(crate) fn has_content(&mut self, digest: &Digest) -> Result<bool, Error> {
        let store = Arc::clone(&self.store);
        let mut state = store.state();
        let there = has_content(&state, digest)?;
        if there {
            self.hold_content(&mut state, digest);
        }
        Ok(there)
    }

    /// Whether the store has this layer; if so it stays.
    pub(crate) fn has_layer(&mut self, diff_id: &Digest) -> Result<bool, Error> {
        let store = Arc::clone(&self.store);
        let mut state = store.state();
        let there = layer_number(&state, diff_id)?.is_some();
        if there {
            self.hold_layer(&mut state, diff_id);
        }
        Ok(there)
    }

    /// Brings content; `diff_id` is the layer it unpacks to, where that is known.
    pub(crate) fn add_content(
        &mut self,
        blob: &Blob,
        media_type: &str,
        diff_id: Option<&Digest>,
    ) -> Result<(), Error> {
        let store = Arc::clone(&self.store);
        let mut state = store.state();
        let there = has_content(&state, &blob.digest)?;
        if !there {
            blob.move_to(&store.paths.blob(&blob.digest))?;
        }
        let resumable = self.resumable;
        let lease = self.hold_content(&mut state, &blob.digest);
        if !there {
            lease.fresh = Some(Content {
                size: blob.size,
                media_type: media_type.to_owned(),
                diff_id: diff_id.cloned(),
                keep: resumable && !documents::is_document(media_type),
                encoder: None,
                asked: None,
            });
        }
        Ok(())
    }

    /// Brings content that a layer was compressed to because somebody has asked for that: it is nothing that the
    /// layer came as.
    pub(crate) fn add_asked(
        &mut self,
        blob: &Blob,
        media_type: &str,
        diff_id: &Digest,
        asked: String,
    ) -> Result<(), Error> {
        self.add_content(blob, media_type, Some(diff_id))?;
        let store = Arc::clone(&self.store);
        let mut state = store.state();
        if let Some(fresh) = self.hold_content(&mut state, &blob.digest).fresh.as_mut() {
            fresh.asked = Some(asked);
        }
        Ok(())
    }

    /// Brings a layer.
    pub(crate) fn add_layer(&mut self, layer: Unpacked) -> Result<(), Error> {
        let store = Arc::clone(&self.store);
        let mut state = store.state();
        let there = layer_number(&state, &layer.diff_id)?.is_some();
        let lease = self.hold_layer(&mut state, &layer.diff_id);
        if !there {
            lease.fresh = Some(Layer {
                number: layer.number,
                size: layer.size,
                recorded: layer.recorded,
            });
            layer.keep();
        }
        Ok(())
    }

    /// Where a layer is that this stage holds, and the bytes of its files.
    pub(crate) fn layer(&self, diff_id: &Digest) -> Result<(u64, u64), Error> {
        let state = self.store.state();
        let fresh = state.leases.layers.get(diff_id).and_then(|l| l.fresh);
        if let Some(fresh) = fresh {
            return Ok((fresh.number, fresh.size));
        }
        let sql = "SELECT number, size FROM layers WHERE diff_id = ?1";
        let mut query = state.database.read().prepare_cached(sql)?;
        let (number, size): (i64, i64) =
            query.query_row([diff_id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((number.cast_unsigned(), size.cast_unsigned()))
    }

    /// Brings content that is no file: what a layer is packed into.
    pub(crate) fn add_packed(
        &mut self,
        digest: &Digest,
        size: u64,
        media_type: &str,
        diff_id: &Digest,
        encoder: &'static str,
    ) -> Result<(), Error> {
        let store = Arc::clone(&self.store);
        let mut state = store.state();
        let there = has_content(&state, digest)?;
        let lease = self.hold_content(&mut state, digest);
        if !there {
            lease.fresh = Some(Content {
                size,
                media_type: media_type.to_owned(),
                diff_id: Some(diff_id.clone()),
                keep: false,
                encoder: Some(encoder),
                asked: None,
            });
        }
        Ok(())
    }

    /// Names the layers that this stage holds, and whatever `more` says, for as long as the machine
    /// runs: nothing waits for the disk.
    pub(crate) fn name_layers(
        &mut self,
        more: impl FnOnce(&Transaction<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut state = self.store.state();
        let State { database, leases } = &mut *state;
        let replaced = database.write(Durability::Process, |tx| {
            let mut replaced = Vec::new();
            for diff_id in &self.layers {
                replaced.extend(insert_layer(tx, diff_id, leases)?);
            }
            more(tx)?;
            Ok(replaced)
        })?;
        self.named(leases, replaced);
        Ok(())
    }

    /// What has a row now is not fresh any more; layers that were replaced go.
    fn named(&self, leases: &mut Leases, replaced: Vec<u64>) {
        for number in replaced {
            // What stays is removed at the next open.
            let _ = self.store.trash.discard(&self.store.paths.layer(number));
        }
        for diff_id in &self.layers {
            leases.layers.entry(diff_id.clone()).or_default().fresh = None;
        }
    }

    /// Makes it all so: content, layers, images and their names, or nothing.
    pub(crate) fn publish(
        &mut self,
        images: &[NewImage],
        names: &[(ImageRef, Digest)],
        sources: &[(Digest, String)],
    ) -> Result<(), Error> {
        // One sync of the file system for all files, instead of one a file.
        let layers = self.store.paths.layers();
        sys::dir::Dir::open(&layers)
            .and_then(|dir| dir.sync_file_system())
            .map_err(Error::file("sync", &layers))?;
        let mut state = self.store.state();
        let State { database, leases } = &mut *state;
        let replaced = database.write(Durability::Power, |tx| {
            for digest in &self.content {
                insert_content(tx, digest, leases)?;
            }
            let mut replaced = Vec::new();
            for diff_id in &self.layers {
                replaced.extend(insert_layer(tx, diff_id, leases)?);
            }
            for image in images {
                insert_image(tx, image)?;
            }
            for (name, id) in names {
                insert_name(tx, name, id)?;
            }
            for (digest, repository) in sources {
                insert_source(tx, digest, repository)?;
            }
            Ok(replaced)
        })?;
        self.named(leases, replaced);
        for digest in &self.content {
            leases.content.entry(digest.clone()).or_default().fresh = None;
        }
        Ok(())
    }

    /// Whether all of it was published before, as an image that was made again of the same.
    pub(crate) fn is_there(
        &self,
        images: &[NewImage],
        names: &[(ImageRef, Digest)],
    ) -> Result<bool, Error> {
        let state = self.store.state();
        let leases = &state.leases;
        let fresh = |digest| {
            leases
                .content
                .get(digest)
                .is_some_and(|l| l.fresh.is_some())
        };
        let unpacked = |digest| leases.layers.get(digest).is_some_and(|l| l.fresh.is_some());
        if self.content.iter().any(fresh) || self.layers.iter().any(unpacked) {
            return Ok(false);
        }
        let db = state.database.read();
        let mut known = db.prepare_cached(
            "SELECT 1 FROM manifests m JOIN images i ON i.id = m.image
                WHERE i.id = ?1 AND m.digest = ?2 AND m.config = ?3 AND (i.manifest = ?2 OR ?4)",
        )?;
        for image in images {
            let (id, manifest) = (image.id.to_string(), image.manifest.digest.to_string());
            // What runs here is what runs when nobody names a platform.
            let platform = image.manifest.platform.as_ref();
            let other = platform.is_some_and(|platform| !Platform::host().runs(platform));
            if !known.exists(params![id, manifest, image.manifest.config, other])? {
                return Ok(false);
            }
        }
        let mut named = db.prepare_cached("SELECT 1 FROM names WHERE name = ?1 AND image = ?2")?;
        for (name, id) in names {
            if !named.exists([name.to_string(), id.to_string()])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn hold_content<'s>(
        &mut self,
        state: &'s mut State,
        digest: &Digest,
    ) -> &'s mut Lease<Content> {
        let lease = state.leases.content.entry(digest.clone()).or_default();
        lease.holders += 1;
        self.content.push(digest.clone());
        lease
    }

    fn hold_layer<'s>(&mut self, state: &'s mut State, diff_id: &Digest) -> &'s mut Lease<Layer> {
        let lease = state.leases.layers.entry(diff_id.clone()).or_default();
        lease.holders += 1;
        self.layers.push(diff_id.clone());
        lease
    }
}

impl Drop for Stage {
    /// Lets go; what nobody else holds and no row names is thrown away.
    fn drop(&mut self) {
        let store = Arc::clone(&self.store);
        let paths = &store.paths;
        let mut orphans = Vec::new();
        let mut state = store.state();
        for digest in self.content.drain(..) {
            if let Some(Some(content)) = release(&mut state.leases.content, &digest) {
                let (blob, partial) = (paths.blob(&digest), paths.partial(&digest));
                if !content.keep || std::fs::rename(&blob, partial).is_err() {
                    orphans.push(blob);
                }
            }
        }
        for diff_id in self.layers.drain(..) {
            if let Some(Some(layer)) = release(&mut state.leases.layers, &diff_id) {
                orphans.push(paths.layer(layer.number));
            }
        }
        for orphan in orphans {
            // What stays is removed at the next open.
            let _ = store.trash.discard(&orphan);
        }
        // A removal may have passed over what was held here.
        let _ = gc::collect(&store, &mut state);
    }
}

/// One holder less; what was fresh when it was the last.
fn release<T>(leases: &mut HashMap<Digest, Lease<T>>, digest: &Digest) -> Option<Option<T>> {
    let lease = leases.get_mut(digest)?;
    lease.holders -= 1;
    if lease.holders > 0 {
        return None;
    }
    leases.remove(digest).map(|lease| lease.fresh)
}

fn has_content(state: &State, digest: &Digest) -> Result<bool, Error> {
    if state
        .leases
        .content
        .get(digest)
        .is_some_and(|lease| lease.fresh.is_some())
    {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM content WHERE digest = ?1 AND kept < 2";
    let mut query = state.database.read().prepare_cached(sql)?;
    Ok(query.exists([digest.to_string()])?)
}

fn layer_number(state: &State, diff_id: &Digest) -> Result<Option<u64>, Error> {
    if let Some(fresh) = state
        .leases
        .layers
        .get(diff_id)
        .and_then(|lease| lease.fresh)
    {
        return Ok(Some(fresh.number));
    }
    let sql = "SELECT number FROM layers WHERE diff_id = ?1 AND damaged = 0";
    let mut query = state.database.read().prepare_cached(sql)?;
    let number = query
        .query_row([diff_id.to_string()], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(number.map(i64::cast_unsigned))
}

fn insert_content(tx: &Transaction<'_>, digest: &Digest, leases: &Leases) -> Result<(), Error> {
    if let Some(new) = leases
        .content
        .get(digest)
        .and_then(|lease| lease.fresh.as_ref())
    {
        let sql = "INSERT INTO content (digest, size, media_type, diff_id, kept, encoder)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET kept = ?5, encoder = ?6 WHERE kept = 2";
        let how = match new.encoder {
            Some(_) => kept::LAYER,
            None => kept::FILE,
        };
        tx.prepare_cached(sql)?.execute(params![
            digest.to_string(),
            new.size.cast_signed(),
            new.media_type,
            new.diff_id.as_ref().map(Digest::to_string),
            how,
            new.encoder.or(new.asked.as_deref()),
        ])?;
    }
    Ok(())
}

/// Adds a layer; the number of a damaged one that it replaces.
fn insert_layer(
    tx: &Transaction<'_>,
    diff_id: &Digest,
    leases: &Leases,
) -> Result<Option<u64>, Error> {
    let mut replaced = None;
    if let Some(new) = leases.layers.get(diff_id).and_then(|lease| lease.fresh) {
        let sql = "SELECT number FROM layers WHERE diff_id = ?1 AND damaged AND number != ?2";
        replaced = tx
            .prepare_cached(sql)?
            .query_row(
                params![diff_id.to_string(), new.number.cast_signed()],
                |row| row.get::<_, i64>(0),
            )
            .optional()?
            .map(i64::cast_unsigned);
        let sql = "INSERT INTO layers (diff_id, number, size, recorded) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET number = ?2, size = ?3, recorded = ?4, damaged = 0, disk = NULL
            WHERE damaged";
        tx.prepare_cached(sql)?.execute(params![
            diff_id.to_string(),
            new.number.cast_signed(),
            new.size.cast_signed(),
            new.recorded,
        ])?;
    }
    Ok(replaced)
}

/// Adds an image, or what it did not keep before.
fn insert_image(tx: &Transaction<'_>, image: &NewImage) -> Result<(), Error> {
    let id = image.id.to_string();
    let manifest = &image.manifest;
    let digest = manifest.digest.to_string();
    // What runs here becomes what runs when nobody names a platform.
    let sql = if manifest
        .platform
        .as_ref()
        .is_none_or(|p| Platform::host().runs(p))
    {
        "INSERT INTO images VALUES (?1, ?2, ?3, 0, ?4)
            ON CONFLICT DO UPDATE SET manifest = ?2, config = ?3"
    } else {
        "INSERT OR IGNORE INTO images VALUES (?1, ?2, ?3, 0, ?4)"
    };
    tx.prepare_cached(sql)?
        .execute(params![id, digest, manifest.config, clock::now()])?;
    tx.prepare_cached("INSERT OR IGNORE INTO manifests VALUES (?1, ?2, ?3)")?
        .execute(params![id, digest, manifest.config])?;
    let mut content = tx.prepare_cached("INSERT OR IGNORE INTO image_content VALUES (?1, ?2)")?;
    for digest in &image.content {
        content.execute(params![id, digest.to_string()])?;
    }
    let mut layers =
        tx.prepare_cached("INSERT OR IGNORE INTO image_layers VALUES (?1, ?2, ?3, ?4)")?;
    for (position, diff_id) in (0_i64..).zip(&manifest.layers) {
        layers.execute(params![id, digest, position, diff_id.to_string()])?;
    }
    recount(tx, &image.id)
}

/// Says anew how large an image is.
pub(crate) fn recount(tx: &Transaction<'_>, image: &Digest) -> Result<(), Error> {
    tx.prepare_cached(
        "UPDATE images SET size =
            (SELECT coalesce(sum(size), 0) FROM content
                WHERE digest IN (SELECT digest FROM image_content WHERE image = ?1)) +
            (SELECT coalesce(sum(size), 0) FROM layers
                WHERE diff_id IN (SELECT diff_id FROM image_layers WHERE image = ?1))
         WHERE id = ?1",
    )?
    .execute([image.to_string()])?;
    Ok(())
}

/// Remembers that a repository has content which is here.
pub(crate) fn insert_source(
    tx: &Transaction<'_>,
    digest: &Digest,
    repository: &str,
) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO sources SELECT digest, ?2 FROM content WHERE digest = ?1";
    tx.prepare_cached(sql)?
        .execute([&digest.to_string(), repository])?;
    Ok(())
}

/// Names an image; what had the name loses it.
pub(crate) fn insert_name(tx: &Transaction<'_>, name: &ImageRef, id: &Digest) -> Result<(), Error> {
    tx.prepare_cached("INSERT OR REPLACE INTO names VALUES (?1, ?2)")?
        .execute([name.to_string(), id.to_string()])?;
    Ok(())
}
