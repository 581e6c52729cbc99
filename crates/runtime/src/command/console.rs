//! Where descriptors go that the caller wants: the master of a terminal (`--console-socket`) and the
//! process (`--pidfd-socket`).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::failure::{Failure, OnFile};

/// Sends the master to a listening stream socket, as runc does: one message, the descriptor beside
/// it.
pub(crate) fn send(socket: &Path, master: &OwnedFd) -> Result<(), Failure> {
    send_named(socket, b"/dev/ptmx", master)
}

/// Sends a process in the same way.
pub(crate) fn send_process(socket: &Path, pidfd: &OwnedFd) -> Result<(), Failure> {
    send_named(socket, b"pidfd", pidfd)
}

fn send_named(socket: &Path, name: &[u8], fd: &OwnedFd) -> Result<(), Failure> {
    let connection = sys::socket::connect(socket, sys::socket::Kind::Stream);
    let connection = connection.on_file("connect to", socket)?;
    sys::socket::send(connection, name, &[fd.as_fd()]).on_file("write to", socket)
}

/// Whether the flags fit what the process wants. What is said holds the words of runc.
pub(crate) fn check(detached: bool, terminal: bool, socket: Option<&Path>) -> Result<(), Failure> {
    let refused = |reason: &str| Err(Failure::Usage(reason.to_owned()));
    match (detached, terminal, socket) {
        (true, true, None) => refused(
            "cannot allocate tty if runc will detach without setting console socket: \
             --console-socket must say where the terminal is to go",
        ),
        (false, _, Some(_)) | (_, false, Some(_)) => refused(
            "cannot use console socket if runc will not detach or allocate tty: \
             --console-socket is for a terminal of a process that is left alone",
        ),
        _ => Ok(()),
    }
}
