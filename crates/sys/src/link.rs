//! Network devices (rtnetlink(7)): found, moved to another network namespace, given addresses.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::error::{Errno, Error, Named, Result, retry};
use crate::ns::{self, Namespaces};

/// A connection to the routing part of a network namespace.
#[derive(Debug)]
pub struct Links {
    socket: OwnedFd,
    sequence: u32,
}

/// A device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number, in its namespace.
    pub index: u32,
}

/// An address of a device, in the kernel's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    family: u8,
    prefix: u8,
    /// Type and bytes.
    attributes: Vec<(u16, Vec<u8>)>,
}

const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;

const MESSAGE_ERROR: u16 = 2;
const MESSAGE_DONE: u16 = 3;

const REQUEST: u16 = 0x001;
const ACKNOWLEDGE: u16 = 0x004;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// Bytes of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;

const ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
const ADDRESS_BROADCAST: u16 = 4;
const ADDRESS_FLAGS: u16 = 8;

/// The address is there until somebody removes it.
const PERMANENT: u32 = 0x80;
const UNIVERSE: u8 = 0;
const UP: u32 = 1;

/// Longest name of a device, without the NUL.
pub const LONGEST_NAME: usize = libc::IFNAMSIZ - 1;

impl Links {
    /// Of the calling thread's namespace.
    pub fn open() -> Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // NETLINK_ROUTE is protocol 0.
            None,
        );
        Ok(Self {
            socket: socket.named("socket")?,
            sequence: 0,
        })
    }

    /// Of another namespace, which the calling thread enters for a moment.
    pub fn open_in(namespace: impl AsFd) -> Result<Self> {
        let own = ns::open_own(Namespaces::NETWORK)?;
        ns::enter(namespace, Namespaces::NETWORK)?;
        let opened = Self::open();
        ns::enter(own, Namespaces::NETWORK)?;
        opened
    }

    /// The device of this name; ENODEV if there is none.
    pub fn find(&mut self, name: &str) -> Result<Link> {
        let mut message = link_header(0, 0, 0);
        attribute(&mut message, LINK_NAME, &terminated(name))?;
        let answers = self.ask(GETLINK, 0, &message)?;
        let answer = answers.first().ok_or(MALFORMED)?;
        let index = answer.get(4..8).ok_or(MALFORMED)?;
        Ok(Link {
            index: number(index),
        })
    }

    /// Its addresses that are its own wherever it is: permanent ones that are valid everywhere.
    pub fn lasting_addresses(&mut self, link: Link) -> Result<Vec<Address>> {
        let answers = self.ask(GETADDR, DUMP, &[0; ADDRESS_HEADER])?;
        Ok(answers
            .iter()
            .filter_map(|answer| lasting(answer, link))
            .collect())
    }

    /// Takes the device down and moves it to another namespace, under this name there.
    pub fn move_to(&mut self, link: Link, namespace: impl AsFd, name: &str) -> Result<()> {
        self.ask(NEWLINK, ACKNOWLEDGE, &link_header(link.index, 0, UP))?;
        let mut message = link_header(link.index, 0, 0);
        let fd = namespace.as_fd().as_raw_fd();
        attribute(&mut message, LINK_NAMESPACE, &fd.to_ne_bytes())?;
        attribute(&mut message, LINK_NAME, &terminated(name))?;
        self.ask(NEWLINK, ACKNOWLEDGE, &message).map(drop)
    }

    /// Brings it up.
    pub fn bring_up(&mut self, link: Link) -> Result<()> {
        let message = link_header(link.index, UP, UP);
        self.ask(NEWLINK, ACKNOWLEDGE, &message).map(drop)
    }

    /// Gives it an address. One that it has is no error.
    pub fn add_address(&mut self, link: Link, address: &Address) -> Result<()> {
        let mut message = vec![address.family, address.prefix, 0, UNIVERSE];
        message.extend(link.index.to_ne_bytes());
        for (kind, bytes) in &address.attributes {
            attribute(&mut message, *kind, bytes)?;
        }
        match self.ask(NEWADDR, ACKNOWLEDGE | CREATE | EXCLUSIVE, &message) {
            Err(error) if error.errno == Errno::EXIST => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Sends one request and gathers the bodies of what comes back.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.sequence += 1;
        let length = u32::try_from(HEADER + body.len()).map_err(|_| MALFORMED)?;
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST | flags).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(body);
        retry(|| rustix::net::send(&self.socket, &message, SendFlags::empty())).named("send")?;
        self.hear(flags & DUMP == DUMP)
    }

    fn hear(&self, dump: bool) -> Result<Vec<Vec<u8>>> {
        let mut bodies = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (length, _) =
                retry(|| rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty()))
                    .named("recv")?;
            let mut rest = buffer.get(..length).ok_or(MALFORMED)?;
            while let Some((message, after)) = split(rest) {
                rest = after;
                if number(&message[8..12]) != self.sequence {
                    continue;
                }
                let body = &message[HEADER..];
                match u16::from_ne_bytes([message[4], message[5]]) {
                    MESSAGE_DONE => return Ok(bodies),
                    MESSAGE_ERROR => return answered(body).map(|()| bodies),
                    _ => bodies.push(body.to_vec()),
                }
            }
            if !dump && !bodies.is_empty() {
                return Ok(bodies);
            }
        }
    }
}

