//! A descriptor in the epoll set.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::event::{Interest, Poller};

/// What the event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A child has ended.
    Signals,
    /// Somebody connects.
    Listener,
    /// Somebody calls.
    Connection(u32),
    /// A process on its way into the container speaks.
    Joining(u32),
    /// A session's output or input.
    Pipe { session: u32, pipe: Pipe },
    /// A client of a session.
    Client { session: u32, client: u32 },
}

/// One of a session's own descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipe {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
    /// Standard input.
    Stdin,
}

/// Numbers of sessions and clients have this many bits: one a second lasts for eight years.
const BITS: u32 = 28;
const MASK: u64 = (1 << BITS) - 1;

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        let (kind, session, item) = match token {
            Token::Signals => (0, 0, 0),
            Token::Listener => (1, 0, 0),
            Token::Connection(number) => (2, 0, number),
            Token::Pipe {
                session,
                pipe: Pipe::Stdout,
            } => (3, session, 0),
            Token::Pipe {
                session,
                pipe: Pipe::Stderr,
            } => (3, session, 1),
            Token::Pipe {
                session,
                pipe: Pipe::Stdin,
            } => (3, session, 2),
            Token::Client { session, client } => (4, session, client),
            Token::Joining(number) => (5, 0, number),
        };
        kind << (2 * BITS) | (Self::from(session) & MASK) << BITS | Self::from(item) & MASK
    }
}

impl Token {
    /// The reverse; only what was made by the above comes back from the kernel.
    pub(crate) fn from_event(number: u64) -> Option<Self> {
        let part = |shift: u32| u32::try_from(number >> shift & MASK).unwrap_or_default();
        let (session, item) = (part(BITS), part(0));
        Some(match (number >> (2 * BITS), item) {
            (0, _) => Self::Signals,
            (1, _) => Self::Listener,
            (2, number) => Self::Connection(number),
            (3, 0) => Self::Pipe {
                session,
                pipe: Pipe::Stdout,
            },
            (3, 1) => Self::Pipe {
                session,
                pipe: Pipe::Stderr,
            },
            (3, 2) => Self::Pipe {
                session,
                pipe: Pipe::Stdin,
            },
            (4, client) => Self::Client { session, client },
            (5, number) => Self::Joining(number),
            _ => return None,
        })
    }
}

/// A descriptor, and what the epoll set is told about it.
#[derive(Debug)]
pub(crate) struct Source {
    fd: OwnedFd,
    token: Token,
    wanted: Option<Interest>,
}

impl Source {
    pub(crate) fn new(fd: OwnedFd, token: Token) -> Self {
        Self {
            fd,
            token,
            wanted: None,
        }
    }

    /// Sets what to be told of; `None` means not even of a hang-up.
    ///
    /// The set refuses only for want of memory or of watches. Then this descriptor stands still,
    /// and the container lives on.
    pub(crate) fn want(&mut self, poller: &Poller, wanted: Option<Interest>) {
        if wanted == self.wanted {
            return;
        }
        let token = self.token.into();
        let done = match (self.wanted, wanted) {
            (None, Some(interest)) => poller.add(&self.fd, token, interest),
            (Some(_), Some(interest)) => poller.modify(&self.fd, token, interest),
            (_, None) => poller.remove(&self.fd),
        };
        if done.is_ok() {
            self.wanted = wanted;
        }
    }

    /// The descriptor, out of the set.
    pub(crate) fn take(mut self, poller: &Poller) -> OwnedFd {
        self.want(poller, None);
        self.fd
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let tokens = [
            Token::Signals,
            Token::Listener,
            Token::Connection(7),
            Token::Joining(8),
            Token::Pipe {
                session: 3,
                pipe: Pipe::Stdin,
            },
            Token::Pipe {
                session: 0,
                pipe: Pipe::Stderr,
            },
            Token::Client {
                session: (1 << BITS) - 1,
                client: 42,
            },
        ];
        for token in tokens {
            assert_eq!(Token::from_event(token.into()), Some(token));
        }
    }
}
