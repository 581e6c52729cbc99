//! Writing answers of our own, and questions for upstreams.

use std::net::IpAddr;

use super::wire::{self, HEADER, Query, flags, rcode};

/// How long a name of ours may be remembered, in seconds: its container may be another soon.
pub(super) const TTL: u32 = 5;

/// The longest datagram we say that we take, so that none is ever cut into pieces on the way.
pub(super) const OUR_SIZE: u16 = 1232;

/// What a datagram may hold at least, and at most if its receiver says so.
const LEAST: u16 = 512;
const MOST: u16 = 4096;

/// Types of records.
pub(super) mod kind {
    pub(in super::super) const A: u16 = 1;
    pub(in super::super) const PTR: u16 = 12;
    pub(in super::super) const AAAA: u16 = 28;
    pub(in super::super) const INCREMENTAL_TRANSFER: u16 = 251;
    pub(in super::super) const TRANSFER: u16 = 252;
}

/// The class of the Internet.
pub(super) const INTERNET: u16 = 1;

/// How long the answer to a question may be.
pub(super) fn limit(query: &Query<'_>, stream: bool) -> usize {
    let size = query
        .edns
        .map_or(LEAST, |edns| edns.size.clamp(LEAST, MOST));
    if stream {
        usize::from(u16::MAX)
    } else {
        size.into()
    }
}

/// An answer that is a code and nothing more.
pub(super) fn code(query: &Query<'_>, code: u8) -> Vec<u8> {
    let mut message = begin(query, code, 0);
    end(query, code, &mut message);
    message
}

/// A header with a code for what could not be read further than its header.
pub(super) fn unreadable(message: &[u8], code: u8) -> Option<Vec<u8>> {
    let header = message.get(..HEADER)?;
    let asked = u16::from_be_bytes([header[2], header[3]]);
    let kept = flags::OPCODE | flags::RECURSION_DESIRED;
    let flags = flags::RESPONSE | asked & kept | u16::from(code & 0x0f);
    let mut answer = header[..2].to_vec();
    answer.extend(flags.to_be_bytes());
    answer.extend([0; 8]);
    Some(answer)
}

/// Addresses of a name of ours: as many as fit, and a mark if not all do.
pub(super) fn addresses(query: &Query<'_>, addresses: &[IpAddr], limit: usize) -> Vec<u8> {
    let data = addresses.iter().map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    records(query, data.collect(), limit)
}

/// The name of an address of ours.
pub(super) fn pointer(query: &Query<'_>, to: &str, limit: usize) -> Vec<u8> {
    match wire::name(to) {
        Some(name) => records(query, vec![name], limit),
        None => code(query, rcode::NO_ERROR),
    }
}

fn records(query: &Query<'_>, data: Vec<Vec<u8>>, limit: usize) -> Vec<u8> {
    const EDNS: usize = 11;
    let mut message = begin(query, rcode::NO_ERROR, flags::AUTHORITATIVE);
    let room = limit.saturating_sub(if query.edns.is_some() { EDNS } else { 0 });
    let mut count = 0_u16;
    for data in &data {
        if message.len() + 12 + data.len() > room {
            message[2] |= flags::TRUNCATED.to_be_bytes()[0];
            break;
        }
        // The name is the question's.
        message.extend([0xc0, 0x0c]);
        message.extend(query.kind.to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        message.extend(TTL.to_be_bytes());
        message.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        message.extend(data);
        count += 1;
    }
    message[6..8].copy_from_slice(&count.to_be_bytes());
    end(query, rcode::NO_ERROR, &mut message);
    message
}

fn begin(query: &Query<'_>, code: u8, more: u16) -> Vec<u8> {
    let kept = flags::RECURSION_DESIRED | flags::CHECKING_DISABLED;
    let flags = flags::RESPONSE | flags::RECURSION_AVAILABLE | more;
    let flags = flags | query.flags & kept | u16::from(code & 0x0f);
    header(query.id, flags, query)
}

/// A header that counts one question, and the question.
fn header(id: u16, flags: u16, query: &Query<'_>) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend(id.to_be_bytes());
    message.extend(flags.to_be_bytes());
    message.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(query.name);
    message.extend(query.kind.to_be_bytes());
    message.extend(query.class.to_be_bytes());
    message
}

/// Who speaks EDNS is answered in it (RFC 6891, 6.1.1).
fn end(query: &Query<'_>, code: u8, message: &mut Vec<u8>) {
    if let Some(edns) = query.edns {
        extend(message, code >> 4, edns.dnssec_ok);
    }
}

fn extend(message: &mut Vec<u8>, code: u8, dnssec_ok: bool) {
    message.extend([0, 0, 41]);
    message.extend(OUR_SIZE.to_be_bytes());
    message.extend([code, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    message[11] = 1;
}

/// The question as it is asked of upstreams. EDNS goes from one hop to the next (RFC 6891, 6.2.1):
/// the size is ours, and options of the asker's, meant for us, stay here.
pub(super) fn question(query: &Query<'_>, id: u16) -> Vec<u8> {
    let mut message = header(id, query.flags & passed(), query);
    if let Some(edns) = query.edns {
        extend(&mut message, 0, edns.dnssec_ok);
    }
    message
}

/// The bits of a question that upstreams are told.
pub(super) fn passed() -> u16 {
    flags::RECURSION_DESIRED | flags::CHECKING_DISABLED | flags::AUTHENTIC_DATA
}

/// An upstream's answer, cut to what its receiver takes.
pub(super) fn fit(query: &Query<'_>, message: Vec<u8>, limit: usize) -> Vec<u8> {
    if message.len() <= limit {
        return message;
    }
    let code = message[3] & 0x0f;
    let mut short = begin(query, code, flags::TRUNCATED);
    end(query, code, &mut short);
    short
}
