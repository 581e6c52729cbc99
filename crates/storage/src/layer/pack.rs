//! A layer of a directory in overlayfs's form: what a command or a copy has left above an image. Its
//! archive is written once, to be hashed and recorded; the files stay what they are and are moved.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::vec::IntoIter;

use sys::dir::{self, Dir, Kind, Status};
use sys::xattr;
use types::Algorithm;

use super::record::{RECORD, Recorded};
use super::unpack::{Making, Unpacked, gave_up, record_data, unpack};
use super::whiteout::{self, OPAQUE_KEY, OPAQUE_VALUE};
use crate::compress::Format;
use crate::error::Error;
use crate::paths::DIFF;
use crate::pipe;
use crate::store::Store;
use crate::tar::Reader;
use crate::temp::Hashed;
use crate::volume::archive::Export;

/// Directories open at a time. What lies deeper is refused, as by who reads an archive.
const MAX_DEPTH: usize = 256;
const BUFFER: usize = 64 << 10;

/// Makes a layer of `upper`, which is moved away.
pub(crate) fn pack(store: &Arc<Store>, upper: &Path) -> Result<Unpacked, Error> {
    let number = store.next_layer();
    let path = store.paths.layer(number);
    std::fs::create_dir(&path).map_err(Error::file("create", &path))?;
    let mut making = Making(store, path.clone(), true);
    let root = Dir::open(upper).map_err(Error::file("open", upper))?;
    let (diff_id, size) = std::thread::scope(|scope| {
        let (sender, receiver) = pipe::pipe();
        let writer = scope.spawn(move || archive(&root, sender, None));
        let read = record(&path, receiver);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (read, written) {
            (Err(error), Err(cause)) if gave_up(&error) => Err(cause),
            (Ok(_), Err(cause)) => Err(cause),
            (read, _) => read,
        }
    })?;
    let place = path.join(DIFF);
    std::fs::rename(upper, &place).map_err(Error::file("move", upper))?;
    making.2 = false;
    Ok(Unpacked {
        store: Arc::clone(store),
        number,
        diff_id,
        size,
        recorded: true,
        kept: false,
    })
}

/// A layer with the files of another's directory, none of which is younger than `latest`, in seconds since
/// the Unix epoch.
pub(crate) fn repack(store: &Arc<Store>, dir: &Path, latest: i64) -> Result<Unpacked, Error> {
    let root = Dir::open(dir).map_err(Error::file("open", dir))?;
    std::thread::scope(|scope| {
        let (sender, receiver) = pipe::pipe();
        let writer = scope.spawn(move || archive(&root, sender, Some(latest)));
        let unpacked = unpack(store, receiver, Format::Plain, Algorithm::Sha256);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (unpacked, written) {
            (Err(error), Err(cause)) if gave_up(&error) => Err(cause),
            (Ok(_), Err(cause)) => Err(cause),
            (unpacked, _) => unpacked,
        }
    })
}

/// Hashes the archive, and notes whose data comes where.
fn record(layer: &Path, stream: pipe::Receive) -> Result<(types::Digest, u64), Error> {
    let record = layer.join(RECORD);
    let failed = || Error::file("write", &record);
    let file = File::create_new(&record).map_err(failed())?;
    let stream = Hashed::new(stream, Algorithm::Sha256);
    let mut reader = Reader::new(Recorded::new(stream, file).map_err(failed())?);
    let mut size = 0;
    while let Some(entry) = reader.next()? {
        size += reader.left();
        record_data(&entry, &mut reader);
    }
    reader.drain()?;
    let stream = reader.into_input().finish().map_err(failed())?;
    Ok((stream.digest(), size))
}

/// One directory on the way down.
struct Level {
    dir: Dir,
    names: IntoIter<CString>,
    length: usize,
}

fn archive(root: &Dir, sender: pipe::Sender, latest: Option<i64>) -> Result<(), Error> {
    let mut out = BufWriter::with_capacity(BUFFER, sender);
    let mut export = Export::new(&mut out);
    let names = export.names(root)?;
    let again = root
        .open_dir(OsStr::new("."))
        .map_err(|e| export.failed(e))?;
    let mut levels = vec![Level {
        dir: again,
        names,
        length: 0,
    }];
    while let Some(level) = levels.last_mut() {
        export.path.truncate(level.length);
        let Some(name) = level.names.next() else {
            levels.pop();
            continue;
        };
        if let Some(next) = entry(&mut export, &level.dir, dir::name(&name), latest)? {
            levels.push(next);
        }
        if levels.len() > MAX_DEPTH {
            return Err(export.failed(sys::Error {
                call: "openat",
                errno: sys::Errno::NAMETOOLONG,
            }));
        }
    }
    export.end()?;
    out.flush().map_err(Error::Output)?;
    let sender = out
        .into_inner()
        .map_err(|error| Error::Output(error.into_error()))?;
    sender.finish().map_err(Error::Output)
}

/// Writes one entry; where to go on if it is a directory.
fn entry(
    export: &mut Export<'_>,
    dir: &Dir,
    name: &OsStr,
    latest: Option<i64>,
) -> Result<Option<Level>, Error> {
    let mut status = dir.status(name).map_err(|e| export.failed(e))?;
    if !export.path.is_empty() {
        export.path.push(b'/');
    }
    if is_whiteout(&status) {
        export.path.extend_from_slice(b".wh.");
        export.path.extend_from_slice(name.as_bytes());
        export.marker()?;
        return Ok(None);
    }
    export.path.extend_from_slice(name.as_bytes());
    // To whoever unpacks the archive it would stand for a removal.
    if !matches!(
        whiteout::meaning(name.as_bytes()),
        Ok(whiteout::Meaning::Name)
    ) {
        return Err(export.failed(sys::Error {
            call: "archive a name that begins with .wh.",
            errno: sys::Errno::INVAL,
        }));
    }
    if let Some(latest) = latest
        && status.modified.0 >= latest
    {
        status.modified = (latest, 0);
    }
    export.entry(dir, name, &status)?;
    if status.kind != Kind::Directory {
        return Ok(None);
    }
    let inner = dir.open_dir(name).map_err(|e| export.failed(e))?;
    let length = export.path.len();
    if is_opaque(dir, name) {
        export.path.extend_from_slice(b"/.wh..wh..opq");
        export.marker()?;
        export.path.truncate(length);
    }
    Ok(Some(Level {
        names: export.names(&inner)?,
        dir: inner,
        length,
    }))
}

fn is_whiteout(status: &Status) -> bool {
    status.kind == Kind::CharDevice && status.device == (0, 0)
}

fn is_opaque(dir: &Dir, name: &OsStr) -> bool {
    xattr::get(dir, name, OsStr::new(OPAQUE_KEY)).is_ok_and(|value| value == OPAQUE_VALUE)
}
