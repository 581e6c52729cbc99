//! The content of a file into another one, as cheaply as their file system can: by reference
//! (ioctl_ficlone(2)), by the kernel (copy_file_range(2)), holes left out (lseek(2)).

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;

use crate::error::{Errno, Named, Result, retry};

/// What one copy_file_range(2) is asked for at most.
const PIECE: u64 = 1 << 30;
/// A file that is read and written at once.
const SMALL: u64 = 32 << 10;
/// For file systems between which the kernel does not copy.
const BUFFER: usize = 128 << 10;

/// How a file was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Both share their blocks until one of them is written to.
    ByReference,
    /// Byte by byte.
    Bytes,
}

/// Copies all of `from` into `to`, which is new and empty.
pub fn content(from: &File, to: &File) -> Result<Copied> {
    // A sparse file stays sparse, whoever copies it.
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(Copied::ByReference);
    }
    let stat = rustix::fs::fstat(from).named("fstat")?;
    let end = u64::try_from(stat.st_size).unwrap_or(0);
    let dense = u64::try_from(stat.st_blocks).unwrap_or(0) * 512 >= end;
    if end <= SMALL && dense {
        // To ask for holes and for the kernel's help would cost more than the bytes.
        return by_hand(from, to, 0, end).map(|()| Copied::Bytes);
    }
    rustix::fs::ftruncate(to, end).named("ftruncate")?;
    for (start, length) in pieces(from, end)? {
        range(from, to, start, start + length)?;
    }
    Ok(Copied::Bytes)
}

/// Where there is data in the first `end` bytes of a file, as offsets and lengths; between them are
/// holes.
pub fn pieces(file: &File, end: u64) -> Result<Vec<(u64, u64)>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < end {
        let Some(start) = next(file, SeekFrom::Data(at))?.filter(|start| *start < end) else {
            break;
        };
        let stop = next(file, SeekFrom::Hole(start))?.unwrap_or(end).min(end);
        // It was cut short meanwhile.
        if stop <= start {
            break;
        }
        pieces.push((start, stop - start));
        at = stop;
    }
    Ok(pieces)
}

/// Where the next data or hole begins; none behind the last data.
fn next(file: &File, seek: SeekFrom) -> Result<Option<u64>> {
    match rustix::fs::seek(file, seek) {
        Err(rustix::io::Errno::NXIO) => Ok(None),
        answer => answer.named("lseek").map(Some),
    }
}

fn range(from: &File, to: &File, start: u64, stop: u64) -> Result<()> {
    let (mut read, mut written) = (start, start);
    while read < stop {
        let piece = usize::try_from((stop - read).min(PIECE)).unwrap_or(BUFFER);
        let copied = retry(|| {
            rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), piece)
        });
        match copied.named("copy_file_range") {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if cannot(error.errno) => return by_hand(from, to, read, stop),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the kernel refuses because of where the files are.
fn cannot(errno: Errno) -> bool {
    [libc::EXDEV, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOSYS].contains(&errno.0)
}

fn by_hand(from: &File, to: &File, mut at: u64, stop: u64) -> Result<()> {
    let wrong = |call| {
        move |error: std::io::Error| crate::error::Error {
            call,
            errno: Errno(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    };
    let mut buffer = vec![0; usize::try_from(stop - at).map_or(BUFFER, |all| all.min(BUFFER))];
    while at < stop {
        let room = usize::try_from(stop - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = match from.read_at(&mut buffer[..room], at) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            answer => answer.map_err(wrong("pread"))?,
        };
        if count == 0 {
            return Ok(());
        }
        to.write_all_at(&buffer[..count], at)
            .map_err(wrong("pwrite"))?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn content_arrives_and_holes_stay_holes() {
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(b"begin").unwrap();
        from.seek(SeekFrom::Start(64 << 20)).unwrap();
        from.write_all(b"end").unwrap();
        from.set_len(96 << 20).unwrap();
        let mut to = tempfile::tempfile().unwrap();
        content(&from, &to).unwrap();
        let mut text = vec![0; 5];
        to.read_exact(&mut text).unwrap();
        assert_eq!(text, b"begin");
        to.seek(SeekFrom::Start(64 << 20)).unwrap();
        to.read_exact(&mut text[..3]).unwrap();
        assert_eq!(&text[..3], b"end");
        let status = to.metadata().unwrap();
        assert_eq!(status.len(), 96 << 20);
        assert!(status.blocks() * 512 < 4 << 20, "{}", status.blocks());
    }

    #[test]
    fn the_kernel_is_not_needed() {
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(&[7; 300_000]).unwrap();
        let mut to = tempfile::tempfile().unwrap();
        by_hand(&from, &to, 0, 300_000).unwrap();
        let mut copy = Vec::new();
        to.read_to_end(&mut copy).unwrap();
        assert!(copy == [7; 300_000]);
    }
}
