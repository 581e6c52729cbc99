//! A whole layer from an uncompressed stream.

use std::io::{self, BufRead};
use std::path::PathBuf;

use sys::dir::Dir;
use types::Digest;

use super::place::Placer;
use crate::compress::Format;
use crate::error::{Error, Malformed};
use crate::pipe;
use crate::store::Store;
use crate::tar::Reader;
use crate::temp::Hashed;

/// A layer on disk that nothing refers to yet; thrown away unless it is kept.
#[derive(Debug)]
pub(crate) struct Unpacked<'a> {
    store: &'a Store,
    /// Names its directory.
    pub number: u64,
    /// What the uncompressed archive hashes to.
    pub diff_id: Digest,
    /// Bytes of its files.
    pub size: u64,
    kept: bool,
}

impl Unpacked<'_> {
    /// It stays.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unpacked<'_> {
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
struct Making<'a>(&'a Store, PathBuf, bool);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if self.2 {
            let _ = self.0.trash.discard(&self.1);
        }
    }
}

/// Unpacks the archive in `stream`, which is compressed as `format` says: decompressed on a thread
/// of its own while this one hashes and unpacks.
pub(crate) fn unpack<'a>(
    store: &'a Store,
    stream: impl BufRead + Send,
    format: Format,
) -> Result<Unpacked<'a>, Error> {
    if format == Format::Plain {
        return unpack_plain(store, stream);
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = pipe::pipe();
        let decoder = scope.spawn(move || decompress(stream, format, sender));
        let unpacked = unpack_plain(store, receiver);
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
    let mut decoder = format.decoder(stream)?;
    let ended = match io::copy(&mut decoder, &mut sender) {
        Ok(_) => sender.finish(),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => sender.cut_short(),
        Err(error) => Err(error),
    };
    ended.map_err(Error::Input)
}

/// Whether the error says no more than that the thread at the other end of a pipe has one.
pub(crate) fn gave_up(error: &Error) -> bool {
    matches!(error, Error::Input(source) if source.kind() == io::ErrorKind::BrokenPipe)
}

fn unpack_plain(store: &Store, stream: impl BufRead) -> Result<Unpacked<'_>, Error> {
    let number = store.next_layer();
    let path = store.paths.layer(number);
    std::fs::create_dir(&path).map_err(Error::file("create", &path))?;
    let mut making = Making(store, path.clone(), true);
    let outer = Dir::open(&path).map_err(Error::file("open", &path))?;
    let mut placer = Placer::new(outer, &store.trash).map_err(Error::file("create", &path))?;
    let mut hashed = Hashed::new(stream);
    let mut reader = Reader::new(&mut hashed);
    while let Some(entry) = reader.next()? {
        placer.place(&entry, &mut reader)?;
    }
    reader.drain()?;
    if reader.offset() == 0 {
        return Err(reader.broken(Malformed::Empty));
    }
    drop(reader);
    let size = placer.finish()?;
    let (diff_id, _) = hashed.finish();
    making.2 = false;
    Ok(Unpacked {
        store,
        number,
        diff_id,
        size,
        kept: false,
    })
}
