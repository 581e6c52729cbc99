//! How an archive becomes the very gzip stream that it came out of, whoever's encoder made that: for
//! each of its deflate blocks, where the encoder did something else than the one it is most like
//! (the `preflate-rs` crate). A recipe is a hundredth of the stream or less for common encoders.
//!
//! A zstd stream of steps, each a byte and numbers in LEB128: `1` bytes as they are (their number
//! first: gzip's headers and trailers), `2` a deflate stream begins, `3` a piece of one (bytes of the
//! archive it packs, bytes of corrections, the corrections).

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use preflate_rs::{ExitCode, PreflateConfig, PreflateStreamProcessor, RecreateStreamProcessor};

use crate::layer::{get_number, put_number};

const RAW: u8 = 1;
const BEGIN: u8 = 2;
const PIECE: u8 = 3;

/// Of the stream that is looked at in one piece; more when no block ends in it.
const LOOK: usize = 256 << 10;
const MAX_LOOK: usize = 8 << 20;
/// How much is looked at first: from it the encoder is guessed, once and for all.
const FIRST_LOOK: usize = 4 << 20;
/// Bytes of the archive in one piece: a bound on memory.
const MAX_PLAIN: usize = 16 << 20;
/// Bytes of corrections of one piece.
const MAX_CORRECTIONS: u64 = 16 << 20;
/// A gzip header holds a name and a comment at most.
const MAX_HEADER: usize = 64 << 10;
const TRAILER: usize = 8;
const LEVEL: i32 = 3;

/// The gzip stream is no such stream, or not worth a recipe.
fn unsuitable(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Writes the recipe for a gzip stream. It is to be tried before it is trusted.
pub(crate) fn write(stream: impl Read, recipe: &Path) -> io::Result<()> {
    let file = BufWriter::new(File::create(recipe)?);
    let mut to = zstd::stream::write::Encoder::new(file, LEVEL)?;
    let mut from = Window::new(stream);
    let mut members = 0;
    while from.look(1)? > 0 {
        header(&mut from, &mut to)?;
        deflate(&mut from, &mut to)?;
        if from.look(TRAILER)? < TRAILER {
            return Err(unsuitable("the gzip stream ends too early"));
        }
        raw(&mut to, &from.bytes()[..TRAILER])?;
        from.pass(TRAILER);
        members += 1;
    }
    if members == 0 {
        return Err(unsuitable("the gzip stream is empty"));
    }
    let file = to.finish()?.into_inner().map_err(|e| e.into_error())?;
    file.sync_data()
}

fn raw(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[RAW])?;
    put_number(to, bytes.len() as u64)?;
    to.write_all(bytes)
}

/// A member's header (RFC 1952, section 2.3).
fn header<R: Read>(from: &mut Window<R>, to: &mut impl Write) -> io::Result<()> {
    from.look(MAX_HEADER)?;
    let length = header_length(from.bytes()).ok_or_else(|| unsuitable("it is not gzip"))?;
    raw(to, &from.bytes()[..length])?;
    from.pass(length);
    Ok(())
}

fn header_length(bytes: &[u8]) -> Option<usize> {
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    if bytes.get(..3)? != [0x1f, 0x8b, 8] {
        return None;
    }
    let flags = *bytes.get(3)?;
    let mut length = 10;
    if flags & EXTRA != 0 {
        let extra = bytes.get(length..length + 2)?;
        length += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            length += bytes.get(length..)?.iter().position(|b| *b == 0)? + 1;
        }
    }
    if flags & CRC != 0 {
        length += 2;
    }
    (length <= bytes.len()).then_some(length)
}

fn deflate<R: Read>(from: &mut Window<R>, to: &mut impl Write) -> io::Result<()> {
    let mut processor = PreflateStreamProcessor::new(&PreflateConfig {
        plain_text_limit: MAX_PLAIN,
        // The whole stream is tried afterwards.
        verify_compression: false,
        ..PreflateConfig::default()
    });
    to.write_all(&[BEGIN])?;
    let mut look = FIRST_LOOK;
    while !processor.is_done() {
        let there = from.look(look)?;
        match processor.decompress(&from.bytes()[..there.min(look)]) {
            Ok(piece) => {
                let plain = processor.plain_text().text().len();
                to.write_all(&[PIECE])?;
                put_number(to, plain as u64)?;
                put_number(to, piece.corrections.len() as u64)?;
                to.write_all(&piece.corrections)?;
                from.pass(piece.compressed_size);
                processor.shrink_to_dictionary();
                look = LOOK;
            }
            Err(error)
                if error.exit_code() == ExitCode::ShortRead && there >= look && look < MAX_LOOK =>
            {
                look *= 2;
            }
            Err(_) => return Err(unsuitable("its encoder is like none that is known")),
        }
    }
    Ok(())
}

