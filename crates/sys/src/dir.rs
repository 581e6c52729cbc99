//! Directories by descriptor: a tree is built, walked and removed below one, so that nobody who
//! renames a directory or plants a symbolic link can lead the work elsewhere.
//!
//! Every `name` is one component and is never followed; only [`Dir::open_in_root`] resolves a path,
//! and the kernel does it, inside the directory.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps};

use crate::error::{Named, Result, retry};
use crate::fd;

/// Bytes of names that are read at a time.
const NAMES: usize = 32 << 10;

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// What the kernel did not say.
    Unknown,
}

/// What stat(2) says about a name.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes it takes on disk.
    pub allocated: u64,
    /// Names it has.
    pub links: u64,
    /// The file system and the inode on it: equal for two names of one file.
    pub identity: (u64, u64),
    /// Major and minor number, if it is a device.
    pub device: (u32, u32),
    /// Modification time: seconds since the Unix epoch and nanoseconds.
    pub modified: (i64, u32),
}

/// A special file to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A character device with its major and minor number.
    CharDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

impl Dir {
    /// Opens a directory of the caller's own mount namespace.
    pub fn open(path: &Path) -> Result<Self> {
        fd::open_dir(path).map(Self)
    }

    /// Opens for reading a directory that somebody holds otherwise, a mount that is attached nowhere.
    pub fn open_at(held: impl AsFd) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        retry(|| rustix::fs::openat(held.as_fd(), c".", flags, Mode::empty()))
            .named("openat")
            .map(Self)
    }

    /// Opens the directory at `path` with this directory as the root: `..` stops here, and symbolic
    /// links, absolute ones too, lead nowhere outside.
    pub fn open_in_root(&self, path: &[u8]) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() {
            b".".as_slice()
        } else {
            path
        };
        // EAGAIN: a rename elsewhere raced with a `..`; the manual says to try again.
        loop {
            match retry(|| rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve)) {
                Err(rustix::io::Errno::AGAIN) => {}
                answer => return answer.named("openat2").map(Self),
            }
        }
    }

    /// The same where no symbolic link may be on the way: `ELOOP` when one is.
    pub fn open_in_root_without_links(&self, path: &[u8]) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        retry(|| rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve))
            .named("openat2")
            .map(Self)
    }

    /// Opens a directory in it, for reading.
    pub fn open_dir(&self, name: &OsStr) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()))
            .named("openat")
            .map(Self)
    }

    /// Opens a file in it, for reading.
    pub fn open_file(&self, name: &OsStr) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()))
            .named("openat")
            .map(File::from)
    }

    /// Opens a regular file in it, for reading; anything else is EINVAL. It is looked at before it is
    /// opened: to open a device is to use it, and somebody may put one there at any moment.
    pub fn open_regular(&self, name: &OsStr) -> Result<File> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let there = retry(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()));
        let there = there.named("openat")?;
        let stat = rustix::fs::fstat(&there).named("fstat")?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(crate::error::Error {
                call: "open",
                errno: crate::error::Errno::INVAL,
            });
        }
        let path = fd::proc_path(there.as_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        retry(|| rustix::fs::open(&path, flags, Mode::empty()))
            .named("open")
            .map(File::from)
    }

    /// Where a symbolic link in it points.
    pub fn read_symlink(&self, name: &OsStr) -> Result<CString> {
        rustix::fs::readlinkat(&self.0, name, Vec::new()).named("readlinkat")
    }

    /// Makes a regular file that only its owner may touch. `EEXIST` when there is anything at all.
    pub fn create_file(&self, name: &OsStr) -> Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry(|| rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR))
            .named("openat")
            .map(File::from)
    }

    /// Opens a regular file of one name in it, to be written over; none when it is anything else.
    pub fn open_to_replace(&self, name: &OsStr) -> Result<Option<File>> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let status = self.status(name)?;
        if status.kind != Kind::File || status.links != 1 {
            return Ok(None);
        }
        retry(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()))
            .named("openat")
            .map(|fd| Some(File::from(fd)))
    }

    /// Makes a directory that only its owner may enter.
    pub fn make_dir(&self, name: &OsStr) -> Result<()> {
        rustix::fs::mkdirat(&self.0, name, Mode::RWXU).named("mkdirat")
    }

    /// Makes a device or a named pipe that only its owner may use.
    pub fn make_node(&self, name: &OsStr, node: Node) -> Result<()> {
        let (kind, device) = match node {
            Node::CharDevice(major, minor) => {
                (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
            }
            Node::BlockDevice(major, minor) => {
                (FileType::BlockDevice, rustix::fs::makedev(major, minor))
            }
            Node::Fifo => (FileType::Fifo, 0),
        };
        rustix::fs::mknodat(&self.0, name, kind, Mode::RUSR | Mode::WUSR, device).named("mknodat")
    }

    /// Makes a symbolic link.
    pub fn make_symlink(&self, name: &OsStr, target: &OsStr) -> Result<()> {
        rustix::fs::symlinkat(target, &self.0, name).named("symlinkat")
    }

    /// Gives the file `source` in `from` a second name here. A symbolic link is linked, not followed.
    pub fn make_link(&self, name: &OsStr, from: &Self, source: &OsStr) -> Result<()> {
        rustix::fs::linkat(&from.0, source, &self.0, name, AtFlags::empty()).named("linkat")
    }

    /// Removes a name that is not a directory.
    pub fn remove_file(&self, name: &OsStr) -> Result<()> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty()).named("unlinkat")
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &OsStr) -> Result<()> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR).named("unlinkat")
    }

    /// Moves `name` into another directory of the same file system.
    pub fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> Result<()> {
        rustix::fs::renameat(&self.0, name, &to.0, new).named("renameat")
    }

    /// What `name` is.
    pub fn status(&self, name: &OsStr) -> Result<Status> {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
            .named("fstatat")
            .map(|s| status(&s))
    }

    /// What the directory itself is.
    pub fn own_status(&self) -> Result<Status> {
        rustix::fs::statat(&self.0, c"", AtFlags::EMPTY_PATH)
            .named("fstatat")
            .map(|s| status(&s))
    }

    /// Changes the owner of `name`; clears set-id bits and file capabilities, so it comes first.
    pub fn set_owner(&self, name: &OsStr, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (fd::uid(uid)?, fd::gid(gid)?);
        rustix::fs::chownat(
            &self.0,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .named("fchownat")
    }

    /// Changes the permission bits of `name`; EOPNOTSUPP for a symbolic link, which has none.
    pub fn set_mode(&self, name: &OsStr, mode: u32) -> Result<()> {
        let name = CString::new(name.as_bytes()).map_err(|_| crate::error::Error {
            call: "fchmodat2",
            errno: crate::error::Errno::INVAL,
        })?;
        crate::pin::set_mode_at(self.0.as_fd(), &name, mode)
    }

    /// Changes the modification time of `name` and sets its access time to the same.
    pub fn set_modified(&self, name: &OsStr, time: (i64, u32)) -> Result<()> {
        rustix::fs::utimensat(&self.0, name, &timestamps(time), AtFlags::SYMLINK_NOFOLLOW)
            .named("utimensat")
    }

    /// The names in it but `.` and `..`, with what the kernel says they are.
    pub fn entries(&self) -> Result<Entries> {
        rustix::fs::Dir::read_from(&self.0)
            .named("getdents64")
            .map(Entries)
    }

    /// Calls `take` with the same, one by one and without memory for each. The directory must be open for
    /// reading, and is nobody else's meanwhile.
    pub fn each_name(&self, take: &mut dyn FnMut(&CStr, Kind)) -> Result<()> {
        rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Start(0)).named("lseek")?;
        let mut buffer = Vec::with_capacity(NAMES);
        let mut entries = rustix::fs::RawDir::new(&self.0, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.named("getdents64")?;
            if !is_dot(entry.file_name()) {
                take(entry.file_name(), kind(entry.file_type()));
            }
        }
        Ok(())
    }

    /// Writes everything its file system still holds in memory to the disk.
    pub fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.0).named("syncfs")
    }
}

