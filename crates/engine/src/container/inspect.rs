//! `inspect`: one container, from memory.

use std::time::Duration;

use super::{View, WaitFor, view, wait};
use crate::{Engine, Error};

/// One container. Reads memory only.
pub fn inspect(engine: &Engine, who: &str) -> Result<View, Error> {
    let container = engine.find(who)?;
    Ok(view(engine, &container))
}

/// How long the end of a process that has ended may take to be known.
const TO_BE_KNOWN: Duration = Duration::from_secs(1);

/// The same; of one whose process has ended a moment ago, how. Its shim ends the streams of clients before
/// this daemon has heard of the end, and who has read all of its output asks next.
pub async fn inspect_settled(engine: &Engine, who: &str) -> Result<View, Error> {
    let view = inspect(engine, who)?;
    let process = view.lifecycle.process();
    if !process.is_some_and(sys::proc::is_ending) {
        return Ok(view);
    }
    let ended = wait(engine, view.id.as_str(), WaitFor::NotRunning)?;
    // One that takes longer is shown as it is known.
    let _ = tokio::time::timeout(TO_BE_KNOWN, ended).await;
    inspect(engine, who)
}

/// Bytes in the writable layer. Blocking.
pub fn size(engine: &Engine, who: &str) -> Result<u64, Error> {
    let container = engine.find(who)?;
    Ok(engine.storage().usage(container.id())?)
}
