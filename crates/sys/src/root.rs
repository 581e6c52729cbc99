//! Paths inside a directory that is somebody else's root.
//!
//! Every path is resolved by the kernel (openat2(2)) as if the directory were `/`: symbolic links
//! and `..` cannot lead out of it, magic links are refused, and what was resolved is held by a
//! descriptor, so that nothing can be swapped between the check and the use.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};

use crate::error::{Errno, Error, Named, Result, retry};
use crate::fd;

/// A directory taken for a root.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
}

/// How many symbolic links [`Root::make_dirs`] follows, as many as the kernel does.
const MAX_LINKS: u32 = 40;

impl Root {
    /// Opens a directory of the caller's own mount namespace.
    pub fn open(path: &Path) -> Result<Self> {
        fd::open_dir(path).map(Self::new)
    }

    /// Takes an open directory, or a mount that is not attached anywhere.
    pub fn new(dir: OwnedFd) -> Self {
        Self { dir }
    }

    /// Opens what is there without any right but to name it (O_PATH). Follows a last symbolic link.
    pub fn open_path(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(path.as_ref(), OFlags::PATH, ResolveFlags::empty())
    }

    /// Opens a regular file for reading; anything else is EINVAL.
    pub fn open_read(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_regular(path.as_ref(), ResolveFlags::empty())
    }

    /// Opens a regular file for reading; anything else is EINVAL, and a symbolic link anywhere on
    /// the way is refused with ELOOP.
    pub fn open_read_no_symlinks(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_regular(path.as_ref(), ResolveFlags::NO_SYMLINKS)
    }

    /// Looks before it opens: to open a device is to use it, and one that somebody else has put
    /// there may arm a watchdog or rewind a tape, with the rights of this process.
    fn open_regular(&self, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd> {
        let there = self.resolve(path, OFlags::PATH, resolve)?;
        let stat = rustix::fs::fstat(&there).named("fstat")?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error {
                call: "open",
                errno: Errno::INVAL,
            });
        }
        // The very file that was looked at, whatever has its name by now. Not waiting: a process
        // may hold a lease on it.
        let path = fd::proc_path(there.as_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        retry(|| rustix::fs::open(&path, flags, Mode::empty())).named("open")
    }

    /// Opens an existing file for reading and writing.
    pub fn open_read_write(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(
            path.as_ref(),
            OFlags::RDWR | OFlags::NOCTTY,
            ResolveFlags::empty(),
        )
    }

    /// Opens what is there by a path without any symbolic link, and without any right but to name
    /// it (O_PATH).
    pub fn open_path_no_symlinks(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(path.as_ref(), OFlags::PATH, ResolveFlags::NO_SYMLINKS)
    }

    /// Opens what is there without any right but to name it (O_PATH), by a path that never leaves the
    /// directory: `..` and symbolic links that would lead out of it are refused with EXDEV, and not
    /// taken for what they would mean if the directory were the root.
    pub fn open_beneath(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        self.resolve_by(path.as_ref(), OFlags::PATH, resolve)
    }

