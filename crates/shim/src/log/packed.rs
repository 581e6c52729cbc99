//! Files that were put aside and packed: gzip, with the file that it was before named in its head, so
//! that who was reading that one finds where to go on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

/// What is in front of the extra field in the head of a gzip file (RFC 1952, 2.3), its length
/// included; the byte of the flags and the flag for it.
const HEAD: usize = 12;
const FLAGS: usize = 3;
const HAS_EXTRA: u8 = 4;

/// The extra field: one of ours, with two numbers of eight bytes.
const NAME: [u8; 4] = [b'B', b'R', 16, 0];
const EXTRA: usize = NAME.len() + 16;

/// The current file is number 0 and has no number; a larger one is older.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => with(path, &format!(".{number}")),
    }
}

/// The same, once it is packed.
pub(super) fn packed(path: &Path, number: u32) -> PathBuf {
    with(&numbered(path, number), ".gz")
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Packs a file: `NAME.gz` takes its place, complete.
///
/// # Errors
/// Of the file system. The file is there as before then.
pub fn pack(path: &Path) -> io::Result<()> {
    let unfinished = with(path, ".gz.tmp");
    let done = pack_into(path, &unfinished)
        .and_then(|()| std::fs::rename(&unfinished, with(path, ".gz")))
        .and_then(|()| std::fs::remove_file(path));
    if done.is_err() {
        // Left over if even that fails, and written over by the next.
        let _ = std::fs::remove_file(&unfinished);
    }
    done
}

fn pack_into(path: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let known = file.metadata()?;
    let extra = [
        &NAME[..],
        &known.dev().to_le_bytes(),
        &known.ino().to_le_bytes(),
    ];
    let mut options = OpenOptions::new();
    let out = options.write(true).create(true).truncate(true).mode(0o640);
    let builder = GzBuilder::new().extra(extra.concat());
    let mut packing = builder.write(out.open(to)?, Compression::fast());
    io::copy(&mut file, &mut packing)?;
    packing.finish()?.flush()
}

/// Which file (device and inode) this was before it was packed, if it was packed here.
pub(super) fn origin(file: &File) -> io::Result<Option<(u64, u64)>> {
    let mut head = [0; HEAD + EXTRA];
    let length = file.read_at(&mut head, 0)?;
    let (flags, extra) = (head[FLAGS], &head[HEAD..]);
    if length < head.len() || flags & HAS_EXTRA == 0 || !extra.starts_with(&NAME) {
        return Ok(None);
    }
    let number = |at: usize| {
        let bytes = extra[at..at + 8].try_into();
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    Ok(Some((number(NAME.len()), number(NAME.len() + 8))))
}

/// What it holds, from the beginning.
pub(super) fn reading(file: &File) -> io::Result<impl Read> {
    // With a place of its own in the file.
    let own = File::open(format!("/proc/self/fd/{}", descriptor(file)))?;
    Ok(GzDecoder::new(own))
}

fn descriptor(file: &File) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd()
}

/// What it holds, in a file that nobody else sees.
pub(super) fn unpack(file: &File, log: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = with(log, &format!(".unpacked-{}-{number}", std::process::id()));
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create_new(true).mode(0o600);
    let mut out = options.open(&path)?;
    std::fs::remove_file(&path)?;
    io::copy(&mut reading(file)?, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_says_which_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.1");
        let text = b"line\n".repeat(1000);
        sys::file::replace_unsynced(&path, &text, 0o600).unwrap();
        let known = std::fs::metadata(&path).unwrap();
        pack(&path).unwrap();
        let file = File::open(dir.path().join("log.1.gz")).unwrap();
        assert!(file.metadata().unwrap().len() < 1000);
        assert_eq!(origin(&file).unwrap(), Some((known.dev(), known.ino())));
        let mut text = Vec::new();
        let plain = unpack(&file, &dir.path().join("log")).unwrap();
        File::open(format!("/proc/self/fd/{}", descriptor(&plain)))
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, b"line\n".repeat(1000));
        // Neither the file itself nor anything half done is left.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(pack(&path).is_err());
        assert_eq!(origin(&plain).unwrap(), None);
    }
}
