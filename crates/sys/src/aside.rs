//! A descriptor that copies of this process are not to inherit.
//!
//! What is closed by the last who holds it is at times expensive, and whoever makes a copy of itself
//! cannot know who will be the last. A descriptor on its way through a socket is in nobody's table.
//!
//! What nobody takes back is not closed by this process either: the socket is on the same way through
//! itself, so that whoever closes it leaves both to the kernel, which finds by itself that nobody can
//! ask for them (unix(7), "Ancillary messages"), since Linux 6.10 beside everything else.

use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Errno, Error, Result};
use crate::socket::{self, Kind};

/// Holds a descriptor for this process; copies made meanwhile have only this socket.
#[derive(Debug)]
pub struct Aside {
    receiver: OwnedFd,
    /// Not closed before: each socket that is has the kernel look for what nobody can ask for.
    _sender: OwnedFd,
}

impl Aside {
    /// Puts `fd` aside. If that fails it is closed.
    pub fn put(fd: OwnedFd) -> Result<Self> {
        let (receiver, sender) = socket::pair(Kind::Messages)?;
        socket::send(&sender, b"\n", &[receiver.as_fd(), fd.as_fd()])?;
        Ok(Self {
            receiver,
            _sender: sender,
        })
    }

    /// Takes it back, the last of what came along. A copy must not: it would take it from the one who
    /// has put it aside.
    pub fn take(self) -> Result<OwnedFd> {
        let message = socket::receive(&self.receiver)?;
        let fd = message.and_then(|mut message| message.fds.pop());
        fd.ok_or(Error {
            call: "recvmsg",
            errno: Errno::SRCH,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_was_put_aside_is_taken_back() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let aside = Aside::put(writer.into()).unwrap();
        let mut writer = std::fs::File::from(aside.take().unwrap());
        writer.write_all(b"there").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "there");
    }

    #[test]
    fn what_nobody_takes_back_is_closed() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        drop(Aside::put(writer.into()).unwrap());
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}
