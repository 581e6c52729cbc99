//! Where the master of a terminal goes: to whoever asked for it by `--console-socket`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::failure::{Failure, OnFile};

/// Sends the master to a listening stream socket, as runc does: one message, the descriptor beside
/// it.
pub(crate) fn send(socket: &Path, master: &OwnedFd) -> Result<(), Failure> {
    let connection = sys::socket::connect(socket, sys::socket::Kind::Stream);
    let connection = connection.on_file("connect to", socket)?;
    sys::socket::send(connection, b"/dev/ptmx", &[master.as_fd()]).on_file("write to", socket)
}
