//! The framing of container output without a terminal.
//!
//! Each piece has a header of eight bytes: the stream (0 stdin, 1 stdout, 2 stderr, 3 an error of
//! the daemon's), three zeros, and the length as a big-endian 32-bit number. With a terminal there
//! is one stream and no framing.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes before each piece.
pub const HEADER: usize = 8;

/// The longest piece a decoder takes: far above what any daemon sends at once.
pub const LONGEST: usize = 64 << 20;

/// Content type of framed output, from API 1.42.
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// Content type of unframed output, and of all output before API 1.42.
pub const RAW: &str = "application/vnd.docker.raw-stream";

/// Which stream a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard input, echoed; nobody sends it.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What the daemon has to say when it can answer in no other way any more.
    Daemon,
}

impl Source {
    /// The stream's number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Stdin => 0,
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::Daemon => 3,
        }
    }
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its stream.
    pub source: Source,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The bytes are no framed output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// An unknown stream.
    #[error("unrecognized stream: {0}")]
    Stream(u8),
    /// An absurd length.
    #[error("a frame of {0} bytes is longer than {LONGEST}")]
    Length(u32),
}

/// The header of a piece of `length` bytes.
pub fn header(source: Source, length: u32) -> [u8; HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [source.number(), 0, 0, 0, a, b, c, d]
}

/// Appends `bytes` to `to`, framed.
pub fn encode(source: Source, bytes: &[u8], to: &mut Vec<u8>) {
    for piece in bytes.chunks(LONGEST) {
        let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        to.extend_from_slice(&header(source, length));
        to.extend_from_slice(piece);
    }
}

/// Takes framed output apart, whatever the pieces it arrives in.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// What is left of the frame whose header has been read.
    open: Option<(Source, usize)>,
}

impl Decoder {
    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece, as much of it as has arrived: a long frame comes in several, none waits for
    /// its end.
    ///
    /// # Errors
    /// When the bytes are no framed output; nothing sensible follows then.
    #[expect(
        clippy::should_implement_trait,
        reason = "no iterator: none means that more must be pushed first"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, BadFrame> {
        loop {
            let (source, left) = match self.open {
                Some(open) => open,
                None if self.buffer.len() < HEADER => return Ok(None),
                None => self.read_header()?,
            };
            if left == 0 {
                self.open = None;
                continue;
            }
            if self.buffer.is_empty() {
                self.open = Some((source, left));
                return Ok(None);
            }
            let take = left.min(self.buffer.len());
            self.open = (take < left).then_some((source, left - take));
            let bytes = self.buffer.split_to(take).freeze();
            return Ok(Some(Frame { source, bytes }));
        }
    }

    /// Whether the bytes so far end between two frames.
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty() && self.open.is_none()
    }

    fn read_header(&mut self) -> Result<(Source, usize), BadFrame> {
        let source = match self.buffer[0] {
            0 => Source::Stdin,
            1 => Source::Stdout,
            2 => Source::Stderr,
            3 => Source::Daemon,
            other => return Err(BadFrame::Stream(other)),
        };
        self.buffer.advance(4);
        let length = self.buffer.get_u32();
        match usize::try_from(length) {
            Ok(left) if left <= LONGEST => Ok((source, left)),
            _ => Err(BadFrame::Length(length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<(Source, Vec<u8>)>, BadFrame> {
        let mut decoder = Decoder::default();
        let mut out: Vec<(Source, Vec<u8>)> = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            while let Some(frame) = decoder.next()? {
                match out.last_mut() {
                    Some((source, bytes)) if *source == frame.source => {
                        bytes.extend_from_slice(&frame.bytes);
                    }
                    _ => out.push((frame.source, frame.bytes.to_vec())),
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn frames_are_dockers() {
        let mut bytes = Vec::new();
        encode(Source::Stdout, b"hi\n", &mut bytes);
        encode(Source::Stderr, b"no", &mut bytes);
        assert_eq!(
            bytes,
            b"\x01\0\0\0\0\0\0\x03hi\n\x02\0\0\0\0\0\0\x02no".to_vec()
        );
        assert_eq!(
            decode(&[&bytes]).unwrap(),
            [
                (Source::Stdout, b"hi\n".to_vec()),
                (Source::Stderr, b"no".to_vec())
            ]
        );
    }

    #[test]
    fn part_of_a_frame_is_given_out_before_the_rest_arrives() {
        let mut decoder = Decoder::default();
        decoder.push(&header(Source::Stdout, 5));
        decoder.push(b"he");
        assert_eq!(&decoder.next().unwrap().unwrap().bytes[..], b"he");
        assert_eq!(decoder.next().unwrap(), None);
        assert!(!decoder.is_between_frames());
        decoder.push(b"llo");
        assert_eq!(&decoder.next().unwrap().unwrap().bytes[..], b"llo");
        assert!(decoder.is_between_frames());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(decode(&[b"HTTP/1.1"]), Err(BadFrame::Stream(b'H')));
        assert_eq!(
            decode(&[b"\x01\0\0\0\xff\xff\xff\xff"]),
            Err(BadFrame::Length(u32::MAX))
        );
    }

    proptest::proptest! {
        #[test]
        fn any_split_decodes_alike(
            texts in proptest::collection::vec(
                (proptest::bool::ANY, proptest::collection::vec(0u8.., 0..50)), 0..8),
            cut in 1usize..13,
        ) {
            let mut bytes = Vec::new();
            for (err, text) in &texts {
                encode(if *err { Source::Stderr } else { Source::Stdout }, text, &mut bytes);
            }
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            proptest::prop_assert_eq!(decode(&pieces), decode(&[&bytes]));
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(0u8.., 0..100)) {
            let _ = decode(&[&bytes]);
        }
    }
}
