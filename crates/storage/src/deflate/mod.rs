//! Recipes: how an archive becomes the very gzip stream that it came out of, whoever's encoder made
//! that. The stream's tokens are guessed from the archive ([`predict`]); a recipe is where the guess is
//! wrong, and every block's codes as they were.
//!
//! It is a zstd stream that begins with the number of the encoder's style. Then steps, each a byte and
//! numbers in LEB128: `1` bytes as they are, with their number before them (gzip's headers and
//! trailers); `2` a deflate stream begins; from `4` a block: bit 0 whether it is the last, bits 3 and
//! 4 its kind. A stored block is followed by its length; a dynamic one by the number of bits of its
//! codes and those bits. Then, unless it is stored: how many guesses are right, and what comes instead
//! of the next: 0 a literal, 1 the block's end, a length from 3 with its distance.

mod bits;
mod code;
mod predict;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::layer::{get_number, put_number};
use bits::{BitReader, BitWriter};
use code::{Codes, Token, broken};
use predict::{Predictor, STYLES, TRIED};

const RAW: u8 = 1;
const BEGIN: u8 = 2;
const BLOCK: u8 = 4;
const LITERAL: u64 = 0;
const END: u64 = 1;

/// Kinds of blocks (RFC 1951, section 3.2.3).
const STORED: u32 = 0;
const FIXED: u32 = 1;
const DYNAMIC: u32 = 2;

const BUFFER: usize = 64 << 10;
/// Compression of the recipe itself: it is written once and short.
const LEVEL: i32 = 6;
/// A header holds a name and a comment at most.
const MAX_HEADER: usize = 64 << 10;
const TRAILER: usize = 8;
/// The codes of a block take no more bits.
const MAX_CODES: u64 = 1 << 14;
/// Tokens after which a style is judged.
const TRIAL: u64 = 200_000;
/// A style that is wrong at more than so many of so many tokens is of no use.
const HOPELESS: (u64, u64) = (3, 4);
/// One that is wrong at one of so many at most is the encoder's own: no other is tried.
const PERFECT: u64 = 5000;

/// How many blocks a stream may have however little text, and for how much text one more.
const BLOCKS: u64 = 10_000;
const LEAST_TEXT: u64 = 64;
/// The beginning of a stream costs as much as so many.
const STREAM: u64 = 8;

/// Finds the style that guesses best and writes the recipe. It is to be tried before it is trusted.
pub(crate) fn write<A: Read, S: Read>(
    archive: &dyn Fn() -> io::Result<A>,
    stream: &dyn Fn() -> io::Result<S>,
    recipe: &Path,
) -> io::Result<()> {
    let mut best = (u64::MAX, 0);
    for style in TRIED {
        let mut maker = Maker::new(archive()?, style, io::sink());
        maker.limit = TRIAL;
        match maker.stream(BufReader::with_capacity(BUFFER, stream()?)) {
            // Not this style, then.
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => continue,
            answer => answer?,
        }
        // A recipe of more steps would be no shorter than the stream.
        if maker.wrong / HOPELESS.0 <= maker.tokens / HOPELESS.1 {
            best = best.min((maker.wrong, style));
        }
        if maker.wrong * PERFECT <= maker.tokens {
            break;
        }
    }
    if best.0 == u64::MAX {
        return Err(io::Error::other("no encoder that is known made the stream"));
    }
    let file = BufWriter::new(File::create(recipe)?);
    let mut to = zstd::stream::write::Encoder::new(file, LEVEL)?;
    let style = best.1;
    put_number(&mut to, style as u64)?;
    let mut maker = Maker::new(archive()?, style, to);
    maker.stream(BufReader::with_capacity(BUFFER, stream()?))?;
    let file = maker
        .to
        .finish()?
        .into_inner()
        .map_err(|e| e.into_error())?;
    file.sync_data()
}

/// Writes the steps of a recipe.
struct Maker<A, W> {
    predictor: Predictor<BufReader<A>>,
    to: W,
    /// Guesses that were right since the last that was not.
    right: u64,
    /// Tokens, and how many were guessed wrong.
    tokens: u64,
    wrong: u64,
    blocks: u64,
    /// Tokens after which it ends.
    limit: u64,
}

impl<A: Read, W: Write> Maker<A, W> {
    fn new(archive: A, style: usize, to: W) -> Self {
        let archive = BufReader::with_capacity(BUFFER, archive);
        Self {
            predictor: Predictor::new(archive, STYLES[style]),
            to,
            right: 0,
            tokens: 0,
            wrong: 0,
            blocks: 0,
            limit: u64::MAX,
        }
    }

