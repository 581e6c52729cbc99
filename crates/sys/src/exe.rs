//! A program's file made unwritable through its processes.
//!
//! A process that enters a container before it executes the container's program is seen there by
//! /proc/PID/exe, which leads to the host's file whatever is mounted in the container. Somebody
//! inside who gets hold of it, by `#!/proc/self/exe` as the container's command for one, could
//! overwrite the file once nobody runs it (CVE-2019-5736). A program executed through a read-only
//! mount of its own that is attached nowhere can be found that way, but never opened for writing.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::error::{Named, Result, retry};
use crate::fd;
use crate::mount::{self, Attributes, Change};
use crate::passed::Passed;

/// Opens a program so that nobody can write to it by way of its processes: execute it by this
/// descriptor ([`crate::process::execute_fd`]), any number of times.
///
/// Through a read-only mount where the caller may mount; a copy in memory otherwise, which is sealed
/// (fcntl(2), F_ADD_SEALS) and costs its size.
pub fn open_sealed(program: &Path) -> Result<OwnedFd> {
    mounted(program).or_else(|_| copied(program))
}

pub(crate) fn mounted(program: &Path) -> Result<OwnedFd> {
    let mounted = mount::bind(program, false)?;
    let change = Change {
        set: Attributes::READ_ONLY | Attributes::NO_SUID,
        ..Change::default()
    };
    mounted.change(change, false)?;
    Ok(mounted.into_fd())
}

/// What forbids every change for good.
const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::GROW)
    .union(SealFlags::SHRINK)
    .union(SealFlags::SEAL);

fn copied(program: &Path) -> Result<OwnedFd> {
    let from = fd::open_read(program)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A machine may have it that such files are executed only if they were made for it (Linux 6.3);
    // an older kernel does not know the flag and needs none.
    let made = rustix::fs::memfd_create("program", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("program", flags));
    let to = made.named("memfd_create")?;
    const AT_ONCE: usize = 1 << 30;
    while retry(|| rustix::fs::sendfile(&to, &from, None, AT_ONCE)).named("sendfile")? > 0 {}
    rustix::fs::fcntl_add_seals(&to, SEALS).named("fcntl")?;
    // Not the descriptor that was written by: a file that is open for writing is not executed.
    fd::open_read(&fd::proc_path(std::os::fd::AsFd::as_fd(&to)))
}

/// Keeps what [`open_sealed`] opened open in this program when it is executed from it, and names the
/// variable by which it is found then, as `NAME=value`. Closed, the mount is taken apart, and that waits
/// for an RCU grace period: for every processor that has something to do.
pub fn pass_on(sealed: OwnedFd) -> Result<String> {
    PASSED.pass_on(sealed, 0)
}

/// What this process has passed on to itself, once: to be closed when there is time. Before anything
/// else is executed: until then it would be inherited.
pub fn passed_on() -> Option<OwnedFd> {
    PASSED.take().map(|(sealed, _)| sealed)
}

static PASSED: Passed = Passed::new(VARIABLE);

/// The variable that tells of what was passed on. It is for this program alone, not for what it executes.
pub const VARIABLE: &str = "BRIG_SEALED";

/// Whether this process was executed from a place that cannot be written through it.
pub fn is_sealed() -> Result<bool> {
    let path = Path::new("/proc/self/exe");
    let me = fd::open_path(path)?;
    let place = rustix::fs::fstatfs(&me).named("fstatfs")?;
    let read_only = u64::try_from(place.f_flags).is_ok_and(|flags| flags & ST_RDONLY != 0);
    if read_only || u64::try_from(place.f_type) != Ok(TMPFS_MAGIC) {
        return Ok(read_only);
    }
    // A file in memory, perhaps: only those have seals, others answer that they have none.
    let seals = rustix::fs::fcntl_get_seals(fd::open_read(path)?);
    Ok(seals.is_ok_and(|seals| seals.contains(SEALS)))
}

/// linux/statfs.h, `f_flags` of statfs(2).
const ST_RDONLY: u64 = 1;

/// linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn a_sealed_program_runs_and_cannot_be_written() {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: sealing needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        // Not by this process: the child of another test would hold what is open for writing here.
        let copied = std::process::Command::new("cp")
            .arg("/bin/true")
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        let sealed = open_sealed(&program).unwrap();
        let path = fd::proc_path(sealed.as_fd());
        let write = std::fs::OpenOptions::new().write(true).open(&path);
        assert_eq!(
            write.unwrap_err().kind(),
            std::io::ErrorKind::ReadOnlyFilesystem
        );
        assert!(
            std::process::Command::new(&path)
                .arg0("true")
                .status()
                .unwrap()
                .success()
        );
    }

    /// As who may not mount.
    #[test]
    fn a_sealed_copy_runs_and_cannot_be_written() {
        let copy = copied(Path::new("/bin/true")).unwrap();
        let path = fd::proc_path(copy.as_fd());
        let wrote = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"#!"));
        assert_eq!(
            wrote.unwrap_err().kind(),
            std::io::ErrorKind::PermissionDenied
        );
        let status = std::process::Command::new(&path).arg0("true").status();
        assert!(status.unwrap().success());
    }
}
