//! Mounts as descriptors (fsopen(2), open_tree(2), mount_setattr(2), move_mount(2)).
//!
//! A mount is made or cloned detached, given its attributes, and only then attached at a place that
//! is itself a descriptor: at no moment can anybody see it half done, and no path is looked up twice.
#![allow(unsafe_code, reason = "mount_setattr(2) has no safe wrapper")]

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use bitflags::bitflags;
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};

use crate::error::{Error, Named, Result, check, retry};

bitflags! {
    /// What a mount forbids or leaves out (MOUNT_ATTR_* of mount_setattr(2)).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Attributes: u64 {
        /// No writing.
        const READ_ONLY = 0x1;
        /// Set-user-id bits and file capabilities do nothing.
        const NO_SUID = 0x2;
        /// Device files cannot be opened.
        const NO_DEV = 0x4;
        /// Nothing can be executed.
        const NO_EXEC = 0x8;
        /// Access times are never updated.
        const NO_ATIME = 0x10;
        /// Access times are always updated. Neither this nor the one before: relatively.
        const STRICT_ATIME = 0x20;
        /// Those of directories are never updated.
        const NO_DIR_ATIME = 0x80;
        /// Ids are translated by a user namespace.
        const ID_MAP = 0x10_0000;
        /// Symbolic links are not followed.
        const NO_SYMLINK_FOLLOW = 0x20_0000;
    }
}

/// The bits that say together how access times are kept; changing one clears them all.
const ATIME: u64 = 0x70;

/// Whether mounts made below this one appear elsewhere too (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Neither way.
    Private,
    /// From the other place to this one.
    Slave,
    /// Both ways.
    Shared,
    /// Neither way, and this one cannot be bound elsewhere.
    Unbindable,
}

/// What [`change`] changes. What is in neither set stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Attributes to have.
    pub set: Attributes,
    /// Attributes not to have.
    pub clear: Attributes,
    /// Propagation, if it changes.
    pub propagation: Option<Propagation>,
}

impl Change {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A mount that need not be attached anywhere: the kernel dissolves it when the descriptor is closed
/// before that.
#[derive(Debug)]
pub struct Mounted(OwnedFd);

/// One parameter of a file system: a name alone or a name and a value.
pub type Parameter<'a> = (&'a str, Option<&'a str>);

/// Makes a file system and mounts it, detached.
pub fn file_system(
    kind: &str,
    source: Option<&str>,
    parameters: &[Parameter<'_>],
    attributes: Attributes,
) -> Result<Mounted> {
    told_file_system(kind, source, parameters, attributes).map_err(|refused| refused.error)
}

/// As [`file_system`], with what is to be said when the kernel refuses it.
///
/// # Errors
/// The call that failed, with the option that it was about and the kernel's own words, so far as there are any.
pub fn told_file_system(
    kind: &str,
    source: Option<&str>,
    parameters: &[Parameter<'_>],
    attributes: Attributes,
) -> std::result::Result<Mounted, RefusedMount> {
    let context = Context::open(kind)?;
    if let Some(source) = source {
        context.told_set("source", Some(source))?;
    }
    for (name, value) in parameters {
        context.told_set(name, *value)?;
    }
    context.create().map_err(|error| RefusedMount {
        said: context.said(),
        error,
    })?;
    Ok(context.made(attributes)?)
}

/// A file system that the kernel does not mount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}{error}")]
pub struct RefusedMount {
    /// The option, and the kernel's words; each with a colon behind it, or empty.
    pub said: String,
    /// What failed.
    pub error: Error,
}

impl RefusedMount {
    /// What was said, to stand behind what was to be done.
    pub fn behind(&self) -> String {
        let said = self.said.strip_suffix(": ");
        said.map(|said| format!(": {said}")).unwrap_or_default()
    }
}

impl From<Error> for RefusedMount {
    fn from(error: Error) -> Self {
        Self {
            said: String::new(),
            error,
        }
    }
}

/// A file system being configured.
#[derive(Debug)]
pub(crate) struct Context(OwnedFd);

impl Context {
    pub(crate) fn open(kind: &str) -> Result<Self> {
        rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
            .named("fsopen")
            .map(Self)
    }

    pub(crate) fn set(&self, name: &str, value: Option<&str>) -> Result<()> {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(&self.0, name, value),
            None => rustix::mount::fsconfig_set_flag(&self.0, name),
        }
        .named("fsconfig")
    }

    fn told_set(&self, name: &str, value: Option<&str>) -> std::result::Result<(), RefusedMount> {
        self.set(name, value).map_err(|error| {
            let value = value.map_or_else(String::new, |value| format!("={value}"));
            let said = format!("{name}{value}: {}", self.said());
            RefusedMount { said, error }
        })
    }

    /// What the kernel has to say of it, each sentence with a colon behind it.
    fn said(&self) -> String {
        let mut all = String::new();
        let mut buffer = [0; 512];
        // One message a read, and an error when there is none left.
        while let Ok(length @ 1..) = rustix::io::read(&self.0, &mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]);
            // "e" is an error, "w" a warning, "i" a remark.
            if let Some(error) = message.trim_end().strip_prefix("e ") {
                all.push_str(error);
                all.push_str(": ");
            }
        }
        all
    }

