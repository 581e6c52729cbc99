//! Images as an archive that is both an OCI layout and a docker-archive, as Docker's is since 25.
//!
//! Nothing in it depends on the time or the order of anything, so that the same images give the same
//! bytes. All content is hashed again on its way out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use rusqlite::Connection;
use types::{Algorithm, Digest, ImageRef, Platform};

use super::documents::{
    self, Descriptor, DockerImage, Document, FULL_NAME, INDEX, Index, Manifest, REF_NAME,
};
use super::query;
use super::variants::{self, Variant};
use crate::content;
use crate::error::Error;
use crate::push;
use crate::stage::Stage;
use crate::store::Store;
use crate::temp::Hashed;

const BUFFER: usize = 128 << 10;
/// The longest name that a header has room for by itself; the rest goes into one before it.
const USTAR_NAME: usize = 100;
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// An image to save.
#[derive(Debug)]
struct Saved {
    id: Digest,
    media_type: String,
    size: u64,
    manifest: Digest,
    names: BTreeSet<ImageRef>,
}

/// Content to save: its digest and size.
type Contents = BTreeMap<Digest, u64>;

/// Saves the images named; a name that is a reference is saved with the image. `described` are further annotations of
/// what the archive says of each.
pub(crate) fn save(
    store: &Arc<Store>,
    names: &[String],
    platforms: &[Platform],
    described: &BTreeMap<String, String>,
    archive: &mut dyn Write,
) -> Result<(), Error> {
    let mut stage = Stage::new(store);
    let (mut images, mut contents) = store.read(|db| select(db, names))?;
    if !platforms.is_empty() {
        contents = Contents::new();
        for image in &mut images {
            keep_platforms(store, image, platforms, &mut contents)?;
        }
    }
    // Held until all is written: somebody may remove the image meanwhile.
    for digest in contents.keys() {
        if !stage.has_content(digest)? {
            return Err(Error::Missing(format!("content {digest}")));
        }
    }
    let docker = images
        .iter()
        .map(|image| docker_image(store, image))
        .collect::<Result<Vec<_>, _>>()?;
    let index = documents::print("index.json", &index(&images, described))?;
    let docker = documents::print("manifest.json", &docker)?;
    let mut tar = Tar(archive);
    tar.dir("blobs/")?;
    // What is named by another algorithm is rare.
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let named_so = |digest: &Digest| digest.algorithm() == algorithm;
        if algorithm == Algorithm::Sha256 || contents.keys().any(named_so) {
            tar.dir(&format!("blobs/{}/", algorithm.as_str()))?;
        }
    }
    for (digest, size) in &contents {
        tar.content(store, digest, *size)?;
    }
    tar.file("index.json", &index)?;
    tar.file("manifest.json", &docker)?;
    tar.file("oci-layout", LAYOUT)?;
    tar.end()
}

/// The names, with all of a repository for one that has neither tag nor digest.
pub(crate) fn saved_names(store: &Store, names: &[String]) -> Result<Vec<String>, Error> {
    store.read(|db| expanded(db, names))
}

fn expanded(db: &Connection, names: &[String]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for name in names {
        let last = name.rsplit('/').next().unwrap_or_default();
        let bare = name.parse::<ImageRef>().ok();
        let tagged = match bare.filter(|_| !last.contains([':', '@'])) {
            Some(bare) => query::tagged(db, &bare)?,
            None => Vec::new(),
        };
        match tagged.is_empty() {
            true => all.push(name.clone()),
            false => all.extend(tagged),
        }
    }
    Ok(all)
}

fn select(db: &Connection, names: &[String]) -> Result<(Vec<Saved>, Contents), Error> {
    let mut images: Vec<Saved> = Vec::new();
    let mut contents = Contents::new();
    for name in &expanded(db, names)? {
        let id = query::resolve(db, name)?;
        let reference = name.parse::<ImageRef>().ok();
        let by_name = match &reference {
            Some(reference) => query::named(db, reference)?.is_some(),
            None => false,
        };
        let reference = reference.filter(|r| by_name && r.digest().is_none());
        if let Some(image) = images.iter_mut().find(|image| image.id == id) {
            image.names.extend(reference);
            continue;
        }
        let mut image = describe(db, id, &mut contents)?;
        image.names.extend(reference);
        images.push(image);
    }
    Ok((images, contents))
}

/// Of an image, its own document and what is for the platforms, into `contents`.
fn keep_platforms(
    store: &Arc<Store>,
    image: &mut Saved,
    platforms: &[Platform],
    contents: &mut Contents,
) -> Result<(), Error> {
    contents.insert(image.id.clone(), image.size);
    let found = query::find(store, &image.id.to_string())?;
    let variants = variants::variants(store, &found)?;
    for (position, platform) in platforms.iter().enumerate() {
        let push = push::begin(store, &image.id.to_string(), Some(platform))?;
        let parts = push.blobs().iter().map(|blob| &blob.descriptor);
        for part in parts.chain(push.documents()) {
            contents.insert(part.digest.clone(), part.size);
        }
        // What is stated about it goes with it.
        let about = |one: &&Variant| one.available && one.about.as_ref() == Some(&push.root.digest);
        for statement in variants.iter().filter(about) {
            contents.extend(variants::parts(store, &statement.descriptor)?);
        }
        if position == 0 {
            image.manifest = push.root.digest.clone();
        }
    }
    Ok(())
}