const MALFORMED: Error = Error {
    call: "netlink",
    errno: Errno::INVAL,
};

/// `struct nlmsgerr`: a negative errno, or zero for an acknowledgement.
fn answered(body: &[u8]) -> Result<()> {
    let code = body.first_chunk().ok_or(MALFORMED)?;
    match i32::from_ne_bytes(*code) {
        0 => Ok(()),
        code => Err(Error {
            call: "netlink",
            errno: Errno(code.saturating_neg()),
        }),
    }
}

/// The first message of a datagram, which has a whole header, and the rest.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(number(bytes.get(..4)?)).ok()?;
    let message = bytes.get(..length).filter(|m| m.len() >= HEADER)?;
    Some((message, bytes.get(padded(length)..).unwrap_or_default()))
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// Refused when its length does not fit: a length that wraps would have the bytes read as other
/// attributes (CVE-2021-43784).
fn attribute(message: &mut Vec<u8>, kind: u16, bytes: &[u8]) -> Result<()> {
    let length = u16::try_from(4 + bytes.len()).map_err(|_| MALFORMED)?;
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(bytes);
    message.resize(padded(message.len()), 0);
    Ok(())
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

/// An answer to a request for addresses, if it is of this device and lasts.
fn lasting(answer: &[u8], link: Link) -> Option<Address> {
    let (header, mut rest) = answer.split_at_checked(ADDRESS_HEADER)?;
    if number(&header[4..8]) != link.index || header[3] != UNIVERSE {
        return None;
    }
    let mut flags = u32::from(header[2]);
    let mut attributes = Vec::new();
    while let Some((kind, bytes)) = next_attribute(&mut rest) {
        match kind {
            ADDRESS_FLAGS => flags = number(bytes),
            ADDRESS | ADDRESS_LOCAL | ADDRESS_BROADCAST => {
                attributes.push((kind, bytes.to_vec()));
            }
            _ => {}
        }
    }
    (flags & PERMANENT != 0).then_some(Address {
        family: header[0],
        prefix: header[1],
        attributes,
    })
}

fn next_attribute<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let head: [u8; 4] = *rest.first_chunk()?;
    let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
    let bytes = rest.get(4..length)?;
    *rest = rest.get(padded(length)..).unwrap_or_default();
    // The two highest bits are marks.
    Some((u16::from_ne_bytes([head[2], head[3]]) & 0x3fff, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_bounded() {
        let mut message = Vec::new();
        attribute(&mut message, 3, b"ab\0").unwrap();
        assert_eq!(message.len(), 8);
        assert!(attribute(&mut message, 3, &vec![0; 1 << 16]).is_err());
        let mut rest = &message[..];
        assert_eq!(next_attribute(&mut rest), Some((3, &b"ab\0"[..])));
        assert_eq!(next_attribute(&mut rest), None);
    }

    #[test]
    fn nonsense_is_not_read_past_its_end() {
        for bytes in [&[][..], &[1, 2, 3], &[255; 15], &[20, 0, 0, 0, 1]] {
            assert!(split(bytes).is_none());
            assert!(lasting(bytes, Link { index: 1 }).is_none());
            assert!(next_attribute(&mut { bytes }).is_none());
        }
    }

    #[test]
    fn the_loopback_device_is_found() {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: a network namespace needs root");
            return;
        }
        let thread = std::thread::spawn(|| {
            ns::unshare(Namespaces::NETWORK).unwrap();
            let mut links = Links::open().unwrap();
            let lo = links.find("lo").unwrap();
            assert_eq!(lo, Link { index: 1 });
            assert_eq!(links.find("none").unwrap_err().errno, Errno(libc::ENODEV));
            links.bring_up(lo).unwrap();
            // 127.0.0.1 and ::1 are valid on this host only.
            assert_eq!(links.lasting_addresses(lo).unwrap(), []);
            let address = Address {
                family: 2,
                prefix: 24,
                attributes: vec![
                    (ADDRESS_LOCAL, vec![10, 1, 2, 3]),
                    (ADDRESS, vec![10, 1, 2, 3]),
                ],
            };
            links.add_address(lo, &address).unwrap();
            links.add_address(lo, &address).unwrap();
            let mut found = links.lasting_addresses(lo).unwrap();
            found[0]
                .attributes
                .sort_by_key(|(kind, _)| std::cmp::Reverse(*kind));
            assert_eq!(found, [address]);
        });
        thread.join().unwrap();
    }
}
