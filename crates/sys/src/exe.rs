//! A program's file made unwritable through its processes.
//!
//! A process that enters a container before it executes the container's program is seen there by
//! /proc/PID/exe, which leads to the host's file whatever is mounted in the container. Somebody
//! inside who gets hold of it, by `#!/proc/self/exe` as the container's command for one, could
//! overwrite the file once nobody runs it (CVE-2019-5736). A program executed through a read-only
//! mount of its own that is attached nowhere can be found that way, but never opened for writing.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use crate::error::{Named, Result};
use crate::mount::{self, Attributes, Change};

/// Opens a program through a read-only mount: execute it by this descriptor
/// ([`crate::process::execute_fd`]). One descriptor serves any number of executions.
pub fn open_sealed(program: &Path) -> Result<OwnedFd> {
    let mounted = mount::bind(program, false)?;
    let change = Change {
        set: Attributes::READ_ONLY | Attributes::NO_SUID,
        ..Change::default()
    };
    mounted.change(change, false)?;
    Ok(mounted.into_fd())
}

/// Whether this process was executed from a place that cannot be written through it.
pub fn is_sealed() -> Result<bool> {
    let me = crate::fd::open_path(Path::new("/proc/self/exe"))?;
    let vfs = rustix::fs::fstatvfs(&me).named("fstatvfs")?;
    Ok(vfs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

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
        std::fs::copy("/bin/true", &program).unwrap();
        let sealed = open_sealed(&program).unwrap();
        let path = crate::fd::proc_path(sealed.as_fd());
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
}
