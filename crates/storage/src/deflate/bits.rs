//! Bits as deflate packs them: the first is the lowest of a byte.

use std::io::{self, BufRead, Write};

/// Reads bits, counting nothing and looking ahead by at most a word.
pub(super) struct BitReader<R> {
    input: R,
    bits: u64,
    count: u32,
}

impl<R: BufRead> BitReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            bits: 0,
            count: 0,
        }
    }

    /// Has at least 32 bits at hand, unless the input ends.
    fn fill(&mut self) -> io::Result<()> {
        while self.count <= 56 {
            let buffer = self.input.fill_buf()?;
            let Some(byte) = buffer.first() else {
                return Ok(());
            };
            self.bits |= u64::from(*byte) << self.count;
            self.count += 8;
            self.input.consume(1);
        }
        Ok(())
    }

    /// The next bits without passing them; zeros after the end.
    pub(super) fn peek(&mut self) -> io::Result<u64> {
        if self.count < 32 {
            self.fill()?;
        }
        Ok(self.bits)
    }

    /// Passes bits that were seen.
    pub(super) fn pass(&mut self, count: u32) -> io::Result<()> {
        if count > self.count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bits >>= count;
        self.count -= count;
        Ok(())
    }

    /// The next bits, 32 at most.
    pub(super) fn take(&mut self, count: u32) -> io::Result<u32> {
        let bits = self.peek()? & ((1 << count) - 1);
        self.pass(count)?;
        Ok(u32::try_from(bits).unwrap_or(0))
    }

    /// Bits up to the next whole byte.
    pub(super) fn partial(&self) -> u32 {
        self.count % 8
    }

    /// Whether there is anything left. At a byte's border.
    pub(super) fn at_end(&mut self) -> io::Result<bool> {
        if self.count == 0 {
            self.fill()?;
        }
        Ok(self.count == 0)
    }
}

/// Writes bits.
pub(super) struct BitWriter<W> {
    output: W,
    bits: u64,
    count: u32,
}

impl<W: Write> BitWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            bits: 0,
            count: 0,
        }
    }

    /// Adds bits, 32 at most.
    pub(super) fn put(&mut self, bits: u32, count: u32) -> io::Result<()> {
        self.bits |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            let whole = usize::try_from(self.count / 8).unwrap_or(0);
            self.output.write_all(&self.bits.to_le_bytes()[..whole])?;
            let written = (self.count / 8) * 8;
            self.bits = self.bits.checked_shr(written).unwrap_or(0);
            self.count %= 8;
        }
        Ok(())
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) -> io::Result<()> {
        self.put(0, (8 - self.count % 8) % 8)
    }

    /// Writes whole bytes that are held back; what is no whole byte waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let whole = usize::try_from(self.count / 8).unwrap_or(0);
        self.output.write_all(&self.bits.to_le_bytes()[..whole])?;
        self.bits = self.bits.checked_shr((self.count / 8) * 8).unwrap_or(0);
        self.count %= 8;
        Ok(())
    }
}
