//! Files of this machine as a tar archive, and back: what `cp` sends and gets.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use sys::dir::{Dir, Node};
use tar::{Archive, Builder, Entry, EntryType, Header};

/// A block of an archive.
const BLOCK: u64 = 512;
/// The most pieces of one file that are taken.
const MOST_PIECES: usize = 1 << 20;
/// What is left out of the mode of what is unpacked: it is somebody else's now, who must not become
/// who it is run by. Directories may keep the sticky bit.
const SET_ID: u32 = 0o7000;
const SET_ID_OF_DIRECTORIES: u32 = 0o6000;

/// A writer that knows how much was written.
#[derive(Debug)]
pub(crate) struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W> Counted<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes what is at `path` as `name`; a link there is followed only if that is said, those below never.
pub(crate) fn pack(path: &str, follow: bool, name: &str, out: impl Write) -> io::Result<()> {
    let mut builder = Builder::new(out);
    builder.follow_symlinks(false);
    let mut pack = Pack {
        builder,
        linked: HashMap::new(),
    };
    let start = match follow || path.ends_with('/') {
        true => std::fs::canonicalize(path)?,
        false => PathBuf::from(path),
    };
    pack.entry(&start, Path::new(name))?;
    pack.builder.finish()?;
    pack.builder.get_mut().flush()
}

struct Pack<W: Write> {
    builder: Builder<W>,
    /// Files of several names: the one that was written.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Pack<W> {
    fn entry(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let at =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let metadata = std::fs::symlink_metadata(path).map_err(at)?;
        let kind = metadata.file_type();
        // Archives have none.
        if kind.is_socket() {
            return Ok(());
        }
        if kind.is_dir() {
            self.builder.append_dir(name, path).map_err(at)?;
            let mut entries: Vec<_> = std::fs::read_dir(path)
                .and_then(Iterator::collect::<io::Result<Vec<_>>>)
                .map_err(at)?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                self.entry(&entry.path(), &name.join(entry.file_name()))?;
            }
            return Ok(());
        }
        if kind.is_file() && metadata.nlink() > 1 {
            let identity = (metadata.dev(), metadata.ino());
            if let Some(first) = self.linked.get(&identity) {
                let mut header = Header::new_gnu();
                header.set_metadata(&metadata);
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                return self
                    .builder
                    .append_link(&mut header, name, first)
                    .map_err(at);
            }
            self.linked.insert(identity, name.to_owned());
        }
        // One with holes is written in pieces whose length is known.
        let holes = metadata.blocks() * BLOCK < metadata.len();
        match kind.is_file() && !holes {
            true => self.file(path, name).map_err(at),
            false => self.builder.append_path_with_name(path, name).map_err(at),
        }
    }

    /// So many bytes as the header says, whatever becomes of the file meanwhile.
    fn file(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut header = Header::new_gnu();
        header.set_metadata(&metadata);
        let data = file.chain(io::repeat(0)).take(metadata.len());
        self.builder.append_data(&mut header, name, data)
    }
}

/// Unpacks an archive into a directory that is there, and nowhere else.
pub(crate) fn unpack(archive: impl Read, directory: &str) -> io::Result<()> {
    let mut archive = Archive::new(BufReader::with_capacity(128 << 10, archive));
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_mask(SET_ID);
    let root = std::fs::canonicalize(directory)?;
    // Times and permissions of directories, once nothing is put into them any more.
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if let Some(sparse) = Sparse::of(&mut entry)? {
            sparse.unpack(&mut entry, &root)?;
        } else if entry.header().entry_type() == EntryType::Directory {
            directories.push((entry.path()?.into_owned(), entry.header().clone()));
            make_dir(&root, &entry.path()?)?;
        } else if let Some(node) = node(entry.header())? {
            make_node(&root, &entry.path()?, node, entry.header())?;
        } else if !entry.unpack_in(&root)? {
            let name = entry.path()?.display().to_string();
            return Err(io::Error::other(format!("{name} leads outside")));
        }
    }
    for (path, header) in directories.into_iter().rev() {
        let place = inside(&root, &path)?;
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(header.mtime()?);
        let mode = header.mode()? & !SET_ID_OF_DIRECTORIES;
        std::fs::set_permissions(&place, PermissionsExt::from_mode(mode))?;
        File::open(&place)?.set_modified(time)?;
    }
    Ok(())
}

