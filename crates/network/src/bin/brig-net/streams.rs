//! Messages on a stream, each after its length in two bytes (RFC 1035, 4.2.2).

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use sys::event::Interest;
use sys::{Errno, Error, Result, socket};

/// Read at one time; a message is at most 64 KiB.
const PIECE: usize = 4096;

/// What waits to be sent may not become more than this.
const MOST_OUT: usize = 256 * 1024;

/// A stream of messages, both ways.
#[derive(Debug)]
pub(crate) struct Messages {
    fd: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    pub(crate) watched: Option<Interest>,
}

impl Messages {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            input: Vec::new(),
            output: Vec::new(),
            watched: None,
        }
    }

    /// What to be told of: who does not take what was said is not listened to.
    pub(crate) fn wants(&self) -> Interest {
        match self.output.is_empty() {
            true => Interest::READ,
            false => Interest::WRITE,
        }
    }

    /// Whether all has been said.
    pub(crate) fn is_quiet(&self) -> bool {
        self.output.is_empty()
    }

    /// Says a message, now or when there is room.
    pub(crate) fn say(&mut self, message: &[u8]) -> Result<()> {
        let too_long = Error {
            call: "sendmsg",
            errno: Errno::FBIG,
        };
        let length = u16::try_from(message.len()).map_err(|_| too_long)?;
        if self.output.len() > MOST_OUT {
            return Err(too_long);
        }
        self.output.extend(length.to_be_bytes());
        self.output.extend(message);
        Ok(())
    }

    /// Sends what there is room for.
    pub(crate) fn send(&mut self) -> Result<()> {
        while !self.output.is_empty() {
            let sent = socket::try_send_parts(&self.fd, &[IoSlice::new(&self.output)])?;
            if sent == 0 {
                return Ok(());
            }
            self.output.drain(..sent);
        }
        self.output = Vec::new();
        Ok(())
    }

    /// The next message, if it is there whole.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let length = self.input.first_chunk::<2>()?;
        let end = 2 + usize::from(u16::from_be_bytes(*length));
        let message = self.input.get(2..end)?.to_vec();
        self.input.drain(..end);
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        Some(message)
    }

    /// Reads a piece. False at the end.
    pub(crate) fn receive(&mut self) -> Result<bool> {
        self.input.reserve(PIECE);
        let read = socket::try_receive_bytes(&self.fd, &mut self.input)?;
        Ok(read != Some(0))
    }
}

impl AsFd for Messages {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