    /// Opens a directory.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(
            path.as_ref(),
            OFlags::RDONLY | OFlags::DIRECTORY,
            ResolveFlags::empty(),
        )
    }

    /// Reads a regular file of at most `limit` bytes; a longer one is EFBIG, anything else EINVAL.
    pub fn read(&self, path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>> {
        let file = self.open_read(path)?;
        let bytes = fd::read_to_end(&file, limit.saturating_add(1))?;
        if bytes.len() > limit {
            return Err(Error {
                call: "read",
                errno: Errno(libc::EFBIG),
            });
        }
        Ok(bytes)
    }

    /// Makes a directory and those above it where missing, mode 0755, and opens it without any right
    /// but to name it (O_PATH). A symbolic link on the way is followed, and what it points to is made
    /// too, inside the root.
    pub fn make_dirs(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.make_dirs_following(path.as_ref(), MAX_LINKS)
    }

    /// Opens what is there, or makes an empty file with the directories above it: something to
    /// mount a file on.
    pub fn make_file(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.make_file_following(path.as_ref(), MAX_LINKS)
    }

    fn make_file_following(&self, path: &Path, links: u32) -> Result<OwnedFd> {
        match self.open_path(path) {
            Err(error) if error.errno == Errno::NOENT => {}
            answer => return answer,
        }
        let (parent, name) = self.make_parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = retry(|| rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)));
        match made.named("openat") {
            Ok(_) => {}
            // A link to nowhere: make what it points to.
            Err(error) if error.errno == Errno::EXIST && links > 0 => {
                let target = self.link_target(&parent, path, name)?;
                return self.make_file_following(&target, links - 1);
            }
            Err(error) => return Err(error),
        }
        self.open_path(path)
    }

    /// Makes and opens the directory that holds the last component, and names that component.
    pub fn make_parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(Error {
            call: "openat2",
            errno: Errno::INVAL,
        })?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        Ok((self.make_dirs(parent)?, name))
    }

    fn make_dirs_following(&self, path: &Path, links: u32) -> Result<OwnedFd> {
        match self.find_dir(path) {
            Err(error) if error.errno == Errno::NOENT => {}
            answer => return answer,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error {
                call: "openat2",
                errno: Errno::NOENT,
            });
        };
        let parent_dir = self.make_dirs_following(parent, links)?;
        match rustix::fs::mkdirat(&parent_dir, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => self.find_dir(path),
            Err(rustix::io::Errno::EXIST) if links > 0 => {
                let target = self.link_target(&parent_dir, path, name)?;
                self.make_dirs_following(&target, links - 1)
            }
            Err(rustix::io::Errno::EXIST) => Err(Error {
                call: "mkdirat",
                errno: Errno::LOOP,
            }),
            Err(errno) => Err(errno).named("mkdirat"),
        }
    }

    /// Names a directory; to open it as one would ask its file system.
    fn find_dir(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        self.resolve(path, flags, ResolveFlags::empty())
    }

    /// Where a link points, as a path from the root. Textual, which is safe because whatever the
    /// text says is resolved by the kernel inside the root again.
    fn link_target(&self, parent: &OwnedFd, path: &Path, name: &OsStr) -> Result<PathBuf> {
        let target = rustix::fs::readlinkat(parent, name, Vec::new()).named("readlinkat")?;
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        Ok(path.parent().unwrap_or(Path::new("/")).join(target))
    }

    fn resolve(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
        let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        self.resolve_by(path, flags, resolve)
    }

    fn resolve_by(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
        // openat2(2) answers an empty path with ENOENT.
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        loop {
            let flags = flags | OFlags::CLOEXEC;
            match rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), resolve) {
                // EAGAIN: something was renamed meanwhile and the kernel cannot be sure.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                answer => return answer.named("openat2"),
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// What a descriptor is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A character device of this number, major and minor.
    CharacterDevice(u32, u32),
    /// A block device of this number, major and minor.
    BlockDevice(u32, u32),
    /// Anything else.
    Other,
}

/// What a descriptor is of; one opened by [`Root::open_path`] too.
pub fn kind(fd: impl AsFd) -> Result<Kind> {
    let stat = rustix::fs::fstat(fd).named("fstat")?;
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::CharacterDevice => Kind::CharacterDevice(major, minor),
        FileType::BlockDevice => Kind::BlockDevice(major, minor),
        _ => Kind::Other,
    })
}

/// The permissions of what a descriptor is of, set-id and sticky bits among them.
pub fn mode(fd: impl AsFd) -> Result<u32> {
    Ok(rustix::fs::fstat(fd).named("fstat")?.st_mode & 0o7777)
}

/// The magic number of the file system a descriptor is on (statfs(2)).
pub fn file_system_magic(fd: impl AsFd) -> Result<u64> {
    let file_system = rustix::fs::fstatfs(fd).named("fstatfs")?;
    u64::try_from(file_system.f_type).map_err(|_| Error {
        call: "fstatfs",
        errno: Errno::INVAL,
    })
}

/// [`file_system_magic`] of procfs.
pub const PROC_MAGIC: u64 = 0x9fa0;

/// `SYSFS_MAGIC` of statfs(2).
pub const SYSFS_MAGIC: u64 = 0x6265_6572;

/// A device file to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Block or character device, or FIFO.
    pub kind: NodeKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The kinds mknod(2) makes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A block device.
    Block,
    /// A character device.
    Character,
    /// A named pipe.
    Fifo,
}

/// Makes a device file in an open directory. EEXIST if the name is taken.
pub fn make_node(dir: impl AsFd, name: &OsStr, node: Node) -> Result<()> {
    let kind = match node.kind {
        NodeKind::Block => FileType::BlockDevice,
        NodeKind::Character => FileType::CharacterDevice,
        NodeKind::Fifo => FileType::Fifo,
    };
    let device = rustix::fs::makedev(node.major, node.minor);
    let mode = Mode::from_raw_mode(node.mode & 0o7777);
    rustix::fs::mknodat(&dir, name, kind, mode, device).named("mknodat")?;
    if node.uid != 0 || node.gid != 0 {
        let (uid, gid) = (fd::uid(node.uid)?, fd::gid(node.gid)?);
        rustix::fs::chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .named("fchownat")?;
    }
    Ok(())
}

