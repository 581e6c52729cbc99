//! Bytes -> one line of the log.
//!
//! A container may write gigabytes, and each byte of them is looked at here: plain text eight at a
//! time, everything else but whole characters by a table, without a branch for each kind.

use std::io::Write;

use types::{Decimals, rfc3339};

use super::Stream;

/// Bytes of text for which room is made at once.
const CHUNK: usize = 1024;

/// What a chunk may become, up to seven bytes that [`escape`] takes beyond it, the rest of a
/// character, and a word that is stored whole.
const ROOM: usize = (CHUNK + 7 + 3) * 6 + WORD;

/// Lines in a buffer. What lies behind the last one is written over, not made anew.
#[derive(Debug, Default)]
pub(super) struct Batch {
    buffer: Vec<u8>,
    used: usize,
}

impl Batch {
    /// The lines.
    pub(super) fn lines(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    /// Forgets the lines and keeps the room.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Appends the object for `bytes`, with its newline.
    pub(super) fn add(&mut self, mut bytes: &[u8], end: &End) {
        self.append(b"{\"log\":\"", BEGIN);
        while !bytes.is_empty() {
            let (taken, made) = escape(bytes, self.room(ROOM));
            self.used += made;
            bytes = &bytes[taken..];
        }
        self.append(&end.text, end.length);
    }

    /// Appends the first `length` bytes. All are stored: a size that is known needs no call.
    fn append<const SIZE: usize>(&mut self, bytes: &[u8; SIZE], length: usize) {
        self.room(SIZE)[..SIZE].copy_from_slice(bytes);
        self.used += length;
    }

    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let needed = self.used + bytes;
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        &mut self.buffer[self.used..]
    }
}

/// What begins every object.
const BEGIN: usize = b"{\"log\":\"".len();

/// What stands behind the text in every object of one stream and time.
#[derive(Debug)]
pub(super) struct End {
    text: [u8; Self::ROOM],
    length: usize,
}

impl End {
    /// No stream's name and no time of 64 bits is longer.
    const ROOM: usize = 64;

    pub(super) fn new(stream: Stream, time: i64) -> Self {
        let mut text = Vec::with_capacity(Self::ROOM);
        text.extend_from_slice(b"\",\"stream\":\"");
        text.extend_from_slice(stream.name().as_bytes());
        text.extend_from_slice(b"\",\"time\":\"");
        // Writing to a Vec cannot fail.
        let _ = write!(text, "{}", rfc3339(time, Decimals::Needed));
        text.extend_from_slice(b"\"}\n");
        let length = text.len();
        let mut end = Self {
            text: [0; Self::ROOM],
            length,
        };
        end.text[..length].copy_from_slice(&text);
        end
    }
}

/// Where the first newline is.
pub(super) fn newline(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let hits = zero_bytes(u64::from_le_bytes(*word) ^ all(b'\n'));
        if hits != 0 {
            return Some(index * WORD + hits.trailing_zeros() as usize / 8);
        }
    }
    let before = bytes.len() - rest.len();
    let at = rest.iter().position(|b| *b == b'\n');
    at.map(|at| before + at)
}

/// Escapes about [`CHUNK`] bytes: how many it took, and how many they are in `out`.
fn escape(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    let (mut taken, mut made) = (0, 0);
    while taken < text.len().min(CHUNK) {
        // Where what is special in the next word begins, and where the steps end that see to it.
        let (plain, end) = match text[taken..].first_chunk() {
            Some(word) => {
                out[made..made + WORD].copy_from_slice(word);
                let special = special_bytes(*word);
                match few(special) {
                    true => (special.trailing_zeros() as usize / 8, 1),
                    false => (0, WORD),
                }
            }
            None => (0, WORD),
        };
        (taken, made) = (taken + plain, made + plain);
        let end = text.len().min(taken + end);
        if plain == WORD {
            continue;
        }
        while taken < end {
            let step = Step::at(&text[taken..]);
            out[made..made + WORD].copy_from_slice(&step.bytes.to_le_bytes());
            (taken, made) = (taken + step.taken, made + step.made);
        }
    }
    (taken, made)
}

