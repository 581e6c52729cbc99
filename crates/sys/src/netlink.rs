//! Netlink (netlink(7)): messages built and read, requests sent in batches, dumps, news listened to.
//!
//! What the kernel adds to its answers is passed over: nothing here wants to know every attribute.
#![allow(
    unsafe_code,
    reason = "the options of netlink sockets have no safe wrapper"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::error::{self, Errno, Named, check, retry};
use crate::ns;

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that the kernel refused, or that could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {errno}{}", reason(.text))]
pub struct Error {
    /// The call's name; `netlink` when the answer was an error.
    pub call: &'static str,
    /// Why.
    pub errno: Errno,
    /// What the kernel says about it in words, when it does (NLMSGERR_ATTR_MSG).
    pub text: Option<String>,
    /// Which message of the batch it was, from 0.
    pub index: usize,
}

fn reason(text: &Option<String>) -> String {
    text.as_ref()
        .map_or_else(String::new, |text| format!(" ({text})"))
}

impl From<error::Error> for Error {
    fn from(error: error::Error) -> Self {
        Self {
            call: error.call,
            errno: error.errno,
            text: None,
            index: 0,
        }
    }
}

fn malformed() -> Error {
    Error {
        call: "netlink",
        errno: Errno::INVAL,
        text: None,
        index: 0,
    }
}

/// Whom a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes (rtnetlink(7)).
    Route,
    /// nf_tables and conntrack.
    Netfilter,
}

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Flags of a request (netlink(7)).
pub mod flag {
    /// It is a request; set by [`Message::new`](super::Message::new).
    pub const REQUEST: u16 = 0x001;
    /// It is to be acknowledged; set by what sends.
    pub const ACK: u16 = 0x004;
    /// Everything of a kind is asked for.
    pub const DUMP: u16 = 0x300;
    /// What is there is replaced.
    pub const REPLACE: u16 = 0x100;
    /// What is there already is an error.
    pub const EXCLUSIVE: u16 = 0x200;
    /// What is not there is made.
    pub const CREATE: u16 = 0x400;
    /// At the end of the list.
    pub const APPEND: u16 = 0x800;
    /// In an answer: the list changed while it was read.
    pub(super) const INTERRUPTED: u16 = 0x010;
    /// In an error: attributes follow.
    pub(super) const ACK_ATTRIBUTES: u16 = 0x200;
    /// In an error: the request is not repeated in full.
    pub(super) const CAPPED: u16 = 0x100;
}

/// Set in the kind of an attribute that holds others.
const NESTED: u16 = 0x8000;
/// The two highest bits of an attribute's kind are marks.
const KIND: u16 = 0x3fff;

/// A message being built.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    /// An attribute was longer than its length can say.
    too_long: bool,
    /// An answer that is as good as none.
    spared: Option<Errno>,
}

impl Message {
    /// Of this kind, with these flags and REQUEST, and this fixed part.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flag::REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        bytes.resize(padded(bytes.len()), 0);
        Self {
            bytes,
            too_long: false,
            spared: None,
        }
    }

    /// An answer that is this error counts as success: what was asked for holds without being done.
    #[must_use]
    pub fn sparing(mut self, errno: Errno) -> Self {
        self.spared = Some(errno);
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    /// Adds an attribute that holds others.
    #[must_use]
    pub fn with_nested(mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> Self {
        self.nest(kind, fill);
        self
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        // A length that wraps would have the bytes read as other attributes (CVE-2021-43784).
        let Ok(length) = u16::try_from(4 + value.len()) else {
            self.too_long = true;
            return;
        };
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(padded(self.bytes.len()), 0);
    }

    /// Adds a text with its NUL.
    pub fn put_text(&mut self, kind: u16, text: &str) {
        self.put(kind, &[text.as_bytes(), b"\0"].concat());
    }

    /// Adds a number in the machine's byte order.
    pub fn put_u32(&mut self, kind: u16, number: u32) {
        self.put(kind, &number.to_ne_bytes());
    }

    /// Adds a number in the network's byte order, as nf_tables wants all of them.
    pub fn put_be32(&mut self, kind: u16, number: u32) {
        self.put(kind, &number.to_be_bytes());
    }

    /// Adds an attribute that holds others.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.nest_after(kind, &[], fill);
    }

    /// The same, with a fixed part before the others.
    pub fn nest_after(&mut self, kind: u16, fixed: &[u8], fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.put(kind | NESTED, fixed);
        fill(self);
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => {
                if let Some(place) = self.bytes.get_mut(start..start + 2) {
                    place.copy_from_slice(&length.to_ne_bytes());
                }
            }
            Err(_) => self.too_long = true,
        }
    }

    /// Adds bytes as they are: attributes encoded before.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(padded(self.bytes.len()), 0);
    }

    /// How many bytes it has by now.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    fn finish(mut self, sequence: u32, more_flags: u16) -> Result<Vec<u8>> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| malformed())?;
        if self.too_long {
            return Err(malformed());
        }
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | more_flags;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(self.bytes)
    }
}