impl From<OwnedFd> for Dir {
    /// Takes an open directory, or a mount that is attached nowhere.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.0
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets owner, permission bits and modification time of an open file, in the one order that keeps
/// set-id bits.
pub fn set_file_attributes(
    file: &File,
    uid: u32,
    gid: u32,
    mode: u32,
    time: (i64, u32),
) -> Result<()> {
    let (uid, gid) = (fd::uid(uid)?, fd::gid(gid)?);
    rustix::fs::fchown(file, Some(uid), Some(gid)).named("fchown")?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).named("fchmod")?;
    rustix::fs::futimens(file, &timestamps(time)).named("futimens")
}

/// The names in a directory.
#[derive(Debug)]
pub struct Entries(rustix::fs::Dir);

impl Iterator for Entries {
    type Item = Result<(CString, Kind)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.0.read()? {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(errno).named("getdents64")),
            };
            if !is_dot(entry.file_name()) {
                return Some(Ok((entry.file_name().to_owned(), kind(entry.file_type()))));
            }
        }
    }
}

/// The name of an entry in the type the other calls take.
pub fn name(entry: &CStr) -> &OsStr {
    OsStr::from_bytes(entry.to_bytes())
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

pub(crate) fn timestamps((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn kind(of: FileType) -> Kind {
    match of {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::Unknown => Kind::Unknown,
    }
}

/// The unit of `st_blocks`, whatever the file system's block is (stat(2)).
const STAT_BLOCK: u64 = 512;

#[allow(
    clippy::useless_conversion,
    reason = "widths differ between processors"
)]
pub(crate) fn status(stat: &Stat) -> Status {
    Status {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size.unsigned_abs(),
        allocated: stat.st_blocks.unsigned_abs() * STAT_BLOCK,
        links: stat.st_nlink.into(),
        identity: (stat.st_dev, stat.st_ino),
        device: (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        ),
        modified: (
            stat.st_mtime,
            u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Errno;

    #[test]
    fn symbolic_links_stay_inside() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.make_dir(OsStr::new("etc")).unwrap();
        dir.make_symlink(OsStr::new("abs"), OsStr::new("/etc"))
            .unwrap();
        dir.make_symlink(OsStr::new("up"), OsStr::new("../../../../etc"))
            .unwrap();
        let inside = dir.status(OsStr::new("etc")).unwrap().identity;
        for path in [b"abs".as_slice(), b"up", b"../../etc", b"/etc"] {
            assert_eq!(
                dir.open_in_root(path)
                    .unwrap()
                    .own_status()
                    .unwrap()
                    .identity,
                inside
            );
        }
        assert!(dir.open_in_root_without_links(b"/etc").is_ok());
        let error = dir.open_in_root_without_links(b"/abs").unwrap_err();
        assert_eq!(error.errno, Errno::LOOP);
        let error = dir.open_dir(OsStr::new("abs")).unwrap_err();
        assert_eq!(error.errno, Errno::NOTDIR);
    }

    #[test]
    fn a_file_is_created_only_where_nothing_is() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.make_symlink(OsStr::new("x"), OsStr::new("/tmp/elsewhere"))
            .unwrap();
        let error = dir.create_file(OsStr::new("x")).unwrap_err();
        assert_eq!(error.errno, Errno::EXIST);
    }

    #[test]
    fn times_before_the_epoch_and_nanoseconds_hold() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let name = OsStr::new("old");
        dir.create_file(name).unwrap();
        dir.set_modified(name, (-2, 500_000_000)).unwrap();
        assert_eq!(dir.status(name).unwrap().modified, (-2, 500_000_000));
        let names: Vec<_> = dir.entries().unwrap().map(|e| e.unwrap().0).collect();
        assert_eq!(names, [c"old".to_owned()]);
        for _ in 0..2 {
            let mut names = Vec::new();
            let all = dir.each_name(&mut |name, kind| names.push((name.to_owned(), kind)));
            all.unwrap();
            assert_eq!(names, [(c"old".to_owned(), Kind::File)]);
        }
    }
}
