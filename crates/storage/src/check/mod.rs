//! Whether the store is whole: the database, every blob, every unpacked layer, every file that no row
//! names. What is damaged is mended from what is not ([`repair`]); what cannot be is marked, so that a
//! pull of its images brings it again.

mod repair;

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use sys::dir::Dir;
use types::{ContainerId, Digest, ImageRef};

use crate::compress::{Format, MAGIC};
use crate::content::{self, kept};
use crate::error::Error;
use crate::gc::parse_digest;
use crate::layer::{LastOf, Rebuilt, verify};
use crate::paths::{self, DIFF};
use crate::store::{self, Store};
use crate::temp::Hashed;

const BUFFER: usize = 128 << 10;

/// How to look at the store.
pub struct Check<'a> {
    /// Whether to mend what can be mended.
    pub repair: bool,
    /// Whether a container runs: its layers are not changed then.
    pub runs: &'a dyn Fn(&ContainerId) -> bool,
}

impl std::fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("repair", &self.repair)
            .finish_non_exhaustive()
    }
}

/// How far a check is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checking {
    /// What is looked at now.
    pub what: String,
    /// Things looked at.
    pub done: usize,
    /// Things there are.
    pub total: usize,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Blobs looked at, those made again from their layers included.
    pub blobs: usize,
    /// Layers looked at.
    pub layers: usize,
    /// Images.
    pub images: usize,
    /// Volumes.
    pub volumes: usize,
    /// What is wrong; nothing in a whole store.
    pub problems: Vec<Problem>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One sentence.
    pub text: String,
    /// What became of it.
    pub remedy: Remedy,
    /// Names of the images it is part of, to be pulled again where that is the remedy.
    pub images: Vec<ImageRef>,
}

/// What becomes of something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A repair can mend it.
    Repair,
    /// It is mended.
    Mended,
    /// Its images have to be pulled or loaded again.
    PullAgain,
    /// Containers run on it: to be repaired when they are stopped.
    InUse,
    /// It is for the administrator to see.
    None,
}

impl Checked {
    /// Names of the images that have to be pulled again.
    pub fn pull_again(&self) -> BTreeSet<&ImageRef> {
        let again = |problem: &&Problem| problem.remedy == Remedy::PullAgain;
        let problems = self.problems.iter().filter(again);
        problems.flat_map(|problem| &problem.images).collect()
    }
}

/// A row of `content`.
struct Blob {
    digest: Digest,
    size: u64,
    kept: i64,
    diff_id: Option<Digest>,
}

/// A row of `layers`.
struct Layer {
    diff_id: Digest,
    number: u64,
    recorded: bool,
    damaged: bool,
}

/// Looks at everything.
pub(crate) fn check(
    store: &Arc<Store>,
    check: &Check<'_>,
    progress: &mut dyn FnMut(&Checking),
) -> Result<Checked, Error> {
    let mut checked = Checked {
        images: store.read(count_images)?,
        ..Checked::default()
    };
    database(store, &mut checked)?;
    let (blobs, layers) = (store.read(blobs)?, store.read(layers)?);
    let total = blobs.len() + layers.len();
    let mut done = 0;
    let mut tell = |what: String| {
        progress(&Checking { what, done, total });
        done += 1;
    };
    // Files first: layers are mended from them.
    let mut damaged = HashSet::new();
    let (files, made): (Vec<_>, Vec<_>) = blobs.into_iter().partition(|b| b.kept != kept::LAYER);
    for blob in &files {
        tell(format!("blob {}", blob.digest));
        if let Some(problem) = blob_problem(store, blob) {
            damaged.insert(blob.digest.clone());
            repair::blob(store, check, blob, problem, &mut checked)?;
        }
        checked.blobs += 1;
    }
    for layer in &layers {
        tell(format!("layer {}", layer.diff_id));
        let whole = |blob: &&Blob| {
            blob.diff_id.as_ref() == Some(&layer.diff_id) && !damaged.contains(&blob.digest)
        };
        let source = files
            .iter()
            .find(whole)
            .map(|b| store.paths.blob(&b.digest));
        if let Some(problem) = layer_problem(store, layer, source.as_ref()) {
            repair::layer(store, check, layer, source, problem, &mut checked)?;
        }
        checked.layers += 1;
    }
    for blob in &made {
        tell(format!("blob {}", blob.digest));
        if let Some(problem) = blob_problem(store, blob) {
            repair::blob(store, check, blob, problem, &mut checked)?;
        }
        checked.blobs += 1;
    }
    volumes(store, check, &mut checked)?;
    strangers(store, check, &mut checked)?;
    Ok(checked)
}

