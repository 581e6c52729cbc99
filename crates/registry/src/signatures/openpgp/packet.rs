//! Packets (RFC 4880, 4) and the numbers in them.

use std::borrow::Cow;

pub(super) const SIGNATURE: u8 = 2;
pub(super) const ONE_PASS: u8 = 4;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const COMPRESSED: u8 = 8;
pub(super) const LITERAL: u8 = 11;
pub(super) const USER_ID: u8 = 13;
pub(super) const SUBKEY: u8 = 14;
pub(super) const ATTRIBUTE: u8 = 17;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    /// Put together from its parts if it came in some.
    pub(super) body: Cow<'a, [u8]>,
}

impl Packet<'_> {
    /// One that outlives what it was read from.
    pub(super) fn keep(&self) -> Packet<'static> {
        let body = Cow::Owned(self.body.to_vec());
        let tag = self.tag;
        Packet { tag, body }
    }
}

/// All packets, at most so many.
pub(super) fn all(bytes: &[u8], most: usize) -> Result<Vec<Packet<'_>>, String> {
    let (mut rest, mut packets) = (Input(bytes), Vec::new());
    while !rest.0.is_empty() {
        if packets.len() == most {
            return Err(format!("it has more than {most} packets"));
        }
        packets.push(next(&mut rest).ok_or("it is no OpenPGP data, or cut short")?);
    }
    Ok(packets)
}

fn next<'a>(input: &mut Input<'a>) -> Option<Packet<'a>> {
    let head = input.byte()?;
    match head >> 6 {
        // The old format: the length of the length is in the head.
        0b10 => {
            let length = match head & 3 {
                kind @ 0..=2 => input.number(1 << kind)?,
                _ => input.0.len(),
            };
            let body = Cow::Borrowed(input.take(length)?);
            Some(Packet {
                tag: head >> 2 & 0xf,
                body,
            })
        }
        0b11 => {
            let body = body(input)?;
            Some(Packet {
                tag: head & 0x3f,
                body,
            })
        }
        _ => None,
    }
}

/// A body of the new format, which may come in parts.
fn body<'a>(input: &mut Input<'a>) -> Option<Cow<'a, [u8]>> {
    let mut whole: Cow<'a, [u8]> = Cow::Borrowed(&[]);
    loop {
        let first = input.byte()?;
        let (length, more) = match first {
            0..=191 => (usize::from(first), false),
            192..=223 => (two(first, input.byte()?), false),
            224..=254 => (1 << (first & 0x1f), true),
            255 => (input.number(4)?, false),
        };
        let part = input.take(length)?;
        if !more && whole.is_empty() {
            return Some(Cow::Borrowed(part));
        }
        whole.to_mut().extend_from_slice(part);
        if !more {
            return Some(whole);
        }
    }
}

fn two(first: u8, second: u8) -> usize {
    (usize::from(first) - 192) * 256 + usize::from(second) + 192
}

/// Bytes that are read from the front. Nothing is taken when there are too few.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes, four at most, the highest first.
    pub(super) fn number(&mut self, bytes: usize) -> Option<usize> {
        let digits = self.take(bytes)?;
        Some(
            digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
        )
    }

    pub(super) fn seconds(&mut self) -> Option<i64> {
        self.number(4)
            .and_then(|seconds| i64::try_from(seconds).ok())
    }

    /// A number of any size (RFC 4880, 3.2), without zeros before it.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        let bits = self.number(2)?;
        let digits = self.take(bits.div_ceil(8))?;
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.get(zeros..)
    }

    /// The length of a subpacket (RFC 4880, 5.2.3.1).
    pub(super) fn subpacket_length(&mut self) -> Option<usize> {
        match self.byte()? {
            first @ 0..=191 => Some(usize::from(first)),
            first @ 192..=254 => {
                let second = self.byte()?;
                Some((usize::from(first) - 192) * 256 + usize::from(second) + 192)
            }
            255 => self.number(4),
        }
    }
}