/// Makes a directory in an open directory, mode 0755. EEXIST if the name is taken.
pub fn make_dir(dir: impl AsFd, name: &OsStr) -> Result<()> {
    rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o755)).named("mkdirat")
}

/// Makes a symbolic link in an open directory. EEXIST if the name is taken.
pub fn make_link(dir: impl AsFd, name: &OsStr, target: &str) -> Result<()> {
    rustix::fs::symlinkat(target, dir, name).named("symlinkat")
}

/// Where a symbolic link in an open directory points.
pub fn read_link(dir: impl AsFd, name: &OsStr) -> Result<PathBuf> {
    let target = rustix::fs::readlinkat(dir, name, Vec::new()).named("readlinkat")?;
    Ok(OsStr::from_bytes(target.as_bytes()).into())
}

/// Removes a name that is no directory from an open directory.
pub fn remove_file(dir: impl AsFd, name: &OsStr) -> Result<()> {
    rustix::fs::unlinkat(dir, name, AtFlags::empty()).named("unlinkat")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let root = Root::open(&dir.path().join("root")).unwrap();
        (dir, root)
    }

    #[test]
    fn links_and_dots_stay_inside() {
        let (dir, root) = tree();
        let inside = dir.path().join("root");
        symlink("/etc", inside.join("out")).unwrap();
        symlink("../../../..", inside.join("up")).unwrap();
        let made = root.make_dirs("out/deep").unwrap();
        assert!(inside.join("etc/deep").is_dir());
        assert_eq!(kind(&made), Ok(Kind::Directory));
        root.make_dirs("up/tmp").unwrap();
        root.make_dirs("../../x").unwrap();
        assert!(inside.join("tmp").is_dir() && inside.join("x").is_dir());
    }

    #[test]
    fn dangling_links_are_followed_inside_and_loops_end() {
        let (dir, root) = tree();
        let inside = dir.path().join("root");
        symlink("/run/deep", inside.join("var")).unwrap();
        symlink("b", inside.join("a")).unwrap();
        symlink("a", inside.join("b")).unwrap();
        root.make_file("var/lock").unwrap();
        assert!(inside.join("run/deep/lock").is_file());
        assert_eq!(root.make_dirs("a").unwrap_err().errno, Errno::LOOP);
    }

    #[test]
    fn what_leads_out_is_refused_beneath() {
        let (dir, root) = tree();
        let inside = dir.path().join("root");
        std::fs::create_dir_all(inside.join("a/b")).unwrap();
        for (name, target) in [("out", "/etc"), ("up", ".."), ("within", "a/b")] {
            symlink(target, inside.join(name)).unwrap();
        }
        root.open_beneath("within").unwrap();
        root.open_beneath("a/../a").unwrap();
        for path in ["out", "up", "..", "a/../..", "/etc", "a/../../root"] {
            let error = root.open_beneath(path).unwrap_err();
            assert_eq!(error.errno, Errno(libc::EXDEV), "{path}");
        }
    }

    #[test]
    fn magic_links_are_refused() {
        let root = Root::open(Path::new("/")).unwrap();
        assert_eq!(
            root.open_path("proc/self/root/etc").unwrap_err().errno,
            Errno::LOOP
        );
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let (dir, root) = tree();
        let fifo = Node {
            kind: NodeKind::Fifo,
            major: 0,
            minor: 0,
            mode: 0o600,
            uid: 0,
            gid: 0,
        };
        make_node(&root, OsStr::new("fifo"), fifo).unwrap();
        assert_eq!(root.open_read("fifo").unwrap_err().errno, Errno::INVAL);
        assert_eq!(
            root.open_read_no_symlinks("fifo").unwrap_err().errno,
            Errno::INVAL
        );
        symlink("/dev/null", dir.path().join("root/null")).unwrap();
        assert_eq!(root.open_read("null").unwrap_err().errno, Errno::NOENT);
    }

    #[test]
    fn small_files_are_read_and_large_ones_refused() {
        let (dir, root) = tree();
        symlink("/etc/passwd", dir.path().join("root/p")).unwrap();
        std::fs::create_dir(dir.path().join("root/etc")).unwrap();
        crate::file::replace(&dir.path().join("root/etc/passwd"), b"root:x:0", 0o644).unwrap();
        assert_eq!(root.read("p", 100).unwrap(), b"root:x:0");
        assert_eq!(root.read("p", 3).unwrap_err().errno, Errno(libc::EFBIG));
        assert_eq!(root.read("etc", 3).unwrap_err().errno, Errno::INVAL);
        assert_eq!(
            root.open_read_no_symlinks("p").unwrap_err().errno,
            Errno::LOOP
        );
    }
}