fn database(store: &Store, checked: &mut Checked) -> Result<(), Error> {
    let told: Vec<String> = store.read(|db| {
        let mut query = db.prepare("PRAGMA integrity_check")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })?;
    let broken: bool = store.read(|db| Ok(db.prepare("PRAGMA foreign_key_check")?.exists([])?))?;
    let broken = broken.then(|| "rows name others that are not there".to_owned());
    let told = told.into_iter().filter(|text| text != "ok").chain(broken);
    checked.problems.extend(told.map(|text| Problem {
        text: format!("the database is damaged: {text}"),
        remedy: Remedy::None,
        images: Vec::new(),
    }));
    Ok(())
}

/// What is wrong with content, if anything.
fn blob_problem(store: &Arc<Store>, blob: &Blob) -> Option<String> {
    if blob.kept == kept::LOST {
        return Some("was found damaged before".to_owned());
    }
    let stream = match content::open(store, &blob.digest, 0) {
        Ok(stream) => stream,
        Err(error) => return Some(chain(&error)),
    };
    let stream = BufReader::with_capacity(BUFFER, stream);
    let mut stream = Hashed::new(stream, blob.digest.algorithm());
    if let Err(error) = io::copy(&mut stream, &mut io::sink()) {
        return Some(format!("cannot be read: {error}"));
    }
    let (digest, size) = stream.finish();
    if digest == blob.digest && size == blob.size {
        return None;
    }
    Some(format!("has {size} bytes that hash to {digest}"))
}

/// What is wrong with a layer, if anything: by its own archive where that is recorded, else by the
/// content it came from, where that is whole.
fn layer_problem(store: &Store, layer: &Layer, source: Option<&PathBuf>) -> Option<String> {
    if layer.damaged {
        return Some("was found damaged before".to_owned());
    }
    let answer = match (layer.recorded, source) {
        (true, _) => verify_recorded(store, layer),
        (false, Some(source)) => verify_by(store, layer, source),
        (false, None) => return None,
    };
    match answer {
        Ok(None) => None,
        Ok(Some(problem)) => Some(problem),
        Err(error) => Some(chain(&error)),
    }
}

fn verify_recorded(store: &Store, layer: &Layer) -> Result<Option<String>, Error> {
    let path = store.paths.layer(layer.number);
    let archive = Rebuilt::open(&path).map_err(Error::file("read", &path))?;
    let root = Dir::open(&path.join(DIFF)).map_err(Error::file("read", &path))?;
    let stream = BufReader::with_capacity(BUFFER, archive);
    told(
        layer,
        verify(&root, stream, layer.diff_id.algorithm(), None, false)?,
    )
}

fn verify_by(store: &Store, layer: &Layer, source: &PathBuf) -> Result<Option<String>, Error> {
    let path = store.paths.layer(layer.number);
    let root = Dir::open(&path.join(DIFF)).map_err(Error::file("read", &path))?;
    let open = || -> Result<_, Error> {
        let failed = || Error::file("read", source);
        let mut file = File::open(source).map_err(failed())?;
        let mut start = Vec::with_capacity(MAGIC);
        let head = file.by_ref().take(MAGIC as u64).read_to_end(&mut start);
        head.and_then(|_| file.rewind()).map_err(failed())?;
        Format::of(&start).decoder(BufReader::with_capacity(BUFFER, file))
    };
    let last_of = LastOf::read(open()?)?;
    let algorithm = layer.diff_id.algorithm();
    told(
        layer,
        verify(&root, open()?, algorithm, Some(&last_of), true)?,
    )
}

fn told(layer: &Layer, verified: crate::layer::Verified) -> Result<Option<String>, Error> {
    if !verified.differences.is_empty() {
        return Ok(Some(verified.differences.join("; ")));
    }
    Ok((verified.diff_id != layer.diff_id).then(|| format!("hashes to {}", verified.diff_id)))
}