    fn create(&self) -> Result<()> {
        retry(|| rustix::mount::fsconfig_create(&self.0)).named("fsconfig")
    }

    pub(crate) fn mount(self, attributes: Attributes) -> Result<Mounted> {
        self.create()?;
        self.made(attributes)
    }

    /// Mounts what has been made, detached.
    fn made(self, attributes: Attributes) -> Result<Mounted> {
        // MOUNT_ATTR_* have the same 32 low bits in fsmount(2) and mount_setattr(2).
        let low = u32::try_from(attributes.bits()).unwrap_or_default();
        let attributes = MountAttrFlags::from_bits_retain(low);
        rustix::mount::fsmount(&self.0, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .named("fsmount")
            .map(Mounted)
    }
}

/// Changes parameters of the file system that is mounted where a descriptor is, which must be the
/// root of a mount (fspick(2)). All its mounts see the change.
pub fn reconfigure(mount: impl AsFd, parameters: &[Parameter<'_>]) -> Result<()> {
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(mount, "", flags).named("fspick")?;
    let context = Context(context);
    for (name, value) in parameters {
        context.set(name, *value)?;
    }
    rustix::mount::fsconfig_reconfigure(&context.0).named("fsconfig")
}

/// A detached copy of the mount a path is on, from that path down; with the mounts below it if
/// `recursive`. Follows symbolic links.
pub fn bind(path: &Path, recursive: bool) -> Result<Mounted> {
    open_tree(CWD, path, recursive, OpenTreeFlags::empty())
}

/// The same from an open file or directory down.
pub fn bind_fd(fd: impl AsFd, recursive: bool) -> Result<Mounted> {
    open_tree(
        fd.as_fd(),
        Path::new(""),
        recursive,
        OpenTreeFlags::AT_EMPTY_PATH,
    )
}

fn open_tree(
    dir: BorrowedFd<'_>,
    path: &Path,
    recursive: bool,
    extra: OpenTreeFlags,
) -> Result<Mounted> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | extra;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(dir, path, flags)
        .named("open_tree")
        .map(Mounted)
}

impl Mounted {
    /// Takes the descriptor of a mount's root.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Attaches it on an open file or directory, on top of whatever is mounted there. The
    /// descriptor keeps naming it.
    pub fn attach(&self, target: impl AsFd) -> Result<()> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&self.0, "", target, "", flags).named("move_mount")
    }

    /// Attaches it on a name in an open directory whose content nobody else can change: one that
    /// this process has just made.
    pub fn attach_at(&self, dir: impl AsFd, name: &OsStr) -> Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&self.0, "", dir, name, flags).named("move_mount")
    }

    /// Changes its attributes; of those below it too if `recursive`.
    pub fn change(&self, change: Change, recursive: bool) -> Result<()> {
        set_attributes(self.0.as_fd(), change, recursive, None)
    }

    /// Translates ids by a user namespace (Linux 5.12). Only while it is detached.
    pub fn map_ids(&self, user_namespace: BorrowedFd<'_>, recursive: bool) -> Result<()> {
        let change = Change {
            set: Attributes::ID_MAP,
            ..Change::default()
        };
        set_attributes(self.0.as_fd(), change, recursive, Some(user_namespace))
    }

    /// The descriptor of its root.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Mounted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Changes the mount whose root is at `path`, and with `recursive` those below.
pub fn change(path: &Path, change: Change, recursive: bool) -> Result<()> {
    let mount = crate::fd::open_path(path)?;
    set_attributes(mount.as_fd(), change, recursive, None)
}

/// The same by the descriptor of the mount's root.
pub fn change_fd(fd: impl AsFd, change: Change, recursive: bool) -> Result<()> {
    set_attributes(fd.as_fd(), change, recursive, None)
}

/// Which mount a descriptor is on: a number that no other mount has meanwhile (statx(2)).
pub fn id(fd: impl AsFd) -> Result<u64> {
    id_as(fd, rustix::fs::StatxFlags::MNT_ID)
}

