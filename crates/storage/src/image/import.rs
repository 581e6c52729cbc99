//! A root file system as a new image of one layer.
//!
//! The stream is read once: what comes in is stored, hashed and unpacked at the same time, each on a
//! thread of its own. A compressed layer is kept as it came; a plain one, and one compressed as no
//! image may be, is stored with gzip.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use types::{Algorithm, Digest, Platform};

use super::changes;
use super::config::{Configuration, History, RootFs, RunConfig};
use super::documents::{self, Descriptor, Manifest};
use super::gzip::Encoder;
use crate::Import;
use crate::clock;
use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::layer::{Unpacked, gave_up, unpack};
use crate::pipe::{self, Sender};
use crate::stage::{NewImage, NewManifest, Stage};
use crate::store::Store;
use crate::temp::{Blob, Ingest};

const CHUNK: usize = 64 << 10;
/// What the history says when nobody says more.
const COMMENT: &str = "Imported from -";

/// Imports one.
pub(crate) fn import(
    store: &Arc<Store>,
    tar: &mut dyn Read,
    import: &Import,
) -> Result<Digest, Error> {
    let mut run = RunConfig::default();
    changes::apply(&mut run, &import.changes)?;
    if let Some(name) = import.reference.as_ref().filter(|r| r.digest().is_some()) {
        return Err(Error::TagWithDigest(name.clone()));
    }
    let (layer, blob, format) = receive(store, tar)?;
    let media_type = format.media_type().unwrap_or_default();
    let platform = import.platform.clone().unwrap_or_else(Platform::host);
    let comment = if import.message.is_empty() {
        COMMENT
    } else {
        &import.message
    };
    let created = clock::rfc3339_now();
    let config = Configuration {
        architecture: &platform.architecture,
        author: "",
        variant: platform.variant.as_deref(),
        config: run,
        created: &created,
        history: vec![History {
            created: Some(created.clone()),
            comment: comment.to_owned(),
            ..History::default()
        }],
        os: &platform.os,
        rootfs: RootFs::of(vec![layer.diff_id.clone()]),
    };
    let config_text = documents::print("the configuration", &config)?;
    let config = write(store, &config_text, Algorithm::Sha256)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: documents::MANIFEST.to_owned(),
        config: Descriptor::new(documents::CONFIG, config.digest.clone(), config.size),
        layers: vec![Descriptor::new(media_type, blob.digest.clone(), blob.size)],
    };
    let manifest = documents::print("the manifest", &manifest)?;
    let manifest = write(store, &manifest, Algorithm::Sha256)?;
    let id = manifest.digest.clone();
    let image = NewImage {
        id: id.clone(),
        manifest: NewManifest {
            digest: id.clone(),
            config: String::from_utf8_lossy(&config_text).into_owned(),
            layers: vec![layer.diff_id.clone()],
            platform: Some(platform),
        },
        content: vec![id.clone(), config.digest.clone(), blob.digest.clone()],
    };
    let mut stage = Stage::new(store);
    stage.add_content(&blob, media_type, Some(&layer.diff_id))?;
    stage.add_content(&config, documents::CONFIG, None)?;
    stage.add_content(&manifest, documents::MANIFEST, None)?;
    stage.add_layer(layer)?;
    let names: Vec<_> = import
        .reference
        .iter()
        .map(|name| (name.clone(), id.clone()))
        .collect();
    stage.publish(&[image], &names, &[])?;
    Ok(id)
}

/// A small document as a file.
pub(crate) fn write(store: &Store, text: &[u8], algorithm: Algorithm) -> Result<Blob, Error> {
    let mut ingest = store.ingest_as(algorithm)?;
    ingest.push(text)?;
    Ok(ingest.finish())
}

/// Reads a layer: unpacked, stored, and how it is stored.
pub(super) fn receive(
    store: &Arc<Store>,
    tar: &mut dyn Read,
) -> Result<(Unpacked, Blob, Format), Error> {
    let start = peek(tar)?;
    let format = Format::of(&start);
    let mut stream = start.as_slice().chain(tar);
    let ingest = store.ingest()?;
    std::thread::scope(|scope| match format {
        Format::Gzip | Format::Zstd => {
            let (layer, blob) = receive_as_it_is(scope, store, &mut stream, format, ingest)?;
            Ok((layer, blob, format))
        }
        Format::Plain | Format::Xz | Format::Bzip2 => {
            let (layer, blob) = receive_transcoded(scope, store, &mut stream, format, ingest)?;
            Ok((layer, blob, Format::Gzip))
        }
    })
}

fn peek(tar: &mut dyn Read) -> Result<Vec<u8>, Error> {
    let mut start = Vec::with_capacity(MAGIC);
    tar.take(MAGIC as u64)
        .read_to_end(&mut start)
        .map_err(Error::Input)?;
    Ok(start)
}

/// This thread reads, hashes and stores; another unpacks, with a third that decompresses.
fn receive_as_it_is<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    store: &'scope Arc<Store>,
    stream: &mut dyn Read,
    format: Format,
    mut ingest: Ingest,
) -> Result<(Unpacked, Blob), Error> {
    let (sender, receiver) = pipe::pipe();
    let unpacker = scope.spawn(move || unpack(store, receiver, format, Algorithm::Sha256));
    let read = copy(stream, sender, |bytes| ingest.push(bytes));
    let layer = join(unpacker);
    let layer = first_cause(layer, read)?;
    Ok((layer, ingest.finish()))
}

/// This thread reads and decompresses; others unpack, compress and store.
fn receive_transcoded<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    store: &'scope Arc<Store>,
    stream: &mut dyn Read,
    format: Format,
    ingest: Ingest,
) -> Result<(Unpacked, Blob), Error> {
    let (sender, receiver) = pipe::pipe();
    let unpacker = scope.spawn(move || unpack(store, receiver, Format::Plain, Algorithm::Sha256));
    let mut encoder = Encoder::new(scope, ingest);
    let mut plain = format.decoder(BufReader::with_capacity(CHUNK, stream))?;
    let read = copy(&mut plain, sender, |bytes| {
        encoder.write_all(bytes).map_err(Error::Input)
    });
    let layer = first_cause(join(unpacker), read);
    let stored = encoder
        .finish()
        .map_err(Error::file("write", &store.paths.tmp()));
    match (layer, stored) {
        (Err(error), Err(cause)) if gave_up(&error) => Err(cause),
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        (Ok(layer), Ok(ingest)) => Ok((layer, ingest.finish())),
    }
}

/// Gives all of `stream` to an unpacker and to `store`.
fn copy(
    stream: &mut dyn Read,
    mut unpacker: Sender,
    mut store: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match stream.read(&mut chunk) {
            Ok(0) => return unpacker.finish().map_err(Error::Input),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Whoever unpacks says where it was.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return unpacker.cut_short().map_err(Error::Input);
            }
            Err(error) => return Err(Error::Input(error)),
        };
        unpacker.write_all(&chunk[..count]).map_err(Error::Input)?;
        store(&chunk[..count])?;
    }
}

pub(super) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Of two threads that failed, one only because the other gave up.
fn first_cause<T>(unpacked: Result<T, Error>, read: Result<(), Error>) -> Result<T, Error> {
    match (unpacked, read) {
        (Err(error), Err(cause)) if gave_up(&error) => Err(cause),
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        (Ok(unpacked), Ok(())) => Ok(unpacked),
    }
}