/// The image's row and, into `contents`, what it keeps.
fn describe(db: &Connection, id: Digest, contents: &mut Contents) -> Result<Saved, Error> {
    let sql = "SELECT content.digest, content.size FROM image_content
        JOIN content ON content.digest = image_content.digest WHERE image = ?1";
    let mut query = db.prepare_cached(sql)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    for row in query.query_map([id.to_string()], row)? {
        let (digest, size) = row?;
        contents.insert(crate::gc::parse_digest(digest)?, size.cast_unsigned());
    }
    let sql = "SELECT manifest, media_type, content.size FROM images
        JOIN content ON digest = id WHERE id = ?1";
    let (manifest, media_type, size) =
        db.prepare_cached(sql)?.query_row([id.to_string()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?))
        })?;
    Ok(Saved {
        manifest: crate::gc::parse_digest(manifest)?,
        media_type,
        size: size.cast_unsigned(),
        id,
        names: BTreeSet::new(),
    })
}

/// `index.json`: an entry for each name, or one without.
fn index(images: &[Saved], described: &BTreeMap<String, String>) -> Index {
    let mut manifests = Vec::new();
    for image in images {
        let mut descriptor = Descriptor::new(&image.media_type, image.id.clone(), image.size);
        descriptor.annotations.clone_from(described);
        if image.names.is_empty() {
            manifests.push(descriptor);
            continue;
        }
        for name in &image.names {
            let mut descriptor = descriptor.clone();
            let tag = name.tag().unwrap_or_default().to_owned();
            descriptor
                .annotations
                .insert(FULL_NAME.to_owned(), name.to_string());
            descriptor.annotations.insert(REF_NAME.to_owned(), tag);
            manifests.push(descriptor);
        }
    }
    Index {
        schema_version: 2,
        media_type: INDEX.to_owned(),
        manifests,
    }
}

/// The image's item in `manifest.json`.
fn docker_image(store: &Store, image: &Saved) -> Result<DockerImage, Error> {
    let what = format!("manifest {}", image.manifest);
    let path = store.paths.blob(&image.manifest);
    let text = std::fs::read(&path).map_err(Error::file("read", &path))?;
    let found = crate::hash::digest_of(image.manifest.algorithm(), &text);
    if found != image.manifest {
        return Err(Error::Damaged { what, found });
    }
    let Document::Manifest(Manifest { config, layers, .. }) =
        documents::parse_document(&what, &text)?
    else {
        return Err(Error::image(what, "is an index"));
    };
    Ok(DockerImage {
        config: name(&config.digest),
        repo_tags: image.names.iter().map(ImageRef::familiar).collect(),
        layers: layers.iter().map(|layer| name(&layer.digest)).collect(),
    })
}

/// Content in a layout.
fn name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// The whole name of the entry that follows (pax(1), "pax Extended Header"): its length, which counts
/// itself, and what it is.
fn pax_path(name: &str) -> String {
    let rest = format!(" path={name}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// An archive being written.
struct Tar<'a>(&'a mut dyn Write);

impl Tar<'_> {
    fn header(&mut self, name: &str, kind: tar::EntryType, size: u64) -> Result<(), Error> {
        let Some((short, _)) = name
            .split_at_checked(USTAR_NAME)
            .filter(|(_, rest)| !rest.is_empty())
        else {
            return self.ustar(name, kind, size);
        };
        let record = pax_path(name);
        self.ustar(
            "PaxHeaders/path",
            tar::EntryType::XHeader,
            record.len() as u64,
        )?;
        self.0.write_all(record.as_bytes()).map_err(Error::Output)?;
        self.pad(record.len() as u64)?;
        self.ustar(short, kind, size)
    }

    fn ustar(&mut self, name: &str, kind: tar::EntryType, size: u64) -> Result<(), Error> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(Error::Output)?;
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        // Past eight GiB ustar has no room; what follows reads base 256.
        header.set_size(size);
        header.set_cksum();
        self.0.write_all(header.as_bytes()).map_err(Error::Output)
    }

    fn dir(&mut self, name: &str) -> Result<(), Error> {
        self.header(name, tar::EntryType::Directory, 0)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.header(name, tar::EntryType::Regular, bytes.len() as u64)?;
        self.0.write_all(bytes).map_err(Error::Output)?;
        self.pad(bytes.len() as u64)
    }

    /// A file of the content store, checked while it is written.
    fn content(&mut self, store: &Arc<Store>, digest: &Digest, size: u64) -> Result<(), Error> {
        let path = store.paths.blob(digest);
        let file = content::open(store, digest, 0)?;
        self.header(&name(digest), tar::EntryType::Regular, size)?;
        let file = BufReader::with_capacity(BUFFER, file);
        let mut file = Hashed::new(file, digest.algorithm());
        let mut left = size;
        let mut chunk = vec![0; BUFFER];
        while left > 0 {
            let room = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            let count = match file.read(&mut chunk[..room]) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                answer => answer.map_err(Error::file("read", &path))?,
            };
            self.0.write_all(&chunk[..count]).map_err(Error::Output)?;
            left -= count as u64;
        }
        let (found, _) = file.finish();
        if found != *digest {
            return Err(Error::Damaged {
                what: format!("blob {digest}"),
                found,
            });
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let padding = usize::try_from(size.next_multiple_of(512) - size).unwrap_or(0);
        self.0
            .write_all(&[0; 512][..padding])
            .map_err(Error::Output)
    }

    fn end(self) -> Result<(), Error> {
        self.0
            .write_all(&[0; 1024])
            .and_then(|()| self.0.flush())
            .map_err(Error::Output)
    }
}
