//! Huffman codes of deflate (RFC 1951, section 3.2).

use std::io::{self, BufRead, Write};

use super::bits::{BitReader, BitWriter};

/// The longest code.
const MAX_BITS: usize = 15;
/// The end of a block, among literals and lengths.
pub(super) const END: usize = 256;

const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];
/// The order in which the lengths of the code of lengths stand.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

pub(super) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the deflate stream is broken")
}

/// A code in both directions.
pub(super) struct Code {
    /// By the next fifteen bits: symbol and length.
    table: Vec<(u16, u8)>,
    /// By symbol: bits, the first the lowest, and length.
    codes: Vec<(u16, u8)>,
}

impl Code {
    fn new(lengths: &[u8]) -> io::Result<Self> {
        let mut count = [0_u32; MAX_BITS + 1];
        for length in lengths {
            count[usize::from(*length)] += 1;
        }
        count[0] = 0;
        let mut next = [0_u32; MAX_BITS + 2];
        for bits in 1..=MAX_BITS {
            next[bits + 1] = (next[bits] + count[bits]) << 1;
            if next[bits] + count[bits] > 1 << bits {
                return Err(broken());
            }
        }
        let mut table = vec![(0, 0); 1 << MAX_BITS];
        let mut codes = vec![(0, 0); lengths.len()];
        for (symbol, length) in lengths
            .iter()
            .enumerate()
            .filter(|(_, length)| **length > 0)
        {
            let bits = usize::from(*length);
            let code = u16::try_from(next[bits]).map_err(|_| broken())?;
            next[bits] += 1;
            let code = code.reverse_bits() >> (16 - bits);
            codes[symbol] = (code, *length);
            let symbol = u16::try_from(symbol).map_err(|_| broken())?;
            for entry in table[usize::from(code)..].iter_mut().step_by(1 << bits) {
                *entry = (symbol, *length);
            }
        }
        Ok(Self { table, codes })
    }

    fn read<R: BufRead>(&self, from: &mut BitReader<R>) -> io::Result<usize> {
        let bits = usize::try_from(from.peek()? & ((1 << MAX_BITS) - 1)).unwrap_or(0);
        let (symbol, length) = self.table[bits];
        if length == 0 {
            return Err(broken());
        }
        from.pass(length.into())?;
        Ok(symbol.into())
    }

    fn write<W: Write>(&self, symbol: usize, to: &mut BitWriter<W>) -> io::Result<()> {
        match self.codes.get(symbol) {
            Some((bits, length)) if *length > 0 => to.put((*bits).into(), (*length).into()),
            _ => Err(broken()),
        }
    }
}

/// The codes of one block.
pub(super) struct Codes {
    literals: Code,
    distances: Code,
}

/// A step of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Literal(u8),
    /// Length and distance.
    Match(u16, u16),
    End,
}

/// Length 258 has two spellings, of which nobody uses the longer.
fn length_symbol(length: u16) -> usize {
    LENGTH_BASE.partition_point(|base| *base <= length) - 1
}

fn distance_symbol(distance: u16) -> usize {
    DISTANCE_BASE.partition_point(|base| *base <= distance) - 1
}

impl Codes {
    /// The codes that are agreed on.
    pub(super) fn fixed() -> io::Result<Self> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        Ok(Self {
            literals: Code::new(&lengths)?,
            distances: Code::new(&[5; 30])?,
        })
    }

    /// The codes at a block's beginning; `seen` gets all bits of it, each piece with its length.
    pub(super) fn dynamic<R: BufRead>(
        from: &mut BitReader<R>,
        seen: &mut dyn FnMut(u32, u32) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut take = |from: &mut BitReader<R>, count: u32| -> io::Result<usize> {
            let bits = from.take(count)?;
            seen(bits, count)?;
            Ok(usize::try_from(bits).unwrap_or(0))
        };
        let literals = take(from, 5)? + 257;
        let distances = take(from, 5)? + 1;
        let lengths = take(from, 4)? + 4;
        let mut order = [0; 19];
        for place in &ORDER[..lengths] {
            order[*place] = u8::try_from(take(from, 3)?).unwrap_or(0);
        }
        let code = Code::new(&order)?;
        let mut all: Vec<u8> = Vec::with_capacity(320);
        while all.len() < literals + distances {
            let symbol = code.read(from)?;
            let (bits, length) = code.codes[symbol];
            seen(bits.into(), length.into())?;
            let mut take = |count: u32| -> io::Result<usize> {
                let bits = from.take(count)?;
                seen(bits, count)?;
                Ok(usize::try_from(bits).unwrap_or(0))
            };
            let (value, times) = match symbol {
                16 => (*all.last().ok_or_else(broken)?, take(2)? + 3),
                17 => (0, take(3)? + 3),
                18 => (0, take(7)? + 11),
                length => (u8::try_from(length).unwrap_or(0), 1),
            };
            all.extend(std::iter::repeat_n(value, times));
        }
        if all.len() > literals + distances {
            return Err(broken());
        }
        Ok(Self {
            literals: Code::new(&all[..literals])?,
            distances: Code::new(&all[literals..])?,
        })
    }

    pub(super) fn read<R: BufRead>(&self, from: &mut BitReader<R>) -> io::Result<Token> {
        let symbol = self.literals.read(from)?;
        if let Ok(byte) = u8::try_from(symbol) {
            return Ok(Token::Literal(byte));
        }
        if symbol == END {
            return Ok(Token::End);
        }
        let place = symbol - END - 1;
        let base = *LENGTH_BASE.get(place).ok_or_else(broken)?;
        let extra = from.take(LENGTH_EXTRA[place].into())?;
        let length = base + u16::try_from(extra).unwrap_or(0);
        if length_symbol(length) != place || length > 258 {
            return Err(broken());
        }
        let place = self.distances.read(from)?;
        let base = *DISTANCE_BASE.get(place).ok_or_else(broken)?;
        let extra = from.take(DISTANCE_EXTRA[place].into())?;
        Ok(Token::Match(
            length,
            base + u16::try_from(extra).unwrap_or(0),
        ))
    }

    pub(super) fn write<W: Write>(&self, token: Token, to: &mut BitWriter<W>) -> io::Result<()> {
        let (length, distance) = match token {
            Token::Literal(byte) => return self.literals.write(byte.into(), to),
            Token::End => return self.literals.write(END, to),
            Token::Match(length, distance) if length >= 3 && distance >= 1 => (length, distance),
            Token::Match(..) => return Err(broken()),
        };
        let place = length_symbol(length);
        self.literals.write(END + 1 + place, to)?;
        to.put(
            (length - LENGTH_BASE[place]).into(),
            LENGTH_EXTRA[place].into(),
        )?;
        let place = distance_symbol(distance);
        self.distances.write(place, to)?;
        to.put(
            (distance - DISTANCE_BASE[place]).into(),
            DISTANCE_EXTRA[place].into(),
        )
    }
}
