//! Encoders that give the same bytes for the same archive, so that a compressed layer need not be
//! kept to be pushed or saved again. Which one made a layer is found out by trying.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::deflate;
use crate::error::Error;
use crate::image::gzip;
use crate::pipe::{self, Sender};

/// Known encoders by the names under which they are remembered. A name once given means the same
/// bytes for ever.
pub(crate) mod name {
    /// The archive itself.
    pub(crate) const PLAIN: &str = "plain";
    /// What this program compresses with: [`crate::image::gzip`].
    pub(crate) const MEMBERS: &str = "gzip-members-1";
    /// Anybody's gzip, by a recipe ([`crate::deflate`]) that lies beside the layer.
    pub(crate) const RECIPE: &str = "gzip-recipe-1";
    /// None of these.
    pub(crate) const NONE: &str = "none";
}

const BUFFER: usize = 128 << 10;

/// The archive as the encoder packs it.
pub(crate) fn encoded(
    encoder: &str,
    archive: impl Read + Send + 'static,
    recipe: PathBuf,
) -> Result<Box<dyn Read + Send>, Error> {
    let (sender, receiver) = pipe::pipe();
    let archive = BufReader::with_capacity(BUFFER, archive);
    let thread = std::thread::Builder::new().name("encode".to_owned());
    // It ends when the stream does, or when nobody reads it any more. What goes wrong reaches the
    // reader as a stream without an end.
    let spawned = match encoder {
        name::PLAIN => return Ok(Box::new(archive)),
        name::MEMBERS => thread.spawn(move || drop(members(archive, sender))),
        name::RECIPE => thread.spawn(move || drop(by_recipe(archive, &recipe, sender))),
        _ => {
            return Err(Error::Record {
                what: "name of an encoder",
                text: encoder.to_owned(),
            });
        }
    };
    spawned.map_err(Error::Thread)?;
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

fn by_recipe(archive: impl io::BufRead, recipe: &Path, mut to: Sender) -> io::Result<()> {
    deflate::follow(archive, recipe, &mut to)?;
    to.finish()
}