/// Volumes without their directory. What was in it is lost: a repair makes an empty one.
fn volumes(store: &Store, check: &Check<'_>, checked: &mut Checked) -> Result<(), Error> {
    let volumes = store.read(|db| crate::volume::all(db, &store.paths))?;
    checked.volumes = volumes.len();
    for volume in volumes.iter().filter(|volume| !volume.path.is_dir()) {
        let remade = check.repair && store::make_dir(&volume.path, 0o755).is_ok();
        checked.problems.push(Problem {
            text: format!("the files of the volume {} are gone", volume.name),
            remedy: if remade {
                Remedy::Mended
            } else {
                Remedy::Repair
            },
            images: Vec::new(),
        });
    }
    Ok(())
}

/// Files that no row names and nobody is bringing.
fn strangers(store: &Arc<Store>, check: &Check<'_>, checked: &mut Checked) -> Result<(), Error> {
    // Under the store's lock, so that nothing comes or goes meanwhile.
    let state = store.state();
    let column = |sql: &str| -> Result<HashSet<String>, Error> {
        let mut query = state.database.read().prepare(sql)?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let mut blobs = column("SELECT substr(digest, instr(digest, ':') + 1) FROM content")?;
    blobs.extend(state.leases.content.keys().map(|d| d.hex().to_owned()));
    let mut layers: HashSet<_> = column("SELECT CAST(number AS TEXT) FROM layers")?
        .iter()
        .filter_map(|number| number.parse().ok())
        .map(paths::layer_name)
        .collect();
    layers.insert(paths::layer_name(paths::EMPTY_LAYER));
    let volumes = crate::volume::numbers(state.database.read())?;
    let volumes: HashSet<_> = volumes.into_iter().map(paths::layer_name).collect();
    let [sha256, sha512] = store.paths.blobs();
    let places = [
        (sha256, &blobs),
        (sha512, &blobs),
        (store.paths.layers(), &layers),
        (store.paths.volumes(), &volumes),
    ];
    for (dir, known) in places {
        for entry in std::fs::read_dir(&dir).map_err(Error::file("read", &dir))? {
            let entry = entry.map_err(Error::file("read", &dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Layers that are being unpacked have higher numbers than any that are done.
            let coming = paths::layer_number(&name).is_some_and(|number| {
                (dir == store.paths.layers() && store.is_new(number))
                    || (dir == store.paths.volumes() && store.is_new_volume(number))
            });
            if known.contains(&name) || coming {
                continue;
            }
            let remedy = match check.repair && store.trash.discard(&entry.path()).is_ok() {
                true => Remedy::Mended,
                false => Remedy::Repair,
            };
            checked.problems.push(Problem {
                text: format!("{} belongs to nothing", entry.path().display()),
                remedy,
                images: Vec::new(),
            });
        }
    }
    Ok(())
}

fn count_images(db: &Connection) -> Result<usize, Error> {
    let count: i64 = db.query_row("SELECT count(*) FROM images", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn blobs(db: &Connection) -> Result<Vec<Blob>, Error> {
    let sql = "SELECT digest, size, kept, diff_id FROM content ORDER BY digest";
    let mut query = db.prepare(sql)?;
    let rows = query.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get::<_, i64>(1)?,
            row.get(2)?,
            row.get::<_, Option<String>>(3)?,
        ))
    })?;
    rows.map(|row| {
        let (digest, size, kept, diff_id) = row?;
        Ok(Blob {
            digest: parse_digest(digest)?,
            size: size.cast_unsigned(),
            kept,
            diff_id: diff_id.map(parse_digest).transpose()?,
        })
    })
    .collect()
}

fn layers(db: &Connection) -> Result<Vec<Layer>, Error> {
    let sql = "SELECT diff_id, number, recorded, damaged FROM layers ORDER BY diff_id";
    let mut query = db.prepare(sql)?;
    let rows = query.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.map(|row| {
        let (diff_id, number, recorded, damaged) = row?;
        Ok(Layer {
            diff_id: parse_digest(diff_id)?,
            number: number.cast_unsigned(),
            recorded,
            damaged,
        })
    })
    .collect()
}

/// The error and its sources in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