    fn stream(&mut self, stream: impl BufRead) -> io::Result<()> {
        let mut from = BitReader::new(stream);
        while !from.at_end()? && self.tokens < self.limit {
            self.header(&mut from)?;
            self.to.write_all(&[BEGIN])?;
            self.count_block(STREAM)?;
            self.predictor.begin();
            while self.tokens < self.limit && !self.block(&mut from)? {}
            let partial = from.partial();
            from.pass(partial)?;
            if self.tokens < self.limit {
                let trailer = bytes(&mut from, TRAILER)?;
                self.raw(&trailer)?;
            }
        }
        Ok(())
    }

    /// Fails when there are more than any encoder makes of so much text: each costs far more than the few
    /// bits that it may have.
    fn count_block(&mut self, blocks: u64) -> io::Result<()> {
        self.blocks += blocks;
        match self.blocks <= BLOCKS + self.predictor.passed() / LEAST_TEXT {
            true => Ok(()),
            false => Err(io::Error::other("the stream is of blocks without text")),
        }
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(&[RAW])?;
        put_number(&mut self.to, bytes.len() as u64)?;
        self.to.write_all(bytes)
    }

    /// A member's header (RFC 1952, section 2.3).
    fn header<R: BufRead>(&mut self, from: &mut BitReader<R>) -> io::Result<()> {
        const CRC: u8 = 2;
        const EXTRA: u8 = 4;
        const NAME: u8 = 8;
        const COMMENT: u8 = 16;
        let mut header = bytes(from, 10)?;
        if header[..3] != [0x1f, 0x8b, 8] {
            return Err(broken());
        }
        let flags = header[3];
        if flags & EXTRA != 0 {
            let length = bytes(from, 2)?;
            let count = u16::from_le_bytes([length[0], length[1]]);
            header.extend(length);
            header.extend(bytes(from, count.into())?);
        }
        for _ in [NAME, COMMENT].iter().filter(|flag| flags & **flag != 0) {
            loop {
                let byte = bytes(from, 1)?[0];
                header.push(byte);
                if byte == 0 {
                    break;
                }
                if header.len() > MAX_HEADER {
                    return Err(broken());
                }
            }
        }
        if flags & CRC != 0 {
            header.extend(bytes(from, 2)?);
        }
        self.raw(&header)
    }

    /// One block; whether it was the last.
    fn block<R: BufRead>(&mut self, from: &mut BitReader<R>) -> io::Result<bool> {
        self.count_block(1)?;
        let last = from.take(1)?;
        let kind = from.take(2)?;
        let step = u32::from(BLOCK) | last | kind << 3;
        self.to.write_all(&[u8::try_from(step).unwrap_or(0)])?;
        let codes = match kind {
            STORED => {
                self.stored(from)?;
                return Ok(last == 1);
            }
            FIXED => Codes::fixed()?,
            DYNAMIC => {
                let mut packed = Vec::new();
                let mut count = 0_u64;
                let mut to = BitWriter::new(&mut packed);
                let codes = Codes::dynamic(from, &mut |bits, length| {
                    count += u64::from(length);
                    to.put(bits, length)
                })?;
                // Whole bytes are written, so up to one of them is filled.
                to.put(0, 8)?;
                to.flush()?;
                put_number(&mut self.to, count)?;
                packed.truncate(usize::try_from(count.div_ceil(8)).unwrap_or(0));
                self.to.write_all(&packed)?;
                codes
            }
            _ => return Err(broken()),
        };
        loop {
            let token = codes.read(from)?;
            self.token(token)?;
            if token == Token::End || self.tokens >= self.limit {
                return Ok(last == 1);
            }
        }
    }

    fn stored<R: BufRead>(&mut self, from: &mut BitReader<R>) -> io::Result<()> {
        let partial = from.partial();
        // Padding that is not zero is seen when the recipe is tried.
        from.pass(partial)?;
        let length = from.take(16)?;
        if from.take(16)? != !length & 0xffff {
            return Err(broken());
        }
        put_number(&mut self.to, length.into())?;
        for _ in 0..length {
            let byte = u8::try_from(from.take(8)?).unwrap_or(0);
            if !self.predictor.fits(Token::Literal(byte))? {
                return Err(broken());
            }
            self.predictor.skip(1);
        }
        Ok(())
    }

