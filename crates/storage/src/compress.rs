//! Compressed streams: recognised by their first bytes, never by a name or a media type.

use std::io::{self, BufRead, BufReader, Read};

use crate::error::Error;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// Enough of a stream to know its format.
pub(crate) const MAGIC: usize = 6;

/// Output is handed on in pieces of this size.
const BUFFER: usize = 128 << 10;
/// Memory the decoder of a hostile xz stream may ask for; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

impl Format {
    /// The format of a stream that begins so.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame to skip, which some writers put first.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::Plain,
        }
    }

    /// Its name, as in an error.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// The media type of a layer stored so; none where the image specification has none.
    pub(crate) fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Plain => Some("application/vnd.oci.image.layer.v1.tar"),
            Self::Gzip => Some("application/vnd.oci.image.layer.v1.tar+gzip"),
            Self::Zstd => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
            Self::Xz | Self::Bzip2 => None,
        }
    }

    /// What `input` decompresses to, to be read in large pieces. Members and frames one after another
    /// are one stream.
    pub(crate) fn reader<'a>(self, input: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, Error> {
        let failed = |error: io::Error| Error::Decompress(self.name(), error);
        let decoder: Box<dyn Read + 'a> = match self {
            Self::Plain => return Ok(Box::new(input)),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(input).map_err(failed)?)
            }
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(|error| failed(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        };
        Ok(Box::new(Named {
            decoder,
            format: self,
        }))
    }

    /// The same, to be read in whatever pieces.
    pub(crate) fn decoder<'a>(
        self,
        input: impl BufRead + 'a,
    ) -> Result<Box<dyn BufRead + 'a>, Error> {
        match self {
            Self::Plain => Ok(Box::new(input)),
            _ => Ok(Box::new(BufReader::with_capacity(
                BUFFER,
                self.reader(input)?,
            ))),
        }
    }
}

/// Tells errors of the decoder from errors of what it reads.
struct Named<'a> {
    decoder: Box<dyn Read + 'a>,
    format: Format,
}

impl Read for Named<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(into).map_err(|error| match error.kind() {
            // Cut short: what reads the archive says where. Given up: the other thread says why.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, Error::Decompress(self.format.name(), error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Format::of(bytes)
            .decoder(bytes)
            .unwrap()
            .read_to_end(&mut text)?;
        Ok(text)
    }

    fn tool(name: &str, text: &[u8]) -> Option<Vec<u8>> {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let child = Command::new(name)
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            let _ = writeln!(io::stderr(), "SKIP: {name} is not installed");
            return None;
        };
        child.stdin.take().unwrap().write_all(text).unwrap();
        Some(child.wait_with_output().unwrap().stdout)
    }

    #[test]
    fn every_format_is_recognised_and_several_members_are_one_stream() {
        for (name, format) in [
            ("gzip", Format::Gzip),
            ("zstd", Format::Zstd),
            ("xz", Format::Xz),
            ("bzip2", Format::Bzip2),
        ] {
            let Some(mut bytes) = tool(name, b"hello ") else {
                continue;
            };
            assert_eq!(Format::of(&bytes), format);
            bytes.extend(tool(name, b"world").unwrap());
            assert_eq!(inflate(&bytes).unwrap(), b"hello world", "{name}");
            assert!(inflate(&bytes[..bytes.len() - 3]).is_err(), "{name}");
        }
        assert_eq!(inflate(b"plain").unwrap(), b"plain");
        assert_eq!(inflate(b"").unwrap(), b"");
    }
}
