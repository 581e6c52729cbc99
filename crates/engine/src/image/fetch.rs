//! A file that somebody serves on the web.

use std::fs::File;
use std::io::Write;

use crate::{Engine, Error};

/// Brings what is at an address into a file; `headers` go with the question. Given up when it is dropped. When it was
/// changed last, in seconds since the Unix epoch, if its sender says so.
pub async fn fetch(
    engine: &Engine,
    url: &str,
    headers: &[(String, String)],
    mut into: File,
) -> Result<Option<i64>, Error> {
    engine.accepts_work()?;
    let mut fetched = engine.registries().client().fetch(url, headers).await?;
    while let Some(bytes) = fetched.chunk().await? {
        // A step of a build waits for it, no client: the event loop's thread may wait for the disk.
        into.write_all(&bytes)
            .map_err(Error::io(format!("write what comes from {url}")))?;
    }
    Ok(fetched.modified())
}
