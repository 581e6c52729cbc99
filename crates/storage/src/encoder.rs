//! Encoders that give the same bytes for the same archive, so that a compressed layer need not be
//! kept to be pushed or saved again. Which one made a layer is found out by trying.

use std::io::{self, BufReader, Read, Write};

use flate2::{Compression, GzBuilder};

use crate::error::Error;
use crate::image::gzip;
use crate::pipe::{self, Sender};

/// Known encoders by the names under which they are remembered. A name once given means the same
/// bytes for ever.
pub(crate) const ENCODERS: [&str; 4] = [PLAIN, MEMBERS, GZIP_6, GZIP_9];

/// The archive itself.
const PLAIN: &str = "plain";
/// What this program compresses with: [`gzip`].
const MEMBERS: &str = "gzip-members-1";
/// One member, as most writers that use zlib make it by default, and at its best.
const GZIP_6: &str = "gzip-6";
const GZIP_9: &str = "gzip-9";

const BUFFER: usize = 128 << 10;

/// The archive as the encoder packs it.
pub(crate) fn encoded(
    name: &str,
    archive: impl Read + Send + 'static,
) -> Result<Box<dyn Read + Send>, Error> {
    let encode: fn(BufReader<_>, Sender) -> io::Result<()> = match name {
        PLAIN => return Ok(Box::new(archive)),
        MEMBERS => members,
        GZIP_6 => |archive, to| single(archive, to, 6),
        GZIP_9 => |archive, to| single(archive, to, 9),
        _ => {
            return Err(Error::Record {
                what: "name of an encoder",
                text: name.to_owned(),
            });
        }
    };
    let (sender, receiver) = pipe::pipe();
    let archive = BufReader::with_capacity(BUFFER, archive);
    // It ends when the stream does, or when nobody reads it any more. What goes wrong reaches the
    // reader as a stream without an end.
    let thread = std::thread::Builder::new().name("encode".to_owned());
    thread
        .spawn(move || drop(encode(archive, sender)))
        .map_err(Error::Thread)?;
    Ok(Box::new(receiver))
}

fn members(mut archive: impl Read, to: Sender) -> io::Result<()> {
    let to = std::thread::scope(|scope| {
        let mut encoder = gzip::Encoder::new(scope, to);
        io::copy(&mut archive, &mut encoder)?;
        encoder.finish()
    })?;
    to.finish()
}

fn single(mut archive: impl Read, to: Sender, level: u32) -> io::Result<()> {
    let mut encoder = GzBuilder::new().write(to, Compression::new(level));
    io::copy(&mut archive, &mut encoder)?;
    let mut to = encoder.finish()?;
    to.flush()?;
    to.finish()
}
