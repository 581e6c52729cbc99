//! What an encoder would do next, guessed from the text it compresses: hash chains and lazy matching,
//! as zlib does it and, with other bounds, most others. A guess costs nothing when it is right; how
//! often it is decides the size of a recipe and nothing else.

use std::io::{self, BufRead};

use super::code::Token;

/// What deflate can reach back.
const REACH: usize = 32 << 10;
/// The longest match.
const LONGEST: usize = 258;
/// Text that is at hand: what can be reached, and what is to come.
const TEXT: usize = 256 << 10;
/// Matches of the shortest length are not worth a longer distance.
const FAR: usize = 4096;
const NONE: u32 = u32::MAX;
/// What may be looked at however little text there is, and for each byte of it: the most thorough of
/// encoders look at a hundred places a byte.
const FREE: u64 = 1 << 26;
const PER_BYTE: u64 = 256;

/// How an encoder looks for matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Which text it takes for alike.
    hash: Hash,
    /// The shortest match it makes.
    least: usize,
    /// How far back it looks.
    reach: usize,
    /// Whether a match at the next place has to be longer to be looked for at all.
    longer_only: bool,
    /// A match this long makes it look at fewer others at the next place.
    good: usize,
    /// With a match this long it does not look at the next place.
    lazy: usize,
    /// A match this long is taken at once.
    nice: usize,
    /// How many places it looks at.
    chain: usize,
}

/// How the chains are told apart. What falls into the same chain by chance counts as a place that was
/// looked at, so that only the encoder's own hash guesses right where chains are long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    /// None's own.
    Mixed,
    /// zlib's and GNU gzip's, of three bytes.
    Zlib,
    /// That of Go's library, of four.
    Go,
}

impl Hash {
    /// How many there are.
    const fn values(self) -> usize {
        match self {
            Self::Mixed | Self::Zlib => 1 << 15,
            Self::Go => 1 << 17,
        }
    }
}

/// zlib's at its levels 6, 9 and 1, and those of Go's library at 6 and 9. Their order is the number
/// that recipes have.
pub(super) const STYLES: [Style; 10] = [
    zlib(Hash::Mixed, 8, 16, 128, 128),
    zlib(Hash::Mixed, 32, 258, 258, 4096),
    zlib(Hash::Mixed, 4, 0, 8, 4),
    go(Hash::Mixed, 8, 16, 128, 128),
    go(Hash::Mixed, 32, 258, 258, 4096),
    zlib(Hash::Zlib, 8, 16, 128, 128),
    zlib(Hash::Zlib, 32, 258, 258, 4096),
    zlib(Hash::Zlib, 4, 0, 8, 4),
    go(Hash::Go, 8, 16, 128, 128),
    go(Hash::Go, 32, 258, 258, 4096),
];

/// In which order they are tried: what most layers were made with first.
pub(super) const TRIED: [usize; STYLES.len()] = [5, 8, 6, 7, 9, 0, 1, 2, 3, 4];

const fn zlib(hash: Hash, good: usize, lazy: usize, nice: usize, chain: usize) -> Style {
    Style {
        hash,
        least: 3,
        reach: REACH - LONGEST - 4,
        longer_only: true,
        good,
        lazy,
        nice,
        chain,
    }
}

const fn go(hash: Hash, good: usize, lazy: usize, nice: usize, chain: usize) -> Style {
    Style {
        hash,
        least: 4,
        reach: REACH,
        longer_only: false,
        good,
        lazy,
        nice,
        chain,
    }
}

/// The text, and what an encoder would do at its present place.
pub(super) struct Predictor<R> {
    source: R,
    ended: bool,
    text: Vec<u8>,
    /// The present place in `text`.
    at: usize,
    /// Where `text` begins in all of the text.
    begin: u64,
    style: Style,
    head: Vec<u32>,
    /// By place modulo [`REACH`]: the place before with the same hash.
    previous: Vec<u32>,
    /// Places before this are in the chains.
    hashed: usize,
    /// The match at the present place, where it was found while looking ahead.
    carried: Option<Found>,
    /// How much was looked at: places, and words of text.
    effort: u64,
}

