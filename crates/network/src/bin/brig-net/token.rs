//! What an event is about.

use network::proxy::Side;
use std::os::fd::AsFd;
use sys::event::Interest;
use sys::event::Poller;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// Somebody connects.
    Listener,
    /// Somebody calls.
    Caller(u32),
    /// The keeper's directory is gone.
    Directory,
    /// The host's resolvers may be others.
    Host,
    /// Somebody has changed nftables.
    Rules,
    /// Questions by datagram.
    Datagrams(u32),
    /// Questions by stream: somebody connects.
    Streams(u32),
    /// A container's process has ended.
    Process(u32),
    /// Questions by stream.
    Stream(u32),
    /// An upstream says something.
    Upstream {
        /// The question's number.
        question: u32,
        /// Which attempt at it.
        attempt: u16,
    },
    /// Somebody connects, or sends, to a port.
    Port(u32),
    /// One side of a connection that is passed on.
    Passed(u32, Side),
    /// The target of datagrams that are passed on.
    Session {
        /// The number of its port.
        port: u32,
        /// Its own, cut off: the rest of it is a matter of a million sessions ago.
        session: u32,
    },
}

/// Bits of the second number.
const BITS: u32 = 24;
const MASK: u32 = (1 << BITS) - 1;

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        let (kind, first, second) = match token {
            Token::Listener => (0, 0, 0),
            Token::Caller(number) => (1, number, 0),
            Token::Directory => (2, 0, 0),
            Token::Host => (3, 0, 0),
            Token::Rules => (4, 0, 0),
            Token::Datagrams(number) => (5, number, 0),
            Token::Streams(number) => (6, number, 0),
            Token::Process(number) => (7, number, 0),
            Token::Stream(number) => (8, number, 0),
            Token::Upstream { question, attempt } => (9, question, attempt.into()),
            Token::Port(number) => (10, number, 0),
            Token::Passed(number, Side::Client) => (11, number, 0),
            Token::Passed(number, Side::Target) => (11, number, 1),
            Token::Session { port, session } => (12, port, session & MASK),
        };
        kind << 56 | Self::from(first) << BITS | Self::from(second)
    }
}

impl Token {
    /// The reverse; only what was made by the above comes back from the kernel.
    pub(crate) fn from_event(number: u64) -> Option<Self> {
        let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
        let first = low(number >> BITS);
        let second = low(number) & MASK;
        Some(match number >> 56 {
            0 => Self::Listener,
            1 => Self::Caller(first),
            2 => Self::Directory,
            3 => Self::Host,
            4 => Self::Rules,
            5 => Self::Datagrams(first),
            6 => Self::Streams(first),
            7 => Self::Process(first),
            8 => Self::Stream(first),
            9 => Self::Upstream {
                question: first,
                attempt: u16::try_from(second).ok()?,
            },
            10 => Self::Port(first),
            11 if second == 0 => Self::Passed(first, Side::Client),
            11 => Self::Passed(first, Side::Target),
            12 => Self::Session {
                port: first,
                session: second,
            },
            _ => return None,
        })
    }
}

/// Sets what to be told of a descriptor; `None` means not even of a hang-up. `before` is what was set.
///
/// The set refuses only for want of memory or of watches. Then this descriptor stands still.
pub(crate) fn watch(
    poller: &Poller,
    fd: impl AsFd,
    token: Token,
    before: &mut Option<Interest>,
    wanted: Option<Interest>,
) {
    if *before == wanted {
        return;
    }
    let done = match (*before, wanted) {
        (None, Some(interest)) => poller.add(fd, token.into(), interest),
        (Some(_), Some(interest)) => poller.modify(fd, token.into(), interest),
        (_, None) => poller.remove(fd),
    };
    if done.is_ok() {
        *before = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let tokens = [
            Token::Listener,
            Token::Caller(u32::MAX),
            Token::Rules,
            Token::Process(7),
            Token::Upstream {
                question: u32::MAX,
                attempt: 5,
            },
            Token::Passed(u32::MAX, Side::Client),
            Token::Passed(3, Side::Target),
            Token::Session {
                port: 9,
                session: MASK,
            },
        ];
        for token in tokens {
            assert_eq!(Token::from_event(token.into()), Some(token));
        }
    }
}