    fn token(&mut self, token: Token) -> io::Result<()> {
        self.tokens += 1;
        self.predictor.bounded()?;
        if token != Token::End {
            if !self.predictor.fits(token)? {
                return Err(broken());
            }
            let guessed = self.predictor.guess()? == token;
            self.predictor.pass(token, guessed);
            if guessed {
                self.right += 1;
                return Ok(());
            }
            self.wrong += 1;
        }
        put_number(&mut self.to, std::mem::take(&mut self.right))?;
        match token {
            Token::Literal(_) => put_number(&mut self.to, LITERAL),
            Token::End => put_number(&mut self.to, END),
            Token::Match(length, distance) => {
                put_number(&mut self.to, length.into())?;
                put_number(&mut self.to, distance.into())
            }
        }
    }
}

fn bytes<R: BufRead>(from: &mut BitReader<R>, count: usize) -> io::Result<Vec<u8>> {
    (0..count)
        .map(|_| from.take(8).map(|byte| u8::try_from(byte).unwrap_or(0)))
        .collect()
}

/// Packs an archive by a recipe.
pub(crate) fn follow(archive: impl BufRead, recipe: &Path, to: &mut impl Write) -> io::Result<()> {
    let recipe = BufReader::new(File::open(recipe)?);
    let mut recipe = BufReader::new(zstd::stream::read::Decoder::with_buffer(recipe)?);
    let style = get_number(&mut recipe)?.and_then(|n| usize::try_from(n).ok());
    let style = style
        .and_then(|style| STYLES.get(style))
        .ok_or_else(broken)?;
    let mut predictor = Predictor::new(archive, *style);
    let mut to = BitWriter::new(to);
    loop {
        let mut step = [0];
        if recipe.read(&mut step)? == 0 {
            return to.flush();
        }
        match step[0] {
            RAW => {
                to.align()?;
                for _ in 0..number(&mut recipe)? {
                    let mut byte = [0];
                    recipe.read_exact(&mut byte)?;
                    to.put(byte[0].into(), 8)?;
                }
            }
            BEGIN => predictor.begin(),
            block if block & BLOCK != 0 => {
                to.put((block & 1).into(), 1)?;
                let kind = u32::from(block >> 3 & 3);
                to.put(kind, 2)?;
                follow_block(kind, &mut recipe, &mut predictor, &mut to)?;
            }
            _ => return Err(broken()),
        }
    }
}

fn follow_block<R: BufRead, W: Write>(
    kind: u32,
    recipe: &mut impl BufRead,
    predictor: &mut Predictor<R>,
    to: &mut BitWriter<W>,
) -> io::Result<()> {
    let codes = match kind {
        STORED => {
            let length = u32::try_from(number(recipe)?).map_err(|_| broken())?;
            to.align()?;
            to.put(length, 16)?;
            to.put(!length & 0xffff, 16)?;
            for _ in 0..length {
                let byte = *predictor.coming()?.first().ok_or_else(broken)?;
                to.put(byte.into(), 8)?;
                predictor.skip(1);
            }
            return Ok(());
        }
        FIXED => Codes::fixed()?,
        _ => {
            let count = number(recipe)?;
            if count > MAX_CODES {
                return Err(broken());
            }
            let mut packed = Vec::new();
            recipe.take(count.div_ceil(8)).read_to_end(&mut packed)?;
            let mut from = BitReader::new(packed.as_slice());
            Codes::dynamic(&mut from, &mut |bits, length| to.put(bits, length))?
        }
    };
    loop {
        for _ in 0..number(recipe)? {
            let token = predictor.guess()?;
            if token == Token::End {
                return Err(broken());
            }
            predictor.pass(token, true);
            codes.write(token, to)?;
        }
        let token = match number(recipe)? {
            LITERAL => Token::Literal(*predictor.coming()?.first().ok_or_else(broken)?),
            END => return codes.write(Token::End, to),
            length => {
                let length = u16::try_from(length).map_err(|_| broken())?;
                let distance = u16::try_from(number(recipe)?).map_err(|_| broken())?;
                Token::Match(length, distance)
            }
        };
        // As when it was made: what was guessed changes what is guessed next.
        predictor.guess()?;
        predictor.pass(token, false);
        codes.write(token, to)?;
    }
}

fn number(recipe: &mut impl BufRead) -> io::Result<u64> {
    get_number(recipe)?.ok_or_else(broken)
}

#[cfg(test)]
mod tests;