/// The mount that a name in an open directory is on. A link is not followed.
pub fn id_at(dir: impl AsFd, name: &OsStr) -> Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(dir, name, flags, StatxFlags::MNT_ID)
        .named("statx")
        .map(|answer| answer.stx_mnt_id)
}

/// The same as a number that no other mount ever has, from Linux 6.8 on; before, [`id`].
pub fn unique_id(fd: impl AsFd) -> Result<u64> {
    use rustix::fs::StatxFlags;
    /// `STATX_MNT_ID_UNIQUE` of statx(2): an older kernel overlooks it.
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    id_as(fd, StatxFlags::MNT_ID | UNIQUE)
}

/// Whether something is mounted exactly there.
pub fn is_root(path: &Path) -> bool {
    let of = |path: &Path| id(std::fs::File::open(path).ok()?).ok();
    match (of(path), path.parent().and_then(of)) {
        (Some(own), Some(above)) => own != above,
        _ => false,
    }
}

fn id_as(fd: impl AsFd, wanted: rustix::fs::StatxFlags) -> Result<u64> {
    rustix::fs::statx(fd, c"", rustix::fs::AtFlags::EMPTY_PATH, wanted)
        .named("statx")
        .map(|answer| answer.stx_mnt_id)
}

/// What the mount that a descriptor is on forbids or leaves out (statvfs(3)).
pub fn attributes(fd: impl AsFd) -> Result<Attributes> {
    /// `ST_RELATIME` of statvfs(3).
    const RELATIVE: u64 = 0x1000;
    const FLAGS: [(u64, Attributes); 7] = [
        (0x1, Attributes::READ_ONLY),
        (0x2, Attributes::NO_SUID),
        (0x4, Attributes::NO_DEV),
        (0x8, Attributes::NO_EXEC),
        (0x400, Attributes::NO_ATIME),
        (0x800, Attributes::NO_DIR_ATIME),
        (0x2000, Attributes::NO_SYMLINK_FOLLOW),
    ];
    let flags = rustix::fs::fstatvfs(fd).named("fstatvfs")?.f_flag.bits();
    let mut all = Attributes::empty();
    for (flag, attribute) in FLAGS {
        all.set(attribute, flags & flag != 0);
    }
    let strict = flags & RELATIVE == 0 && !all.contains(Attributes::NO_ATIME);
    all.set(Attributes::STRICT_ATIME, strict);
    Ok(all)
}

/// `struct mount_attr` of linux/mount.h, version 0 (32 bytes).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn set_attributes(
    mount: BorrowedFd<'_>,
    change: Change,
    recursive: bool,
    user_namespace: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let atime = (change.set | change.clear).bits() & ATIME;
    let attr = MountAttr {
        attr_set: change.set.bits(),
        attr_clr: (change.clear.bits() & !ATIME) | if atime == 0 { 0 } else { ATIME },
        propagation: change.propagation.map_or(0, propagation_flag),
        userns_fd: user_namespace.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is an empty string, which AT_EMPTY_PATH allows, and `attr` is a
    // `struct mount_attr` of the size told that the kernel only reads.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check("mount_setattr", answer).map(drop)
}

fn propagation_flag(propagation: Propagation) -> u64 {
    match propagation {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Shared => libc::MS_SHARED,
        Propagation::Unbindable => libc::MS_UNBINDABLE,
    }
}

/// Detaches the topmost mount at `path`, with those below it, as soon as nobody uses it.
pub fn detach(path: &Path) -> Result<()> {
    rustix::mount::unmount(path, UnmountFlags::DETACH).named("umount2")
}

/// Takes the topmost mount at `path` away; EBUSY if somebody uses it or something is mounted below. A last
/// symbolic link is not followed.
pub fn unmount(path: &Path) -> Result<()> {
    rustix::mount::unmount(path, UnmountFlags::NOFOLLOW).named("umount2")
}