fn make_dir(root: &Path, path: &Path) -> io::Result<()> {
    let place = inside(root, path)?;
    match std::fs::create_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match std::fs::symlink_metadata(&place)?.is_dir() {
                true => Ok(()),
                false => Err(io::Error::other(format!(
                    "cannot overwrite non-directory {:?} with directory",
                    place.display()
                ))),
            }
        }
        answer => answer,
    }
}

/// A device or a named pipe.
fn node(header: &Header) -> io::Result<Option<Node>> {
    let device = || -> io::Result<(u32, u32)> {
        let (major, minor) = (header.device_major()?, header.device_minor()?);
        Ok((major.unwrap_or(0), minor.unwrap_or(0)))
    };
    Ok(match header.entry_type() {
        EntryType::Fifo => Some(Node::Fifo),
        EntryType::Char => Some(device().map(|(major, minor)| Node::CharDevice(major, minor))?),
        EntryType::Block => Some(device().map(|(major, minor)| Node::BlockDevice(major, minor))?),
        _ => None,
    })
}

/// A device is for its owner alone: who could make it in a container need not be let at the machine's.
fn make_node(root: &Path, path: &Path, node: Node, header: &Header) -> io::Result<()> {
    let place = inside(root, path)?;
    let failed = |error: sys::Error| {
        let error = io::Error::from(error);
        let text = format!("make the special file {}: {error}", place.display());
        io::Error::new(error.kind(), text)
    };
    if std::fs::symlink_metadata(&place).is_ok_and(|there| !there.is_dir()) {
        std::fs::remove_file(&place)?;
    }
    let name = place.file_name().unwrap_or_default();
    let parent = Dir::open(place.parent().unwrap_or(root)).map_err(failed)?;
    parent.make_node(name, node).map_err(failed)?;
    if node == Node::Fifo {
        let mode = header.mode()? & !SET_ID;
        parent.set_mode(name, mode & 0o777).map_err(failed)?;
    }
    let time = i64::try_from(header.mtime()?).unwrap_or(i64::MAX);
    parent.set_modified(name, (time, 0)).map_err(failed)
}

/// Where a path of an archive is, if no link leads it out of the root.
fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut place = root.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let text = format!("{} leads outside", path.display());
                return Err(io::Error::other(text));
            }
        }
    }
    let parent = match place == *root {
        true => root,
        false => place.parent().unwrap_or(root),
    };
    match std::fs::canonicalize(parent)?.starts_with(root) {
        true => Ok(place),
        false => Err(io::Error::other(format!(
            "{} leads outside",
            path.display()
        ))),
    }
}

/// A file with holes, as POSIX archives of GNU tar's format 1.0 have it.
struct Sparse {
    size: u64,
}

impl Sparse {
    fn of<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Option<Self>> {
        let Some(extensions) = entry.pax_extensions()? else {
            return Ok(None);
        };
        for extension in extensions {
            let extension = extension?;
            if extension.key_bytes() == b"GNU.sparse.realsize" {
                let size = String::from_utf8_lossy(extension.value_bytes()).parse();
                return size
                    .map(|size| Some(Self { size }))
                    .map_err(io::Error::other);
            }
        }
        Ok(None)
    }

    fn unpack<R: Read>(&self, entry: &mut Entry<'_, R>, root: &Path) -> io::Result<()> {
        let place = inside(root, &entry.path()?)?;
        let (mode, time) = (entry.header().mode()?, entry.header().mtime()?);
        match std::fs::symlink_metadata(&place) {
            Ok(there) if !there.is_dir() => std::fs::remove_file(&place)?,
            _ => {}
        }
        let mut file = File::create_new(&place)?;
        let mut data = BufReader::new(entry);
        for (offset, length) in pieces(&mut data)? {
            file.seek(SeekFrom::Start(offset))?;
            io::copy(&mut data.by_ref().take(length), &mut file)?;
        }
        file.set_len(self.size)?;
        file.set_permissions(PermissionsExt::from_mode(mode & !SET_ID))?;
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(time))
    }
}

