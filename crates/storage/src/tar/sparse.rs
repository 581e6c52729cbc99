//! Maps of sparse files: which pieces of a file the archive holds, the rest being holes.
//!
//! Four ways to write one: in GNU's old headers, and in extended headers as versions 0.0, 0.1 and 1.0.

use super::number;
use crate::error::Malformed;

/// Pieces a map may have: a bound on memory, far above what any writer makes.
const MAX_PIECES: usize = 1 << 18;

/// A piece of a file that is in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// Collects pieces and refuses what is out of order.
#[derive(Debug, Default)]
pub(super) struct Map {
    pieces: Vec<Piece>,
    end: u64,
    stored: u64,
}

impl Map {
    pub(super) fn push(&mut self, offset: u64, length: u64) -> Result<(), Malformed> {
        if offset < self.end {
            return Err(Malformed::Sparse);
        }
        self.end = offset.checked_add(length).ok_or(Malformed::Sparse)?;
        self.stored += length;
        if length == 0 {
            return Ok(());
        }
        if self.pieces.len() == MAX_PIECES {
            return Err(Malformed::TooLong("sparse map"));
        }
        self.pieces.push(Piece { offset, length });
        Ok(())
    }

    /// The pieces, when they fit a file of `size` bytes of which `stored` are in the archive.
    pub(super) fn finish(self, size: u64, stored: u64) -> Result<Vec<Piece>, Malformed> {
        let fits = self.end <= size && self.stored == stored;
        if fits {
            Ok(self.pieces)
        } else {
            Err(Malformed::Sparse)
        }
    }

    /// One slot of an old GNU header: twelve bytes of offset and twelve of length, or nothing.
    pub(super) fn push_gnu(&mut self, slots: &[u8]) -> Result<(), Malformed> {
        for slot in slots.chunks_exact(24) {
            if slot[0] == 0 || slot[12] == 0 {
                continue;
            }
            let number = |bytes| {
                number::field(bytes)
                    .and_then(|n| u64::try_from(n).ok())
                    .ok_or(Malformed::Sparse)
            };
            self.push(number(&slot[..12])?, number(&slot[12..])?)?;
        }
        Ok(())
    }

    /// Version 0.1: `offset,length,offset,length`.
    pub(super) fn push_list(&mut self, text: &[u8]) -> Result<(), Malformed> {
        let mut numbers = text.split(|b| *b == b',');
        while let Some(offset) = numbers.next() {
            let length = numbers.next().ok_or(Malformed::Sparse)?;
            let number = |text| number::decimal(text).ok_or(Malformed::Sparse);
            self.push(number(offset)?, number(length)?)?;
        }
        Ok(())
    }
}

/// Version 1.0, which stands before the file's data: a count, then an offset and a length each, one
/// number a line. Fed block by block.
#[derive(Debug, Default)]
pub(super) struct TextMap {
    map: Map,
    line: Vec<u8>,
    left: Option<u64>,
    offset: Option<u64>,
}

impl TextMap {
    /// Takes one block; true when the map is complete, the block's rest being padding.
    pub(super) fn feed(&mut self, block: &[u8]) -> Result<bool, Malformed> {
        for byte in block {
            if *byte != b'\n' {
                if self.line.len() == 20 {
                    return Err(Malformed::Sparse);
                }
                self.line.push(*byte);
                continue;
            }
            let number = number::decimal(&self.line).ok_or(Malformed::Sparse)?;
            self.line.clear();
            if self.number(number)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn number(&mut self, number: u64) -> Result<bool, Malformed> {
        match (self.left, self.offset.take()) {
            (None, _) => self.left = Some(number),
            (Some(_), None) => self.offset = Some(number),
            (Some(left), Some(offset)) => {
                self.map.push(offset, number)?;
                self.left = Some(left - 1);
            }
        }
        Ok(self.left == Some(0) && self.offset.is_none())
    }

    pub(super) fn into_map(self) -> Map {
        self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_ways() {
        let mut list = Map::default();
        list.push_list(b"0,512,4096,10").unwrap();
        let expected = [
            Piece {
                offset: 0,
                length: 512,
            },
            Piece {
                offset: 4096,
                length: 10,
            },
        ];
        assert_eq!(list.finish(8192, 522).unwrap(), expected);

        let mut text = TextMap::default();
        assert!(!text.feed(b"2\n0\n51").unwrap());
        assert!(text.feed(b"2\n4096\n10\n\0\0\0").unwrap());
        assert_eq!(text.into_map().finish(8192, 522).unwrap(), expected);

        let mut gnu = Map::default();
        let mut slots = [0_u8; 96];
        slots[..12].copy_from_slice(b"00000000000\0");
        slots[12..24].copy_from_slice(b"00000001000\0");
        gnu.push_gnu(&slots).unwrap();
        assert_eq!(gnu.finish(512, 512).unwrap(), expected[..1]);
    }

    #[test]
    fn contradictions_are_refused() {
        for bad in [
            b"5,5,0,1".as_slice(),
            b"1",
            b"x,1",
            b"18446744073709551615,2",
        ] {
            assert!(Map::default().push_list(bad).is_err(), "{bad:?}");
        }
        let mut map = Map::default();
        map.push(0, 10).unwrap();
        assert!(map.finish(5, 10).is_err());
        let mut map = Map::default();
        map.push(0, 10).unwrap();
        assert!(map.finish(10, 9).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text: Vec<u8>) {
            let _ = TextMap::default().feed(&text);
            let _ = Map::default().push_list(&text);
            let _ = Map::default().push_gnu(&text);
        }
    }
}