/// A message that came.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its kind.
    pub kind: u16,
    /// Port of the socket whose request it is about; 0 is the kernel.
    pub port: u32,
    /// Fixed part and attributes.
    pub body: &'a [u8],
    flags: u16,
    sequence: u32,
}

/// Attributes of a message or of an attribute that holds others.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Those behind a fixed part of this many bytes.
    pub fn after(body: &'a [u8], fixed: usize) -> Self {
        Self(body.get(padded(fixed)..).unwrap_or_default())
    }

    /// The value of the first one of this kind.
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter()
            .find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// Those in the first one of this kind; none if it is not there.
    pub fn inner(self, kind: u16) -> Self {
        Self(self.get(kind).unwrap_or_default())
    }

    /// Its text up to the NUL.
    pub fn text(self, kind: u16) -> Option<String> {
        let value = self.get(kind)?;
        let end = value.iter().position(|byte| *byte == 0);
        let text = value.get(..end.unwrap_or(value.len()))?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Its number, in the machine's byte order.
    pub fn number(self, kind: u16) -> Option<u32> {
        let value = self.get(kind)?.first_chunk()?;
        Some(u32::from_ne_bytes(*value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head: [u8; 4] = *self.0.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(padded(length)..).unwrap_or_default();
        Some((u16::from_ne_bytes([head[2], head[3]]) & KIND, value))
    }
}

/// A socket of one network namespace.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

/// Tries of a dump that is interrupted by changes.
const DUMP_TRIES: usize = 20;
/// Bytes the kernel may send at once.
const BUFFER: usize = 64 << 10;

impl Socket {
    /// In the calling thread's namespace.
    pub fn open(family: Family) -> Result<Self> {
        Self::new(family, SocketFlags::empty())
    }

    /// In another namespace, which the calling thread enters for a moment.
    pub fn open_in(namespace: impl AsFd, family: Family) -> Result<Self> {
        ns::within(namespace, || Self::open(family))?
    }

    /// Non-blocking, in the calling thread's namespace, and hears of what happens in these groups
    /// (RTNLGRP_*, NFNLGRP_*).
    pub fn listen(family: Family, groups: &[u32]) -> Result<Self> {
        let socket = Self::new(family, SocketFlags::NONBLOCK)?;
        // A socket without a number is passed over as if the news were of its own doing.
        socket.port()?;
        for group in groups {
            socket.set(libc::NETLINK_ADD_MEMBERSHIP, *group)?;
        }
        Ok(socket)
    }

    fn new(family: Family, flags: SocketFlags) -> Result<Self> {
        let protocol = match family {
            // Protocol 0.
            Family::Route => None,
            Family::Netfilter => Some(rustix::net::netlink::NETFILTER),
        };
        let flags = flags | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .named("socket")?;
        let socket = Self {
            fd,
            sequence: 0,
            buffer: Vec::new(),
        };
        // Old kernels know no answers in words (4.12): they are done without.
        let _ = socket.set(libc::NETLINK_EXT_ACK, 1);
        let _ = socket.set(libc::NETLINK_CAP_ACK, 1);
        Ok(socket)
    }

    fn set(&self, option: i32, value: u32) -> Result<()> {
        // SAFETY: the options of SOL_NETLINK used here read one int, which lives across the call and whose
        // size is given.
        let answer = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                option,
                (&raw const value).cast(),
                4,
            )
        };
        Ok(check("setsockopt", answer.into()).map(drop)?)
    }

    /// The number by which the kernel knows this socket, in the messages about what it asked for.
    pub fn port(&self) -> Result<u32> {
        if rustix::net::getsockname(&self.fd).is_ok_and(|address| {
            SocketAddrNetlink::try_from(address).is_ok_and(|address| address.pid() == 0)
        }) {
            // The kernel gives a number at the first message or here.
            rustix::net::bind(&self.fd, &SocketAddrNetlink::new(0, 0)).named("bind")?;
        }
        let address = rustix::net::getsockname(&self.fd).named("getsockname")?;
        let address = SocketAddrNetlink::try_from(address).named("getsockname")?;
        Ok(address.pid())
    }

    /// Sends messages all at once and waits until the kernel has done them or refused one. Of those
    /// to nf_tables either all or none is done; of others those before the one refused are, and those
    /// behind it may be.
    pub fn run(&mut self, messages: Vec<Message>) -> Result<()> {
        let Some(last) = messages.len().checked_sub(1) else {
            return Ok(());
        };
        self.run_acknowledged(messages, last)
    }

    /// The same, where `last` is the one whose acknowledgement ends the wait: errors of any come, but what
    /// closes a batch of nf_tables is not acknowledged by every kernel.
    pub fn run_acknowledged(&mut self, messages: Vec<Message>, last: usize) -> Result<()> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(messages.iter().map(Message::size).sum());
        let mut spared = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            spared.extend(message.spared.map(|errno| (index, errno)));
            self.sequence = self.sequence.wrapping_add(1);
            let ack = if index == last { flag::ACK } else { 0 };
            bytes.extend(message.finish(self.sequence, ack)?);
        }
        self.send(&bytes)?;
        loop {
            let mut end = None;
            self.receive(|message| {
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind == ERROR && index <= last && end.is_none() {
                    let answer = match answered(&message, index) {
                        Err(error) if spared.contains(&(index, error.errno)) => Ok(()),
                        answer => answer,
                    };
                    match answer {
                        Ok(()) if index < last => {}
                        answer => end = Some(answer),
                    }
                }
            })?;
            if let Some(answer) = end {
                return answer;
            }
        }
    }

    /// Sends one message and gives its answer's kind and body to `take`.
    pub fn ask<T>(
        &mut self,
        message: Message,
        mut take: impl FnMut(&Received<'_>) -> T,
    ) -> Result<T> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        self.send(&message.finish(sequence, 0)?)?;
        loop {
            let mut end = None;
            self.receive(|message| {
                if message.sequence == sequence && end.is_none() {
                    end = Some(match message.kind {
                        ERROR => Err(answered(&message, 0).err().unwrap_or_else(malformed)),
                        _ => Ok(take(&message)),
                    });
                }
            })?;
            if let Some(answer) = end {
                return answer;
            }
        }
    }

    /// Asks for everything of a kind. What was read while it changed is read again.
    pub fn dump<T>(
        &mut self,
        message: &Message,
        mut read: impl FnMut(&Received<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 1..DUMP_TRIES {
            if let (found, false) = self.dump_once(message.clone(), &mut read)? {
                return Ok(found);
            }
        }
        // Something changes all the time; what is read is good for as long as anything is.
        Ok(self.dump_once(message.clone(), &mut read)?.0)
    }

    /// What was found, and whether it changed meanwhile.
    fn dump_once<T>(
        &mut self,
        message: Message,
        read: &mut impl FnMut(&Received<'_>) -> Option<T>,
    ) -> Result<(Vec<T>, bool)> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        self.send(&message.finish(sequence, flag::DUMP)?)?;
        let (mut found, mut interrupted, mut end) = (Vec::new(), false, None);
        while end.is_none() {
            self.receive(|message| {
                if message.sequence != sequence {
                    return;
                }
                interrupted |= message.flags & flag::INTERRUPTED != 0;
                match message.kind {
                    ERROR | DONE => end = Some(answered(&message, 0)),
                    _ => found.extend(read(&message)),
                }
            })?;
        }
        match end {
            // nf_tables says so with an errno when the list changed.
            Some(Err(error)) if error.errno == Errno::INTR => Ok((found, true)),
            Some(Err(error)) => Err(error),
            _ => Ok((found, interrupted)),
        }
    }

    /// Reads all the news that have come, for a socket that listens. Whether some were lost, because nobody
    /// read them in time.
    pub fn news(&mut self, mut take: impl FnMut(&Received<'_>)) -> Result<bool> {
        let mut lost = false;
        loop {
            match self.receive(|message| take(&message)) {
                Ok(()) => {}
                Err(error) if error.errno == Errno::AGAIN => return Ok(lost),
                Err(error) if error.errno == Errno(libc::ENOBUFS) => lost = true,
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > 128 << 10 {
            // The default limit is about 200 KiB, bookkeeping included.
            let _ = sockopt::set_socket_send_buffer_size_force(&self.fd, bytes.len() * 2);
            let _ = sockopt::set_socket_recv_buffer_size_force(&self.fd, 1 << 20);
        }
        retry(|| rustix::net::send(&self.fd, bytes, SendFlags::empty())).named("send")?;
        Ok(())
    }

    /// Takes one datagram, which holds one message or several.
    fn receive(&mut self, mut take: impl FnMut(Received<'_>)) -> Result<()> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        let buffer = &mut self.buffer[..];
        let (length, _) = retry(|| rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::empty()))
            .named("recv")?;
        let mut rest = self.buffer.get(..length).ok_or_else(malformed)?;
        while let Some((message, after)) = split(rest) {
            rest = after;
            take(message);
        }
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `struct nlmsgerr`, or the number a dump ends with: a negative errno, or zero for an acknowledgement.
fn answered(message: &Received<'_>, index: usize) -> Result<()> {
    let code = message.body.first_chunk();
    let code = code.map_or(0, |code| i32::from_ne_bytes(*code));
    if code >= 0 {
        return Ok(());
    }
    Err(Error {
        call: "netlink",
        errno: Errno(code.saturating_neg()),
        text: words(message),
        index,
    })
}

/// What an error says in words.
fn words(message: &Received<'_>) -> Option<String> {
    const TEXT: u16 = 1;
    if message.flags & flag::ACK_ATTRIBUTES == 0 {
        return None;
    }
    let fixed = match message.kind {
        DONE => 4,
        _ if message.flags & flag::CAPPED != 0 => 4 + HEADER,
        _ => 4 + number(message.body.get(4..8)?) as usize,
    };
    Attributes::after(message.body, fixed).text(TEXT)
}

/// The first message of a datagram, which has a whole header, and the rest.
fn split(bytes: &[u8]) -> Option<(Received<'_>, &[u8])> {
    let length = number(bytes.get(..4)?) as usize;
    let message = bytes.get(..length).filter(|whole| whole.len() >= HEADER)?;
    let received = Received {
        kind: u16::from_ne_bytes([message[4], message[5]]),
        flags: u16::from_ne_bytes([message[6], message[7]]),
        sequence: number(&message[8..12]),
        port: number(&message[12..16]),
        body: &message[HEADER..],
    };
    Some((received, bytes.get(padded(length)..).unwrap_or_default()))
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_nested_and_bounded() {
        let message = Message::new(16, flag::CREATE, &[7; 3])
            .with(3, b"ab\0")
            .with_nested(18, |inner| inner.put_u32(1, 5));
        let bytes = message.finish(9, flag::ACK).unwrap();
        let (received, rest) = split(&bytes).unwrap();
        assert_eq!((received.kind, received.sequence), (16, 9));
        assert_eq!(received.flags, 0x405);
        assert!(rest.is_empty());
        let attributes = Attributes::after(received.body, 3);
        assert_eq!(attributes.text(3).as_deref(), Some("ab"));
        assert_eq!(attributes.inner(18).number(1), Some(5));
        assert_eq!(attributes.count(), 2);
        let too_long = Message::new(16, 0, &[]).with(3, &vec![0; 1 << 16]);
        assert_eq!(too_long.finish(1, 0).unwrap_err().errno, Errno::INVAL);
    }

    #[test]
    fn nonsense_is_not_read_past_its_end() {
        for bytes in [&[][..], &[1, 2, 3], &[255; 15], &[20, 0, 0, 0, 1]] {
            assert!(split(bytes).is_none());
            assert_eq!(Attributes::after(bytes, 0).count(), 0);
        }
        let short = [16, 0, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        let (received, _) = split(&short).unwrap();
        assert_eq!(answered(&received, 0), Ok(()));
        assert_eq!(words(&received), None);
    }

    #[test]
    fn a_refusal_names_the_message_and_the_reason() {
        if !crate::term::is_root() {
            error::skip("SKIP: a network namespace needs root");
            return;
        }
        let thread = std::thread::spawn(|| {
            ns::unshare(ns::Namespaces::NETWORK).unwrap();
            let mut socket = Socket::open(Family::Route).unwrap();
            let up = |index: u32| {
                let mut fixed = [0; 16];
                fixed[4..8].copy_from_slice(&index.to_ne_bytes());
                Message::new(16, 0, &fixed)
            };
            socket.run(vec![up(1), up(1)]).unwrap();
            let error = socket.run(vec![up(1), up(77), up(1)]).unwrap_err();
            assert_eq!((error.errno.0, error.index), (libc::ENODEV, 1));
            // What came late for the batch before is not taken for an answer of this one.
            socket.run(vec![up(1)]).unwrap();
            let bad = Message::new(16, flag::CREATE, &[0; 16]).with(3, &[b'x'; 40]);
            let error = socket.run(vec![bad]).unwrap_err();
            assert!(error.text.is_some(), "{error}");
            assert!(socket.port().unwrap() != 0);
            let dump = Message::new(18, 0, &[0; 16]);
            let names = socket.dump(&dump, |link| Attributes::after(link.body, 16).text(3));
            assert_eq!(names.unwrap(), ["lo"]);
        });
        thread.join().unwrap();
    }
}
