//! What a name was when it was opened. Whoever renames it or puts something else in its place changes
//! nothing about what is pinned, and cannot lead a change of owner or mode elsewhere.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, XattrFlags};

use crate::dir::{self, Dir, Status};
use crate::error::{Errno, Error, Named, Result, retry};
use crate::fd;

/// `fchmodat2`, which the C library does not always name; the number on every processor we run on.
const FCHMODAT2: libc::c_long = 452;

/// A file of any kind, symbolic links included, by descriptor.
#[derive(Debug)]
pub struct Pinned<F: AsFd = OwnedFd>(F);

impl Pinned<OwnedFd> {
    /// What `name` is now; it is neither followed nor used.
    pub fn open(dir: &Dir, name: &OsStr) -> Result<Self> {
        open(dir.as_fd(), name).map(Self)
    }
}

impl<F: AsFd> Pinned<F> {
    /// What is open already.
    pub fn of(fd: F) -> Self {
        Self(fd)
    }

    /// What it is.
    pub fn status(&self) -> Result<Status> {
        let stat = rustix::fs::fstat(&self.0).named("fstat")?;
        Ok(dir::status(&stat))
    }

    /// Changes the owner; clears set-id bits and file capabilities, so it comes first.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (fd::uid(uid)?, fd::gid(gid)?);
        rustix::fs::chownat(&self.0, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .named("fchownat")
    }

    /// Changes the permission bits; EOPNOTSUPP for a symbolic link, which has none.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        set_mode(self.0.as_fd(), mode)
    }

    /// Sets an extended attribute.
    pub fn set_xattr(&self, key: &OsStr, value: &[u8]) -> Result<()> {
        // The last component leads to what is open and no further, also when that is a link.
        let path = fd::proc_path(self.0.as_fd());
        rustix::fs::setxattr(&path, key, value, XattrFlags::empty()).named("setxattr")
    }

    /// Changes the modification time and sets the access time to the same.
    pub fn set_modified(&self, time: (i64, u32)) -> Result<()> {
        let times = dir::timestamps(time);
        rustix::fs::utimensat(&self.0, c"", &times, AtFlags::EMPTY_PATH).named("utimensat")
    }
}

fn open(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| rustix::fs::openat(dir, name, flags, Mode::empty())).named("openat")
}

/// Through `/proc`: fchmod(2) takes no descriptor that was opened to name something only.
fn set_mode(of: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let stat = rustix::fs::fstat(of).named("fstat")?;
    if dir::status(&stat).kind == dir::Kind::Symlink {
        return Err(Error {
            call: "chmod",
            errno: Errno::OPNOTSUPP,
        });
    }
    rustix::fs::chmod(fd::proc_path(of), Mode::from_raw_mode(mode)).named("chmod")
}

/// Changes the permission bits of `name` in `dir`, which is not followed: EOPNOTSUPP for a symbolic
/// link.
#[allow(unsafe_code, reason = "rustix has no fchmodat2")]
pub(crate) fn set_mode_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the name ends in a zero byte, and the kernel only reads it.
    let answer = unsafe {
        libc::syscall(
            FCHMODAT2,
            dir.as_raw_fd(),
            name.as_ptr(),
            mode,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    match Errno::last() {
        // Linux before 6.6, or a filter that does not know it.
        Errno::NOSYS | Errno::PERM => set_mode(open(dir, dir::name(name))?.as_fd(), mode),
        errno => Err(Error {
            call: "fchmodat2",
            errno,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_name_leads_no_change_outside() {
        let temp = tempfile::tempdir().unwrap();
        let (inside, outside) = (temp.path().join("in"), temp.path().join("outside"));
        std::fs::create_dir(&inside).unwrap();
        crate::file::replace_unsynced(&outside, b"", 0o644).unwrap();
        std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&outside, inside.join("name")).unwrap();
        let dir = Dir::open(&inside).unwrap();
        let name = OsStr::new("name");
        let error = dir.set_mode(name, 0o4777).unwrap_err();
        assert_eq!(error.errno, Errno::OPNOTSUPP);
        let error = Pinned::open(&dir, name).unwrap().set_mode(0o4777);
        assert_eq!(error.unwrap_err().errno, Errno::OPNOTSUPP);
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&outside), 0o600);
    }

    #[test]
    fn what_is_pinned_is_changed_wherever_its_name_went() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        crate::file::replace_unsynced(&outside, b"", 0o644).unwrap();
        std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o600)).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let made = dir.create_file(OsStr::new("made")).unwrap();
        dir.make_node(OsStr::new("pipe"), dir::Node::Fifo).unwrap();
        let pipe = Pinned::open(&dir, OsStr::new("pipe")).unwrap();
        for name in ["made", "pipe"] {
            let path = temp.path().join(name);
            std::fs::rename(&path, temp.path().join(format!("{name}.away"))).unwrap();
            symlink(&outside, &path).unwrap();
        }
        let made = Pinned::of(&made);
        made.set_mode(0o640).unwrap();
        made.set_modified((1000, 5)).unwrap();
        pipe.set_mode(0o622).unwrap();
        pipe.set_modified((1000, 5)).unwrap();
        let status = |name: &str| dir.status(OsStr::new(name)).unwrap();
        assert_eq!(status("made.away").mode, 0o640);
        assert_eq!(status("made.away").modified, (1000, 5));
        assert_eq!(status("pipe.away").mode, 0o622);
        assert_eq!(status("pipe.away").modified, (1000, 5));
        assert_eq!(status("outside").mode, 0o600);
    }
}
