//! A whole layer from an uncompressed stream.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;

use sys::dir::Dir;
use types::{Algorithm, Digest, IdMaps};

use super::place::{Clearing, Placer, clean, last};
use super::record::{RECORD, Recorded};
use super::whiteout::{self, Meaning};
use crate::compress::{Format, MAGIC};
use crate::error::{Error, Malformed};
use crate::pipe;
use crate::store::Store;
use crate::tar::{Entry, Kind, Reader};
use crate::temp::Hashed;

/// A layer on disk that nothing refers to yet; thrown away unless it is kept.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(super) store: Arc<Store>,
    /// Names its directory.
    pub number: u64,
    /// What the uncompressed archive hashes to.
    pub diff_id: Digest,
    /// Bytes of its files.
    pub size: u64,
    /// Whether the archive can be told again from the files and the record.
    pub recorded: bool,
    pub(super) kept: bool,
}

impl Unpacked {
    /// It stays.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is removed at the next open.
            let _ = self
                .store
                .trash
                .discard(&self.store.paths.layer(self.number));
        }
    }
}

/// Removes a half-made directory.
pub(super) struct Making<'a>(pub(super) &'a Store, pub(super) PathBuf, pub(super) bool);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if self.2 {
            let _ = self.0.trash.discard(&self.1);
        }
    }
}

/// Unpacks the archive in `stream`, which is compressed as `format` says: decompressed on a thread
/// of its own while this one hashes, by `algorithm`, and unpacks.
pub(crate) fn unpack(
    store: &Arc<Store>,
    stream: impl BufRead + Send,
    format: Format,
    algorithm: Algorithm,
) -> Result<Unpacked, Error> {
    if format == Format::Plain {
        return unpack_hashed(store, stream, algorithm);
    }
    decoded(stream, format, |plain| {
        unpack_hashed(store, plain, algorithm)
    })
}

/// Puts the files of an archive into the directory `name` of `outer`, which is empty: those of a
/// volume, of which every name stands for itself.
pub(crate) fn unpack_files(
    store: &Store,
    outer: Dir,
    name: &'static str,
    stream: impl BufRead + Send,
    format: Format,
) -> Result<(), Error> {
    let root = store.paths.root.clone();
    let placer = Placer::within(outer, name, false, Clearing::Discard(&store.trash));
    let placer = placer.map_err(Error::file("open", &root))?;
    if format == Format::Plain {
        return place_files(placer, stream);
    }
    decoded(stream, format, |plain| place_files(placer, plain))
}

/// How an archive is put among files that are there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Among<'a> {
    /// Whether a directory may be replaced by something else, and the other way round.
    pub replace: bool,
    /// Whose everything becomes; none is whose the archive says.
    pub owner: Option<(u32, u32)>,
    /// Whose users and groups those are; none is the machine's.
    pub ids: Option<&'a IdMaps>,
    /// Whether `..` at the root is the root, as for a file system; otherwise such a name is refused.
    pub stay: bool,
}

/// Puts the files of an archive into the directory `into` below `root`, among those that are there.
/// Links lead nowhere out of `root`.
///
/// # Errors
/// When the stream breaks or is no tar archive, and when something cannot be written: what came before
/// it is there.
pub fn unpack_among(
    root: Dir,
    into: &[u8],
    mut stream: impl BufRead + Send,
    among: Among<'_>,
) -> Result<(), Error> {
    let clearing = match among.replace {
        true => Clearing::Remove,
        false => Clearing::Refuse,
    };
    let failed = || Error::file("open", std::path::Path::new("/"));
    let placer = Placer::within(root, ".", false, clearing).map_err(failed())?;
    let mut start = Vec::with_capacity(MAGIC);
    let head = stream.by_ref().take(MAGIC as u64).read_to_end(&mut start);
    head.map_err(Error::Input)?;
    let format = Format::of(&start);
    let whole = io::Cursor::new(start).chain(stream);
    if format == Format::Plain {
        return place_among(placer, into, whole, among);
    }
    decoded(whole, format, |plain| {
        place_among(placer, into, plain, among)
    })
}