/// What one byte becomes, or one whole character of several, which stays as it is.
struct Step {
    bytes: u64,
    taken: usize,
    made: usize,
}

impl Step {
    fn at(text: &[u8]) -> Self {
        let four = text.first_chunk().copied().unwrap_or_else(|| padded(text));
        let form = &FORMS[usize::from(four[0])];
        let word = u32::from_le_bytes(four);
        let whole = word & form.mask == form.bits && four[1].wrapping_sub(form.low) <= form.span;
        // Chosen, not jumped to: random bytes are half of each.
        let (bytes, taken, made) = match whole {
            true => (word.into(), form.length, form.length),
            false => (form.escaped, 1, form.escaped_length),
        };
        Self {
            bytes,
            taken: taken.into(),
            made: made.into(),
        }
    }
}

/// The last bytes, and zeros, which go on no character.
fn padded(text: &[u8]) -> [u8; 4] {
    let mut four = [0; 4];
    four[..text.len()].copy_from_slice(text);
    four
}

/// Where the characters are that begin with a byte (the Unicode Standard, table 3-7), and what the byte
/// becomes that begins none.
#[derive(Clone, Copy)]
struct Form {
    /// What becomes of it by itself, and how long that is.
    escaped: u64,
    escaped_length: u8,
    /// With the bytes of continuation that follow.
    length: u8,
    /// The lead, and the high bits of those bytes.
    mask: u32,
    bits: u32,
    /// What the first of them may be besides.
    low: u8,
    span: u8,
}

static FORMS: [Form; 256] = {
    let mut forms = [Form::of(0); 256];
    let mut number = 1;
    while number < forms.len() {
        forms[number] = Form::of(number.to_le_bytes()[0]);
        number += 1;
    }
    forms
};

impl Form {
    const fn of(lead: u8) -> Self {
        let (length, low, high) = match lead {
            0xc2..=0xdf => (2, 0x80, 0xbf),
            0xe0 => (3, 0xa0, 0xbf),
            0xed => (3, 0x80, 0x9f),
            0xe1..=0xef => (3, 0x80, 0xbf),
            0xf0 => (4, 0x90, 0xbf),
            0xf1..=0xf3 => (4, 0x80, 0xbf),
            0xf4 => (4, 0x80, 0x8f),
            _ => (1, 0, 0),
        };
        let (mask, bits) = match length {
            2 => ([0xff, 0xc0, 0, 0], [lead, 0x80, 0, 0]),
            3 => ([0xff, 0xc0, 0xc0, 0], [lead, 0x80, 0x80, 0]),
            4 => ([0xff, 0xc0, 0xc0, 0xc0], [lead, 0x80, 0x80, 0x80]),
            // Nothing is like this.
            _ => ([0; 4], [1; 4]),
        };
        let (escaped, escaped_length) = escaped(lead);
        Self {
            escaped,
            escaped_length,
            length,
            mask: u32::from_le_bytes(mask),
            bits: u32::from_le_bytes(bits),
            low,
            span: high - low,
        }
    }
}

const fn escaped(byte: u8) -> (u64, u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let (bytes, length) = match byte {
        b'\n' => (*b"\\n      ", 2),
        b'\r' => (*b"\\r      ", 2),
        b'\t' => (*b"\\t      ", 2),
        b'"' => (*b"\\\"      ", 2),
        b'\\' => (*b"\\\\      ", 2),
        0..0x20 => {
            let (high, low) = (HEX[byte as usize >> 4], HEX[byte as usize & 15]);
            ([b'\\', b'u', b'0', b'0', high, low, b' ', b' '], 6)
        }
        0x20..0x80 => ([byte, 0, 0, 0, 0, 0, 0, 0], 1),
        // Go's encoder writes one replacement character for each byte that belongs to none.
        0x80.. => (*b"\\ufffd  ", 6),
    };
    (u64::from_le_bytes(bytes), length)
}