/// Numbers, one a line, filled up to a block: how many pieces, and of each where it is and how long.
fn pieces(data: &mut impl BufRead) -> io::Result<Vec<(u64, u64)>> {
    let mut read = 0;
    let mut number = || -> io::Result<u64> {
        let mut line = String::new();
        read += data.by_ref().take(BLOCK).read_line(&mut line)? as u64;
        line.trim_end().parse().map_err(io::Error::other)
    };
    let count = usize::try_from(number()?).map_err(io::Error::other)?;
    if count > MOST_PIECES {
        return Err(io::Error::other(format!("{count} pieces of one file")));
    }
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push((number()?, number()?));
    }
    let padding = read.next_multiple_of(BLOCK) - read;
    io::copy(&mut data.by_ref().take(padding), &mut io::sink())?;
    Ok(pieces)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        let at = |name: &str| from.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/file"), "text").unwrap();
        std::fs::hard_link(at("d/file"), at("d/same")).unwrap();
        std::os::unix::fs::symlink("/nowhere", at("d/link")).unwrap();
        let holes = File::create(at("d/holes")).unwrap();
        holes.set_len(1 << 20).unwrap();
        let mut archive = Vec::new();
        pack(at("d").to_str().unwrap(), false, "called", &mut archive).unwrap();
        unpack(archive.as_slice(), to.path().to_str().unwrap()).unwrap();
        let got = |name: &str| to.path().join("called").join(name);
        assert_eq!(std::fs::read_to_string(got("same")).unwrap(), "text");
        assert_eq!(std::fs::metadata(got("file")).unwrap().nlink(), 2);
        assert_eq!(
            std::fs::read_link(got("link")).unwrap(),
            Path::new("/nowhere")
        );
        assert_eq!(std::fs::metadata(got("holes")).unwrap().len(), 1 << 20);
    }

    #[test]
    fn nobody_becomes_somebody_by_what_is_unpacked() {
        let to = tempfile::tempdir().unwrap();
        let mut builder = Builder::new(Vec::new());
        let entries = [
            ("dir", EntryType::Directory),
            ("dir/file", EntryType::Regular),
            ("dir/pipe", EntryType::Fifo),
        ];
        for (name, kind) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o7755);
            header.set_size(0);
            builder.append_data(&mut header, name, io::empty()).unwrap();
        }
        let archive = builder.into_inner().unwrap();
        unpack(archive.as_slice(), to.path().to_str().unwrap()).unwrap();
        let seen = entries.map(|(name, _)| {
            let there = std::fs::symlink_metadata(to.path().join(name)).unwrap();
            (there.mode() & 0o7777, there.file_type().is_fifo())
        });
        assert_eq!(seen, [(0o1755, false), (0o755, false), (0o755, true)]);
    }

    /// Files of procfs have more than they say, as those have that grow meanwhile.
    #[test]
    fn a_file_that_grows_is_cut_off() {
        let mut builder = Builder::new(Vec::new());
        builder.follow_symlinks(false);
        let linked = HashMap::new();
        let mut pack = Pack { builder, linked };
        for name in ["first", "second"] {
            let proc = Path::new("/proc/self/status");
            pack.entry(proc, Path::new(name)).unwrap();
        }
        let archive = pack.builder.into_inner().unwrap();
        let mut archive = Archive::new(archive.as_slice());
        let names = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            (name, entry.size())
        });
        let names: Vec<_> = names.collect();
        assert_eq!(names, [("first".to_owned(), 0), ("second".to_owned(), 0)]);
    }

    #[test]
    fn a_link_leads_nowhere() {
        let to = tempfile::tempdir().unwrap();
        let secret = tempfile::tempdir().unwrap();
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder
            .append_link(&mut header, "out", secret.path())
            .unwrap();
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, "out/planted", &b"x"[..])
            .unwrap();
        let archive = builder.into_inner().unwrap();
        unpack(archive.as_slice(), to.path().to_str().unwrap()).unwrap_err();
        assert!(!secret.path().join("planted").exists());
    }
}
