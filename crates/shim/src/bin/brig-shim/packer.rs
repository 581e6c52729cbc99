//! Log files are packed by a process of their own: it takes its time, and a container that writes must
//! not wait for it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use shim::{log, protocol};
use sys::spawn::Spawn;

use crate::failure::Failure;

/// Begins to pack a file that was put aside. If that cannot be, it stays as it is.
pub(crate) fn begin(path: &Path) -> Option<OwnedFd> {
    let arguments = [
        "brig-shim".as_ref(),
        protocol::PACK.as_ref(),
        path.as_os_str(),
    ];
    let spawn = Spawn::new::<&OsStr>(Path::new("/proc/self/exe"), arguments).ok()?;
    Some(spawn.spawn().ok()?.pidfd)
}

/// The file that this process is there to pack, if it is.
pub(crate) fn asked() -> Option<PathBuf> {
    let mut arguments = std::env::args_os().skip(1);
    let packs = arguments.next()? == protocol::PACK;
    arguments.next().filter(|_| packs).map(PathBuf::from)
}

/// Packs it.
pub(crate) fn run(path: &Path) -> Result<(), Failure> {
    log::pack(path).map_err(Failure::of(format!("pack {path:?}")))
}