/// Makes the mount `new_root` the root of the calling thread's mount namespace and lets go of the
/// old one with everything that was only there. Needs a namespace that is nobody else's.
///
/// The old root ends up mounted on the new one, at `/`, so that no directory has to be made for it,
/// and is detached from there (pivot_root(2), `pivot_root(".", ".")`).
pub fn switch_root(new_root: impl AsFd) -> Result<()> {
    crate::process::change_dir_to(&new_root)?;
    rustix::process::pivot_root(".", ".").named("pivot_root")?;
    // The topmost mount here is the old root; the working directory is the new one, below it.
    detach(Path::new("."))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;
    use crate::ns::Namespaces;
    use crate::root::Root;

    /// Runs in a thread with mounts of its own, on an empty directory; says why if that cannot be.
    /// What is mounted there goes with the thread, so the directory can go after it.
    pub(crate) fn with_own_mounts(test: impl FnOnce(&Path) + Send + 'static) {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: mounting needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let thread = std::thread::spawn(move || {
            crate::ns::unshare(Namespaces::MOUNT).unwrap();
            let private = Change {
                propagation: Some(Propagation::Private),
                ..Change::default()
            };
            change(Path::new("/"), private, true).unwrap();
            test(&path);
        });
        let ended = thread.join();
        dir.close().unwrap();
        ended.unwrap();
    }

    fn tmpfs() -> Mounted {
        let parameters = [("mode", Some("755"))];
        file_system("tmpfs", Some("test"), &parameters, Attributes::NO_EXEC).unwrap()
    }

    fn is_read_only(path: &Path) -> bool {
        let written = fs::File::create(path.join("probe")).map(drop);
        written.is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
    }

    #[test]
    fn the_kernel_says_which_option_it_refuses() {
        let refused = |parameter| {
            let made = told_file_system("tmpfs", None, &[parameter], Attributes::empty());
            made.map(drop).unwrap_err().to_string()
        };
        for (parameter, option) in [
            (("size", Some("zz")), "size=zz: "),
            (("nonsense", Some("1")), "nonsense=1: "),
            (("size", None), "size: "),
        ] {
            let text = refused(parameter);
            assert!(
                text.starts_with(option) && text.ends_with("invalid argument"),
                "{text}"
            );
            let name = option.split(['=', ':']).next().unwrap();
            assert_eq!(text.matches(name).count(), 2, "{text}");
        }
    }

    #[test]
    fn a_mount_is_made_filled_and_attached() {
        with_own_mounts(|dir| {
            let mounted = tmpfs();
            // Before anybody can see it.
            let inside = Root::new(crate::fd::duplicate(&mounted).unwrap());
            inside.make_dirs("a/b").unwrap();
            assert!(!dir.join("a").exists());
            mounted.attach(crate::fd::open_path(dir).unwrap()).unwrap();
            assert!(dir.join("a/b").is_dir());
            let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
            let line = table
                .lines()
                .find(|l| l.contains(dir.to_str().unwrap()))
                .unwrap();
            assert!(line.contains(" rw,noexec,relatime - tmpfs test "), "{line}");
            detach(dir).unwrap();
            assert!(!dir.join("a").exists());
        });
    }

    #[test]
    fn a_recursive_change_reaches_what_is_below() {
        with_own_mounts(|dir| {
            let (top, below) = (dir.join("top"), dir.join("top/below"));
            fs::create_dir_all(&below).unwrap();
            tmpfs()
                .attach(crate::fd::open_path(&below).unwrap())
                .unwrap();
            let place = |name: &str, recursive| {
                let copy = bind(&top, true).unwrap();
                let only = Change {
                    set: Attributes::READ_ONLY,
                    ..Change::default()
                };
                copy.change(only, recursive).unwrap();
                let target = dir.join(name);
                fs::create_dir(&target).unwrap();
                copy.attach(crate::fd::open_path(&target).unwrap()).unwrap();
                target
            };
            let (one, all) = (place("one", false), place("all", true));
            assert!(is_read_only(&one) && !is_read_only(&one.join("below")));
            assert!(is_read_only(&all) && is_read_only(&all.join("below")));
            assert!(!is_read_only(&top));
        });
    }

    #[test]
    fn access_times_are_kept_in_one_way_at_a_time() {
        with_own_mounts(|_| {
            let mounted = tmpfs();
            let set = |set| {
                let change = Change {
                    set,
                    ..Change::default()
                };
                mounted.change(change, false)
            };
            set(Attributes::NO_ATIME).unwrap();
            set(Attributes::STRICT_ATIME).unwrap();
            let relative = Change {
                clear: Attributes::STRICT_ATIME,
                ..Change::default()
            };
            mounted.change(relative, false).unwrap();
        });
    }

    #[test]
    fn a_switched_root_holds_nothing_of_the_old_one() {
        with_own_mounts(|_| {
            let mounted = tmpfs();
            let inside = Root::new(crate::fd::duplicate(&mounted).unwrap());
            inside.make_dirs("only").unwrap();
            mounted
                .attach(crate::fd::open_path(Path::new("/")).unwrap())
                .unwrap();
            // The host's root is still what paths mean, until it is let go.
            assert!(Path::new("/proc/self").exists());
            switch_root(&mounted).unwrap();
            let names: Vec<_> = fs::read_dir("/").unwrap().flatten().collect();
            assert_eq!(names.len(), 1);
            assert!(Path::new("/../../only").is_dir());
        });
    }
}