/// A path from the root on, where `..` leads no further up.
fn inside(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b".." => drop(parts.pop()),
            b"" | b"." => {}
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn place_among(
    mut placer: Placer<'_>,
    into: &[u8],
    stream: impl BufRead,
    among: Among<'_>,
) -> Result<(), Error> {
    let mut reader = Reader::new(stream);
    while let Some(mut entry) = reader.next()? {
        let below = |path: &[u8]| -> Result<Vec<u8>, Malformed> {
            let path = match among.stay {
                true => clean(&inside(path))?,
                false => clean(path)?,
            };
            Ok([into, path.as_slice()].join(&b'/'))
        };
        entry.path = below(&entry.path).map_err(|m| reader.broken(m))?;
        if entry.kind == Kind::HardLink {
            entry.link = below(&entry.link).map_err(|m| reader.broken(m))?;
        }
        if let Some((uid, gid)) = among.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if let Some(ids) = among.ids {
            let outside = ids.outside(entry.uid, entry.gid);
            let (uid, gid) = (entry.uid, entry.gid);
            (entry.uid, entry.gid) = outside.ok_or_else(|| Error::NoId {
                path: format!("/{}", String::from_utf8_lossy(&entry.path)),
                uid,
                gid,
            })?;
        }
        placer.place(&entry, &mut reader)?;
    }
    reader.drain()?;
    placer.finish().map(drop)
}

fn place_files(mut placer: Placer<'_>, stream: impl BufRead) -> Result<(), Error> {
    let mut reader = Reader::new(stream);
    while let Some(entry) = reader.next()? {
        placer.place(&entry, &mut reader)?;
    }
    reader.drain()?;
    if reader.offset() == 0 {
        return Err(reader.broken(Malformed::Empty));
    }
    placer.finish().map(drop)
}

/// Calls `take` with the stream decompressed.
fn decoded<T>(
    stream: impl BufRead + Send,
    format: Format,
    take: impl FnOnce(pipe::Receive) -> Result<T, Error>,
) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let (sender, receiver) = pipe::pipe();
        let decoder = scope.spawn(move || decompress(stream, format, sender));
        let unpacked = take(receiver);
        let decoded = decoder
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (unpacked, decoded) {
            (Err(error), Err(cause)) if gave_up(&error) => Err(cause),
            (unpacked, _) => unpacked,
        }
    })
}

fn decompress(
    stream: impl BufRead + Send,
    format: Format,
    mut sender: pipe::Sender,
) -> Result<(), Error> {
    let mut decoder = format.reader(stream)?;
    let ended = loop {
        match sender.fill(&mut decoder) {
            Ok(0) => break sender.finish(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                break sender.cut_short();
            }
            Err(error) => break Err(error),
        }
    };
    ended.map_err(Error::Input)
}

/// Whether the error says no more than that the thread at the other end of a pipe has one.
pub(crate) fn gave_up(error: &Error) -> bool {
    matches!(error, Error::Input(source) if source.kind() == io::ErrorKind::BrokenPipe)
}

/// Unpacks a plain archive of which somebody else knows in the end what it hashes to.
pub(super) fn unpack_known(
    store: &Arc<Store>,
    stream: impl BufRead,
    digest: impl FnOnce() -> Option<Digest>,
) -> Result<Unpacked, Error> {
    unpack_plain(store, stream, |_| {
        digest().ok_or_else(|| Error::Input(io::ErrorKind::BrokenPipe.into()))
    })
}

fn unpack_hashed(
    store: &Arc<Store>,
    stream: impl BufRead,
    algorithm: Algorithm,
) -> Result<Unpacked, Error> {
    unpack_plain(store, Hashed::new(stream, algorithm), |stream| {
        Ok(stream.digest())
    })
}

fn unpack_plain<R: BufRead>(
    store: &Arc<Store>,
    stream: R,
    digest: impl FnOnce(&R) -> Result<Digest, Error>,
) -> Result<Unpacked, Error> {
    let number = store.next_layer();
    let path = store.paths.layer(number);
    std::fs::create_dir(&path).map_err(Error::file("create", &path))?;
    let mut making = Making(store, path.clone(), true);
    let outer = Dir::open(&path).map_err(Error::file("open", &path))?;
    let mut placer = Placer::new(outer, &store.trash).map_err(Error::file("create", &path))?;
    let record = path.join(RECORD);
    let failed = || Error::file("write", &record);
    let file = File::create_new(&record).map_err(failed())?;
    let mut reader = Reader::new(Recorded::new(stream, file).map_err(failed())?);
    while let Some(entry) = reader.next()? {
        record_data(&entry, &mut reader);
        placer.place(&entry, &mut reader)?;
    }
    reader.drain()?;
    let recorded = !placer.replaced();
    let size = placer.finish()?;
    let stream = reader.into_input().finish().map_err(failed())?;
    let diff_id = digest(&stream)?;
    making.2 = false;
    Ok(Unpacked {
        store: Arc::clone(store),
        number,
        diff_id,
        size,
        recorded,
        kept: false,
    })
}

/// Says whose data comes next, so that it is not recorded.
pub(super) fn record_data<R: BufRead>(entry: &Entry, reader: &mut Reader<Recorded<R>>) {
    let length = reader.left();
    // A path that cannot be one is refused by who places it; what stands for something else leaves
    // no file.
    let Ok(path) = clean(&entry.path) else { return };
    if entry.kind == Kind::File && matches!(whiteout::meaning(last(&path)), Ok(Meaning::Name)) {
        let pieces = entry.pieces.as_deref();
        reader.input_mut().file(&path, pieces, length);
    }
}
