//! Tells a link whose an address is now, so that nobody there goes on sending to who had it before: gratuitous
//! ARP (RFC 5227, section 2.3) and unsolicited neighbour advertisements (RFC 4861, section 7.2.6).

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use sys::packet::Frames;

use crate::address::Mac;
use crate::error::{Doing, Error};

/// All on the link, and all IPv6 nodes on it (RFC 2464, section 7).
const ALL: [u8; 6] = [0xff; 6];
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Kinds of frames.
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// ICMPv6, and its message.
const ICMPV6: u8 = 58;
const ADVERTISEMENT: u8 = 136;
/// Not asked for, and stronger than what is known.
const OVERRIDE: u8 = 0x20;
/// Option: the link-layer address of the target, in units of eight bytes.
const TARGET: [u8; 2] = [2, 1];

/// Says once, on the link of an interface in a namespace, that these addresses are at this link-layer address.
/// The calling thread enters the namespace for a moment.
pub fn advertise(
    namespace: BorrowedFd<'_>,
    interface: &str,
    mac: Mac,
    addresses: &[IpAddr],
) -> Result<(), Error> {
    let doing = || format!("advertise the addresses of {interface}");
    let name = CString::new(interface).unwrap_or_default();
    let frames = sys::ns::within(namespace, Frames::open).and_then(|frames| frames);
    let frames = frames.doing(doing)?;
    sys::ns::within(namespace, || {
        let mut all = addresses.iter().map(|address| frame(mac, *address));
        all.try_for_each(|frame| frames.send(&name, &frame))
    })
    .and_then(|sent| sent)
    .doing(doing)
}

fn frame(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp(mac.0, address),
        IpAddr::V6(address) => neighbour_advertisement(mac.0, address),
    }
}

/// An announcement: a question for the own address, which nobody answers and everybody reads.
fn arp(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    // Ethernet, IPv4, the lengths of their addresses, a request.
    const HEAD: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
    let own = address.octets();
    [&ALL[..], &mac, &ARP, &HEAD, &mac, &own, &[0; 6], &own].concat()
}

fn neighbour_advertisement(mac: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    let own = address.octets();
    let to = ALL_NODES_ADDRESS.octets();
    let mut message = [
        &[ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0][..],
        &own,
        &TARGET,
        &mac,
    ]
    .concat();
    let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
    let pseudo = [&own[..], &to, &[0, 0, 0, length, 0, 0, 0, ICMPV6]].concat();
    let sum = checksum([&pseudo[..], &message].concat().as_slice());
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    // Version 6; it has crossed no router.
    let head = [0x60, 0, 0, 0, 0, length, ICMPV6, 255];
    [&ALL_NODES[..], &mac, &IPV6, &head, &own, &to, &message].concat()
}

/// The Internet's (RFC 1071), of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks_exact(2)
        .map(|b| u16::from_be_bytes([b[0], b[1]]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0x42, 0xac, 0x11, 0, 2];

    #[test]
    fn an_announcement_asks_for_the_own_address() {
        let frame = arp(MAC, Ipv4Addr::new(172, 17, 0, 2));
        let (head, rest) = frame.split_at(14);
        assert_eq!(head, [&ALL[..], &MAC, &[8, 6]].concat());
        assert_eq!(rest.len(), 28);
        assert_eq!(rest[8..14], MAC);
        assert_eq!(rest[14..18], rest[24..28], "sender and target");
        assert_eq!(rest[14..18], [172, 17, 0, 2]);
    }

    #[test]
    fn an_advertisement_adds_up() {
        let frame = neighbour_advertisement(MAC, "fd00::5".parse().unwrap());
        let packet = &frame[14..];
        assert_eq!(packet.len(), 40 + 32);
        assert_eq!(usize::from(packet[5]), packet.len() - 40);
        // With its own sum in it, all of it adds up to nothing.
        let pseudo = [&packet[8..40], &[0, 0, 0, 32, 0, 0, 0, ICMPV6]].concat();
        assert_eq!(checksum(&[&pseudo[..], &packet[40..]].concat()), 0);
    }
}
