//! Project quotas (quotactl_fd(2), ioctl_xfs_fsgetxattr(2)): a limit on what a directory and all that
//! is made in it take on disk, where the file system counts by project.
#![allow(
    unsafe_code,
    reason = "quotactl_fd and the project ioctls have no safe wrapper"
)]

use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Errno, Error, Result, check};

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct Fsxattr {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    projid: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

/// `FS_IOC_FSGETXATTR`, `_IOR('X', 31, struct fsxattr)`.
const GET: u64 = 0x801c_581f;
/// `FS_IOC_FSSETXATTR`, `_IOW('X', 32, struct fsxattr)`.
const SET: u64 = 0x401c_5820;
/// `FS_XFLAG_PROJINHERIT`: what is made in the directory gets its project.
const INHERIT: u32 = 0x200;

/// `struct if_dqblk` of linux/quota.h.
#[repr(C)]
#[derive(Default)]
struct Dqblk {
    block_hard: u64,
    block_soft: u64,
    space: u64,
    inode_hard: u64,
    inode_soft: u64,
    inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

/// The kind of quota: `PRJQUOTA`.
const PROJECT: u32 = 2;
const SUBCMD_SHIFT: u32 = 8;
const Q_GETQUOTA: u32 = 0x80_0007;
const Q_SETQUOTA: u32 = 0x80_0008;
/// `Q_XGETQSTAT`, which all file systems with quotas answer.
const Q_XGETQSTAT: u32 = 0x5805;
/// `QIF_BLIMITS`: the limits on blocks are given.
const BLOCK_LIMITS: u32 = 1;
/// The unit of limits on blocks, whatever the file system's block is.
const UNIT: u64 = 1024;
/// `FS_QUOTA_PDQ_ENFD` of `fs_quota_stat.qs_flags`: limits of projects are enforced.
const ENFORCED: u16 = 1 << 5;

/// Whether the file system holds directories to the limits of their projects.
pub fn enforced(dir: impl AsFd) -> bool {
    // `struct fs_quota_stat` (linux/dqblk_xfs.h) has 80 bytes; the flags are the second 16 bits.
    let mut stat = [0_u64; 16];
    let answer = quotactl(dir, Q_XGETQSTAT, 0, stat.as_mut_ptr().cast());
    let bytes = stat[0].to_ne_bytes();
    answer.is_ok() && u16::from_ne_bytes([bytes[2], bytes[3]]) & ENFORCED != 0
}

/// Puts an empty directory, and what will be made in it, into a project.
pub fn set_project(dir: impl AsFd, project: u32) -> Result<()> {
    let mut attributes = attributes(&dir)?;
    attributes.projid = project;
    attributes.xflags |= INHERIT;
    // SAFETY: FS_IOC_FSSETXATTR reads one `struct fsxattr`, which lives here and has the kernel's
    // layout.
    let answer = unsafe { libc::ioctl(dir.as_fd().as_raw_fd(), SET as _, &raw const attributes) };
    check("ioctl FS_IOC_FSSETXATTR", answer.into()).map(drop)
}

/// The project of a directory; 0 is none.
pub fn project(dir: impl AsFd) -> Result<u32> {
    attributes(dir).map(|attributes| attributes.projid)
}

fn attributes(dir: impl AsFd) -> Result<Fsxattr> {
    let mut attributes = Fsxattr::default();
    // SAFETY: FS_IOC_FSGETXATTR writes one `struct fsxattr`, which lives here and has the kernel's
    // layout.
    let answer = unsafe { libc::ioctl(dir.as_fd().as_raw_fd(), GET as _, &raw mut attributes) };
    check("ioctl FS_IOC_FSGETXATTR", answer.into())?;
    Ok(attributes)
}

/// Sets the bytes that a project may take on the file system of `dir`, rounded up to whole KiB; zero
/// takes the limit away.
pub fn set_limit(dir: impl AsFd, project: u32, bytes: u64) -> Result<()> {
    let mut limit = Dqblk {
        block_hard: bytes.div_ceil(UNIT),
        valid: BLOCK_LIMITS,
        ..Dqblk::default()
    };
    quotactl(dir, Q_SETQUOTA, project, (&raw mut limit).cast())
}

/// Bytes that a project takes on the file system of `dir`.
pub fn usage(dir: impl AsFd, project: u32) -> Result<u64> {
    let mut usage = Dqblk::default();
    quotactl(dir, Q_GETQUOTA, project, (&raw mut usage).cast())?;
    Ok(usage.space)
}

fn quotactl(dir: impl AsFd, command: u32, id: u32, data: *mut libc::c_void) -> Result<()> {
    // SAFETY: quotactl_fd takes a descriptor, which is open as long as `dir` is borrowed, numbers,
    // and a pointer to what the command reads or writes: each caller passes the command's structure
    // in the kernel's layout, or more room than it needs, and it outlives the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            dir.as_fd().as_raw_fd(),
            (command << SUBCMD_SHIFT) | PROJECT,
            id,
            data,
        )
    };
    match check("quotactl_fd", answer) {
        // ext4 without its quota feature, tmpfs and others.
        Err(Error {
            errno: Errno::NOSYS | Errno::SRCH | Errno::NOTTY,
            ..
        }) => Err(Error {
            call: "quotactl_fd",
            errno: Errno::OPNOTSUPP,
        }),
        answer => answer.map(drop),
    }
}