/// Bytes of a stream that are looked at before they are passed.
struct Window<R> {
    from: R,
    bytes: Vec<u8>,
    passed: usize,
}

impl<R: Read> Window<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            bytes: Vec::new(),
            passed: 0,
        }
    }

    /// Has this many bytes there, or all that are left; how many there are.
    fn look(&mut self, count: usize) -> io::Result<usize> {
        if self.bytes.len() - self.passed < count {
            self.bytes.drain(..self.passed);
            self.passed = 0;
            let wanted = (count - self.bytes.len()) as u64;
            (&mut self.from).take(wanted).read_to_end(&mut self.bytes)?;
        }
        Ok(self.bytes.len() - self.passed)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.passed..]
    }

    fn pass(&mut self, count: usize) {
        self.passed += count;
    }
}

/// Packs an archive by a recipe.
pub(crate) fn follow(archive: impl BufRead, recipe: &Path, to: &mut impl Write) -> io::Result<()> {
    let broken = || unsuitable("the recipe of the compressed layer is damaged");
    let recipe = BufReader::new(File::open(recipe)?);
    let mut recipe = zstd::stream::read::Decoder::with_buffer(recipe)?;
    let mut archive = archive;
    let mut processor = None;
    loop {
        let mut step = [0];
        if recipe.read(&mut step)? == 0 {
            return Ok(());
        }
        match step[0] {
            RAW => {
                let length = get_number(&mut recipe)?.ok_or_else(broken)?;
                io::copy(&mut (&mut recipe).take(length), to)?;
            }
            BEGIN => processor = Some(RecreateStreamProcessor::new()),
            PIECE => {
                let plain = get_number(&mut recipe)?.ok_or_else(broken)?;
                let length = get_number(&mut recipe)?.ok_or_else(broken)?;
                if plain > 2 * MAX_PLAIN as u64 || length > MAX_CORRECTIONS {
                    return Err(broken());
                }
                let mut corrections = Vec::new();
                (&mut recipe).take(length).read_to_end(&mut corrections)?;
                let processor = processor.as_mut().ok_or_else(broken)?;
                let mut plain = (&mut archive).take(plain);
                let answer = processor.recompress(&mut plain, &corrections);
                to.write_all(&answer.map_err(|_| broken())?.0)?;
            }
            _ => return Err(broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(size: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut text = Vec::new();
        while text.len() < size {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.extend_from_slice(format!("{} ", (state >> 33) % 5000).as_bytes());
        }
        text
    }

    /// Packs, writes the recipe and follows it; how long it is.
    fn round_trip(plain: &[u8], packed: &[u8]) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let recipe = dir.path().join("recipe");
        write(packed, &recipe).unwrap();
        let mut back = Vec::new();
        follow(plain, &recipe, &mut back).unwrap();
        assert!(back == packed);
        std::fs::metadata(&recipe).unwrap().len()
    }

    #[test]
    fn streams_of_several_encoders_are_made_again() {
        let plain = text(3_000_000);
        for level in [6, 9] {
            let name = flate2::GzBuilder::new().filename("layer.tar");
            let mut encoder = name.write(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(&plain).unwrap();
            let packed = encoder.finish().unwrap();
            let length = round_trip(&plain, &packed);
            assert!(length < packed.len() as u64 / 4, "{level}: {length}");
        }
        // Several members, one after another.
        let (one, two) = plain.split_at(1_000_000);
        let mut packed = Vec::new();
        for part in [one, two] {
            let mut encoder =
                flate2::write::GzEncoder::new(&mut packed, flate2::Compression::new(6));
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap();
        }
        round_trip(&plain, &packed);
    }

    #[test]
    fn what_is_no_gzip_has_no_recipe() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = dir.path().join("recipe");
        for bytes in [
            b"".as_slice(),
            b"plain",
            &[0x1f, 0x8b, 8, 0],
            &[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0, b'x'],
        ] {
            assert!(write(bytes, &recipe).is_err(), "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_taken_or_refused(bytes: Vec<u8>) {
            let bytes = [&[0x1f, 0x8b, 8], bytes.as_slice()].concat();
            proptest::prop_assert!(header_length(&bytes).is_none_or(|length| length <= bytes.len()));
        }
    }
}
