//! Opening the gate.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::container::Container;
use crate::create::{Created, ended};
use crate::error::{Doing, Error};
use crate::protocol::{FromInit, MakerEnd, ToInit};

impl Created {
    /// Opens the gate and returns when the command has been executed, or says why it was not; then
    /// nothing is left of the container.
    pub fn start(self) -> Result<Container, Error> {
        let started = open(&self.channel, Some(self.container.pidfd()))
            .and_then(|()| self.container.run_poststart_hooks());
        match started {
            Ok(()) => Ok(self.container),
            Err(error) => {
                // The first error is the one that says why.
                let _ = self.container.kill_and_destroy();
                Err(error)
            }
        }
    }
}

/// Opens the gate of a container that another process created with [`crate::CreateRequest::gate`]:
/// connects to the socket at `path`, and returns when the command has been executed, or says why it
/// was not.
pub fn open_gate(path: &Path) -> Result<(), Error> {
    let connection = sys::socket::connect(path, sys::socket::Kind::Messages)
        .doing(|| format!("connect to the gate {}", path.display()))?;
    open(&MakerEnd::from_fd(connection), None)
}

fn open(channel: &MakerEnd, pidfd: Option<&OwnedFd>) -> Result<(), Error> {
    // The process may have ended meanwhile; what it said before is still to be read.
    let sent = channel.send(ToInit::Start);
    match (channel.receive()?, sent) {
        (None, Ok(())) => Ok(()),
        (Some((FromInit::Failed(failure), _)), _) => Err(failure.into()),
        (Some((answer, _)), _) => Err(Error::Protocol {
            answer: format!("{answer:?}"),
        }),
        (None, Err(error)) => Err(pidfd.map_or(error, ended)),
    }
}
