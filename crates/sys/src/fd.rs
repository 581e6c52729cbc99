//! Descriptors: opening, copying, reading and writing small things through them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;

use crate::error::{Named, Result, retry};

/// Opens a path of the caller's own mount namespace without any right but to name it (O_PATH).
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::PATH)
}

/// Opens a directory of the caller's own mount namespace.
pub fn open_dir(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens for reading.
pub fn open_read(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY)
}

/// Opens for reading without waiting, for a FIFO's other end for one.
pub(crate) fn open_at_once(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// Opens an existing file for writing, as kernel interfaces want it: nothing created or truncated.
pub fn open_write(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::WRONLY)
}

/// Opens for reading and writing.
pub fn open_read_write(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDWR | OFlags::NOCTTY)
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    retry(|| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())).named("open")
}

/// Writes one whole text in one write(2), as kernel interfaces want it.
pub fn write_once(fd: impl AsFd, text: &[u8]) -> Result<()> {
    retry(|| rustix::io::write(&fd, text))
        .named("write")
        .map(drop)
}

/// Writes everything.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let n = retry(|| rustix::io::write(&fd, bytes)).named("write")?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// Reads to the end, but not more than `limit` bytes.
pub fn read_to_end(fd: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut page = [0_u8; 4096];
    while text.len() < limit {
        let room = page.len().min(limit - text.len());
        let n = retry(|| rustix::io::read(&fd, &mut page[..room])).named("read")?;
        if n == 0 {
            break;
        }
        text.extend_from_slice(&page[..n]);
    }
    Ok(text)
}

/// Reads a regular file of at most `limit` bytes: a longer one is EFBIG, a directory EISDIR, and
/// anything else, which might never come to an end or let nobody open it, EINVAL.
pub fn read_regular(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let refused = |errno| crate::error::Error {
        call: "read",
        errno: crate::error::Errno(errno),
    };
    let file = open_at_once(path)?;
    let stat = rustix::fs::fstat(&file).named("fstat")?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::RegularFile => {}
        rustix::fs::FileType::Directory => return Err(refused(libc::EISDIR)),
        _ => return Err(refused(libc::EINVAL)),
    }
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(refused(libc::EFBIG));
    }
    // Mostly one call, and one that finds the end. It may grow meanwhile.
    let mut text = Vec::with_capacity(size + 1);
    while retry(|| rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text)))
        .named("read")?
        > 0
    {
        if text.len() > limit {
            return Err(refused(libc::EFBIG));
        }
        text.reserve(4096);
    }
    Ok(text)
}

/// Another descriptor of the same open file, closed on execve(2).
pub fn duplicate(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 0).named("fcntl")
}

/// Another descriptor of the same open file, numbered `at_least` or higher, closed on execve(2).
pub fn duplicate_from(fd: impl AsFd, at_least: RawFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, at_least).named("fcntl")
}

/// Which file a descriptor is of: device and inode. The same file has the same.
pub fn identity(fd: impl AsFd) -> Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd).named("fstat")?;
    Ok((stat.st_dev, stat.st_ino))
}

/// A pipe: the end to read from and the end to write to, both closed on execve(2).
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).named("pipe2")
}

/// A file that is only in memory (memfd_create(2)).
pub fn memory_file(name: &str) -> Result<OwnedFd> {
    rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC).named("memfd_create")
}

/// Whether execve(2) closes it.
pub fn set_close_on_exec(fd: impl AsFd, close: bool) -> Result<()> {
    let flags = if close {
        FdFlags::CLOEXEC
    } else {
        FdFlags::empty()
    };
    rustix::io::fcntl_setfd(fd, flags).named("fcntl")
}

/// The number as a user's. The last one means "leave it as it is" to the kernel: EINVAL.
pub(crate) fn uid(number: u32) -> Result<rustix::fs::Uid> {
    valid(number).map(rustix::fs::Uid::from_raw)
}

/// As [`uid`], of a group.
pub(crate) fn gid(number: u32) -> Result<rustix::fs::Gid> {
    valid(number).map(rustix::fs::Gid::from_raw)
}

fn valid(number: u32) -> Result<u32> {
    let refused = crate::error::Error {
        call: "chown",
        errno: crate::error::Errno::INVAL,
    };
    Some(number).filter(|n| *n != u32::MAX).ok_or(refused)
}

/// Makes a user the owner of a file, so that it can open it again by another name.
pub fn give_to(fd: impl AsFd, uid: u32) -> Result<()> {
    rustix::fs::fchown(fd, Some(self::uid(uid)?), None).named("fchown")
}

/// Whether reads and writes return EAGAIN instead of waiting. A property of the open file, shared
/// by all its descriptors.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd).named("fcntl")?;
    rustix::fs::fcntl_setfl(
        &fd,
        if on {
            flags | OFlags::NONBLOCK
        } else {
            flags - OFlags::NONBLOCK
        },
    )
    .named("fcntl")
}

/// A path that names `fd` for this process, for calls that take only paths. It is a magic link: use
/// it at once, and only while `fd` is open.
pub fn proc_path(fd: BorrowedFd<'_>) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}