const WORD: usize = size_of::<u64>();

/// A byte in each place of a word.
const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD])
}

/// The highest bit of each byte that is zero, and perhaps of such above one that is.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(all(1)) & !word & all(0x80)
}

/// The highest bit of the first byte that does not stand in JSON as it is, or is not ASCII, and of about
/// all such bytes after it.
fn special_bytes(bytes: [u8; WORD]) -> u64 {
    let word = u64::from_le_bytes(bytes);
    let control = word.wrapping_sub(all(0x20));
    let quoted = zero_bytes(word ^ all(b'"')) | zero_bytes(word ^ all(b'\\'));
    (control | word | quoted) & all(0x80)
}

/// Whether at most two bits are set.
fn few(bits: u64) -> bool {
    let but_one = bits & bits.wrapping_sub(1);
    but_one & but_one.wrapping_sub(1) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{Line, decode};

    fn encoded(bytes: &[u8], stream: Stream, time: i64) -> Vec<u8> {
        let mut batch = Batch::default();
        batch.add(bytes, &End::new(stream, time));
        batch.lines().to_vec()
    }

    /// As the standard library sees characters.
    fn replaced(bytes: &[u8]) -> String {
        let chunks = bytes.utf8_chunks();
        chunks
            .flat_map(|c| {
                c.valid()
                    .chars()
                    .chain(c.invalid().iter().map(|_| '\u{fffd}'))
            })
            .collect()
    }

    /// What the log says of `bytes`.
    fn logged(bytes: &[u8]) -> String {
        let line = encoded(bytes, Stream::Stdout, 0);
        String::from_utf8(decode(&line).unwrap().bytes).unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(encoded(bytes, Stream::Stderr, 1)).unwrap()
    }

    #[test]
    fn lines_are_written_as_docker_writes_them() {
        let expected = "{\"log\":\"a \\\"b\\\\\\t\\u001b[0m é\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:00.000000001Z\"}\n";
        assert_eq!(text("a \"b\\\t\x1b[0m é\n".as_bytes()), expected);
        let expected = "{\"log\":\"x\\ufffd\\ufffdy\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:00.000000001Z\"}\n";
        assert_eq!(text(b"x\xe2\x82y"), expected);
    }

    #[test]
    fn characters_are_those_of_the_standard_library() {
        // The bytes at which the tables of the Unicode Standard turn, in every order, within words
        // and over their borders.
        let turns = [
            0x00, 0x1f, 0x20, b'"', b'\\', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2,
            0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ];
        for number in 0..turns.len().pow(3) {
            let turn = |place: u32| turns[number / turns.len().pow(place) % turns.len()];
            let (a, b, c) = (turn(0), turn(1), turn(2));
            for bytes in [
                &[a, b, c][..],
                &[b'x', a, b, c, 0xbf, b'y', b'z', a, b, c, 0x80],
            ] {
                assert_eq!(logged(bytes), replaced(bytes), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn newlines_are_found_wherever_they_are() {
        for length in 0..40 {
            // One more and one less than a newline, which borrow and carry.
            for other in [0, 9, 11, 0x8a, 0xff] {
                let mut bytes = vec![other; length];
                assert_eq!(newline(&bytes), None);
                for at in (0..length).rev() {
                    bytes[at] = b'\n';
                    assert_eq!(newline(&bytes), Some(at), "{length} {other}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in ".{0,3000}", nanos: i64) {
            let out = encoded(text.as_bytes(), Stream::Stdout, nanos);
            prop_assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
            let expected = Line { stream: Stream::Stdout, time: nanos, bytes: text.into_bytes() };
            prop_assert_eq!(decode(&out), Some(expected));
        }

        #[test]
        fn any_bytes_make_a_line(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            prop_assert_eq!(logged(&bytes), replaced(&bytes));
        }
    }
}