/// A match: its length and distance; none is shorter than any match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    length: usize,
    distance: usize,
}

impl<R: BufRead> Predictor<R> {
    pub(super) fn new(source: R, style: Style) -> Self {
        Self {
            source,
            ended: false,
            text: Vec::with_capacity(TEXT),
            at: 0,
            begin: 0,
            style,
            head: vec![NONE; style.hash.values()],
            previous: vec![NONE; REACH],
            hashed: 0,
            carried: None,
            effort: 0,
        }
    }

    /// Fails when more was looked at than any encoder would have, for so much text: a stream may be made
    /// so that guessing it takes for ever.
    pub(super) fn bounded(&self) -> io::Result<()> {
        match self.effort <= FREE.saturating_add(self.passed().saturating_mul(PER_BYTE)) {
            true => Ok(()),
            false => Err(io::ErrorKind::QuotaExceeded.into()),
        }
    }

    /// How much text is behind.
    pub(super) fn passed(&self) -> u64 {
        self.begin + self.at as u64
    }

    /// Begins a stream that knows nothing of the text before.
    pub(super) fn begin(&mut self) {
        self.head.fill(NONE);
        self.hashed = self.at;
        self.carried = None;
    }

    /// Has the longest match's text at hand, and one place more.
    fn fill(&mut self) -> io::Result<()> {
        if self.ended || self.text.len() - self.at > LONGEST + 8 {
            return Ok(());
        }
        let keep = self.at.min(2 * REACH);
        let gone = self.at - keep;
        // In steps of the chains' length, so that places keep their remainders.
        let gone = gone - gone % REACH;
        if gone > 0 {
            self.text.drain(..gone);
            self.at -= gone;
            self.hashed -= gone;
            self.begin += gone as u64;
            for place in self.head.iter_mut().chain(&mut self.previous) {
                let gone = u32::try_from(gone).unwrap_or(0);
                *place = if *place == NONE {
                    NONE
                } else {
                    place.checked_sub(gone).unwrap_or(NONE)
                };
            }
        }
        while self.text.len() < TEXT {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                self.ended = true;
                break;
            }
            let count = buffer.len().min(TEXT - self.text.len());
            self.text.extend_from_slice(&buffer[..count]);
            self.source.consume(count);
        }
        Ok(())
    }

    /// The text to come, as much of it as a token may take.
    pub(super) fn coming(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
        Ok(&self.text[self.at..])
    }

    fn hash(&self, place: usize) -> Option<usize> {
        let bytes = self.text.get(place..place + self.style.least)?;
        let word = bytes
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let hash = match self.style.hash {
            Hash::Mixed => word.wrapping_mul(0x9e37_79b1) >> 17,
            // Of each byte five bits more are shifted out.
            Hash::Zlib => (word >> 16 << 10 ^ (word >> 8 & 0xff) << 5 ^ word & 0xff) & 0x7fff,
            Hash::Go => word.wrapping_mul(0x1e35_a7bd) >> 15,
        };
        usize::try_from(hash).ok()
    }

    /// Puts all places up to this one into the chains.
    fn insert(&mut self, place: usize) {
        while self.hashed <= place {
            let here = self.hashed;
            if let Some(hash) = self.hash(here) {
                self.previous[here % REACH] = self.head[hash];
                self.head[hash] = u32::try_from(here).unwrap_or(NONE);
            } else {
                self.previous[here % REACH] = NONE;
            }
            self.hashed += 1;
        }
    }

    /// The longest match at a place; `before` is the one at the place before.
    fn longest(&mut self, place: usize, before: usize) -> Found {
        self.insert(place);
        let style = self.style;
        let most = (self.text.len() - place.min(self.text.len())).min(LONGEST);
        let mut best = Found {
            length: if style.longer_only {
                before.max(style.least - 1)
            } else {
                style.least - 1
            },
            distance: 0,
        };
        let mut left = style.chain;
        if style.longer_only && before >= style.good {
            left /= 4;
        }
        let mut other = self.previous[place % REACH];
        while left > 0 && other != NONE && best.length < most {
            let from = usize::try_from(other).unwrap_or(0);
            let distance = place.wrapping_sub(from);
            if distance == 0 || distance > style.reach || from >= place {
                break;
            }
            let length = self.common(from, place, best.length, most);
            self.effort += 1 + length as u64 / 32;
            if length > best.length && (length > style.least || distance <= FAR) {
                best = Found { length, distance };
                if length >= style.nice.min(most) {
                    break;
                }
            }
            other = self.previous[from % REACH];
            left -= 1;
        }
        if best.distance == 0 {
            best.length = 0;
        }
        best
    }

    /// How long the text at two places is the same, if it is longer than `best`.
    fn common(&self, one: usize, two: usize, best: usize, most: usize) -> usize {
        if self.text[one + best] != self.text[two + best] {
            return 0;
        }
        let (one, two) = (&self.text[one..one + most], &self.text[two..two + most]);
        let (words, others) = (one.as_chunks::<8>().0, two.as_chunks::<8>().0);
        let same = words.iter().zip(others);
        let same = same.take_while(|(a, b)| u64::from_le_bytes(**a) == u64::from_le_bytes(**b));
        let same = same.count() * 8;
        let rest = one[same..].iter().zip(&two[same..]);
        same + rest.take_while(|(a, b)| a == b).count()
    }

    /// What the encoder would do now; a literal at the end of the text too.
    pub(super) fn guess(&mut self) -> io::Result<Token> {
        self.fill()?;
        let Some(byte) = self.text.get(self.at).copied() else {
            return Ok(Token::End);
        };
        let here = match self.carried.take() {
            Some(found) => found,
            None => self.longest(self.at, 0),
        };
        let next = if here.length < self.style.lazy.max(self.style.least) && self.style.lazy > 0 {
            self.longest(self.at + 1, here.length)
        } else {
            Found {
                length: 0,
                distance: 0,
            }
        };
        if here.length >= self.style.least && next.length <= here.length {
            // Not carried: the match is passed as a whole.
            let (length, distance) = (u16::try_from(here.length), u16::try_from(here.distance));
            return Ok(Token::Match(length.unwrap_or(0), distance.unwrap_or(0)));
        }
        if self.style.lazy > 0 {
            self.carried = Some(next);
        }
        Ok(Token::Literal(byte))
    }

    /// Whether a token says what the text says.
    pub(super) fn fits(&mut self, token: Token) -> io::Result<bool> {
        self.fill()?;
        let rest = self.text.len() - self.at;
        Ok(match token {
            Token::Literal(byte) => self.text.get(self.at) == Some(&byte),
            Token::Match(length, distance) => {
                let (length, distance) = (usize::from(length), usize::from(distance));
                length <= rest && distance <= self.at && {
                    let from = self.at - distance;
                    (0..length).all(|i| self.text[from + i] == self.text[self.at + i])
                }
            }
            Token::End => true,
        })
    }

    /// Passes the text of a token. `guessed` says whether it was what was guessed.
    pub(super) fn pass(&mut self, token: Token, guessed: bool) {
        let length = match token {
            Token::Literal(_) => 1,
            Token::Match(length, _) => usize::from(length),
            Token::End => return,
        };
        if !guessed || length > 1 {
            self.carried = None;
        }
        self.skip(length);
    }

    /// Passes text that was not compressed.
    pub(super) fn skip(&mut self, length: usize) {
        let end = (self.at + length).min(self.text.len());
        if end > 0 {
            self.insert(end - 1);
        }
        self.at = end;
    }
}
