//! What builds need of the store: layers that are held, writable layers for steps, the results of steps
//! by what they have read, and directories that stay from build to build.

mod draft;
mod limit;
mod mounts;
mod packed;
mod records;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use types::{Digest, Mount};

pub use draft::Draft;
pub use mounts::CacheUsage;
pub use packed::Packed;
pub(crate) use records::forget_lost;
pub use records::{BuildRecord, Kept};

use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::paths::{DIFF, EMPTY_LAYER};
use crate::stage::Stage;
use crate::store::Store;
use crate::{Image, Storage};

/// Unpacked layers, the lowest first, which stay as long as this or a clone of it lives.
#[derive(Debug, Clone, Default)]
pub struct Layers(Vec<Arc<Layer>>);

#[derive(Debug)]
struct Layer {
    diff_id: Digest,
    dir: PathBuf,
    size: u64,
    /// Keeps it.
    _lease: Stage,
}

impl Layers {
    /// What names them, the lowest first.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &Digest> {
        self.0.iter().map(|layer| &layer.diff_id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Their directories, in overlayfs's form, the uppermost first; of layers that are there twice the
    /// upper one.
    pub fn dirs(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        for layer in self.0.iter().rev() {
            if !dirs.contains(&layer.dir) {
                dirs.push(layer.dir.clone());
            }
        }
        dirs
    }

    /// Bytes of their files, from the layer at `from` on.
    pub fn size(&self, from: usize) -> u64 {
        self.0.iter().skip(from).map(|layer| layer.size).sum()
    }

    /// These and those above them.
    #[must_use]
    pub fn with(&self, above: &Self) -> Self {
        Self(self.0.iter().chain(&above.0).cloned().collect())
    }

    /// The first so many.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self(self.0.iter().take(count).cloned().collect())
    }

    /// Those that are above `below`, if these begin with it.
    pub fn above(&self, below: &Self) -> Option<Self> {
        let begins = self.len() >= below.len() && self.ids().zip(below.ids()).all(|(a, b)| a == b);
        begins.then(|| Self(self.0.iter().skip(below.len()).cloned().collect()))
    }
}

/// Holds layers of the store; none when one of them is not there.
fn hold<'a>(
    store: &Arc<Store>,
    ids: impl Iterator<Item = &'a Digest>,
) -> Result<Option<Layers>, Error> {
    let mut layers = Vec::new();
    for diff_id in ids {
        let mut lease = Stage::new(store);
        if !lease.has_layer(diff_id)? {
            return Ok(None);
        }
        let (number, size) = lease.layer(diff_id)?;
        layers.push(Arc::new(Layer {
            diff_id: diff_id.clone(),
            dir: store.paths.layer(number).join(DIFF),
            size,
            _lease: lease,
        }));
    }
    Ok(Some(Layers(layers)))
}

/// Whether the first header of an archive is one: its checksum is right (POSIX.1-2001, ustar).
fn archive_begins(mut file: &File) -> io::Result<bool> {
    const HEADER: usize = 512;
    let mut start = Vec::with_capacity(MAGIC);
    file.rewind()?;
    file.take(MAGIC as u64).read_to_end(&mut start)?;
    file.rewind()?;
    let mut header = Vec::with_capacity(HEADER);
    let decoder = Format::of(&start).reader(BufReader::new(file));
    let Ok(decoder) = decoder else {
        return Ok(false);
    };
    // What is compressed and damaged is no archive.
    let read = decoder.take(HEADER as u64).read_to_end(&mut header);
    file.rewind()?;
    Ok(read.is_ok() && header.len() == HEADER && checks(&header))
}

fn checks(header: &[u8]) -> bool {
    const SUM: std::ops::Range<usize> = 148..156;
    let said: String = header[SUM]
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_digit(8))
        .collect();
    let others = header
        .iter()
        .enumerate()
        .filter(|(at, _)| !SUM.contains(at));
    let sum: u32 = others.map(|(_, byte)| u32::from(*byte)).sum();
    u32::from_str_radix(&said, 8).is_ok_and(|said| said == sum + 8 * u32::from(b' '))
}

/// What mounts directories in overlayfs's form read-only, the uppermost first.
fn read_only(store: &Store, mut lower: Vec<PathBuf>) -> Mount {
    if lower.len() < 2 {
        // overlayfs takes no single layer without an upper one.
        lower.push(store.paths.layer(EMPTY_LAYER).join(DIFF));
    }
    if lower.len() < 2 {
        return bind(lower);
    }
    Mount {
        kind: "overlay".to_owned(),
        source: "overlay".into(),
        target: "/".into(),
        options: ["ro", "redirect_dir=off", "metacopy=off"]
            .map(str::to_owned)
            .into(),
        lower,
        subpath: None,
    }
}

/// What mounts one directory read-only.
fn bind(mut dirs: Vec<PathBuf>) -> Mount {
    Mount {
        kind: "bind".to_owned(),
        source: dirs.pop().unwrap_or_default(),
        target: "/".into(),
        options: ["bind", "ro"].map(str::to_owned).into(),
        lower: Vec::new(),
        subpath: None,
    }
}

impl Storage {
    /// The layers of an image, held.
    ///
    /// # Errors
    /// [`Error::Missing`] when one is not there any more.
    pub fn image_layers(&self, image: &Image) -> Result<Layers, Error> {
        let held = hold(&self.store, image.layers.iter())?;
        held.ok_or_else(|| Error::Missing(format!("a layer of image {}", image.id)))
    }

    /// Layers by what names them, held; none when one of them is not there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn layers(&self, ids: &[Digest]) -> Result<Option<Layers>, Error> {
        hold(&self.store, ids.iter())
    }

    /// What mounts layers read-only, or a directory in their stead.
    pub fn mount_dirs(&self, dirs: Vec<PathBuf>) -> Mount {
        read_only(&self.store, dirs)
    }

    /// The text of an image's configuration.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], and when the database fails.
    pub fn config_text(&self, image: &Image) -> Result<String, Error> {
        let of = params![image.id.to_string(), image.manifest.to_string()];
        self.store.read(|db| {
            let sql = "SELECT config FROM manifests WHERE image = ?1 AND digest = ?2";
            let mut query = db.prepare_cached(sql)?;
            let text = query.query_row(of, |row| row.get(0)).optional()?;
            text.ok_or_else(|| Error::NoSuchImage(image.id.to_string()))
        })
    }

    /// Whether a file is a tar archive, compressed or not, as far as its beginning says.
    pub fn is_archive(file: &File) -> bool {
        archive_begins(file).unwrap_or(false)
    }

    /// Whether an image has the layer too.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_of_image(&self, diff_id: &Digest) -> Result<bool, Error> {
        self.store.read(|db| {
            let sql = "SELECT 1 FROM image_layers WHERE diff_id = ?1";
            Ok(db
                .prepare_cached(sql)?
                .exists(params![diff_id.to_string()])?)
        })
    }
}
