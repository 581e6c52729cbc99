//! What is done for the disk in the background: space is made where it runs short, compressed layers
//! that are kept twice are dropped where that is wanted, and what pulls have left is collected.
//!
//! Each round is a few system calls and one query where there is nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use storage::Watermarks;

use crate::engine::Weak;
use crate::{Engine, Error};

/// From the end of a round to the next.
const PAUSE: Duration = Duration::from_secs(60);
/// Rounds from one collection of what pulls have left to the next: an hour.
const COLLECTION: u64 = 60;

/// What is to be done in the background.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Between which shares of the disk space is made; none is the default.
    pub watermarks: Option<Watermarks>,
    /// Whether compressed layers are dropped that can be made again.
    pub drop_blobs: bool,
}

/// Ends what a thread is at when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Goes on until the engine is closed.
pub(crate) async fn keep(engine: Weak) {
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    for round in 0_u64.. {
        let stopped = Arc::clone(&stop.0);
        let work = move |engine: &Engine| {
            once(engine, round, &stopped);
            Ok(())
        };
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if let Err(error) = engine.blocking(work).await {
            tracing::warn!(error = %error.chain(), "the disk is not looked after");
            return;
        }
        drop(engine);
        tokio::time::sleep(PAUSE).await;
    }
}

/// One round. What fails is tried again in the next.
fn once(engine: &Engine, round: u64, stop: &AtomicBool) {
    let upkeep = engine.config().upkeep;
    if round.is_multiple_of(COLLECTION) {
        told("collect what pulls have left", collect(engine));
    }
    if upkeep.drop_blobs {
        told("drop compressed layers", compact(engine, stop));
    }
    if let Some(marks) = upkeep.watermarks {
        told("make space on the disk", relieve(engine, marks, stop));
    }
}

fn told(what: &str, answer: Result<(), Error>) {
    if let Err(error) = answer {
        tracing::warn!(error = %error.chain(), "cannot {what}");
    }
}

fn collect(engine: &Engine) -> Result<(), Error> {
    let reclaimed = engine.storage().collect_partial(false)?;
    if reclaimed > 0 {
        tracing::info!(reclaimed, "collected what pulls had left");
    }
    Ok(())
}

fn compact(engine: &Engine, stop: &AtomicBool) -> Result<(), Error> {
    let done = engine.storage().compact(stop)?;
    if done.dropped > 0 || done.kept > 0 {
        let (dropped, kept, reclaimed) = (done.dropped, done.kept, done.reclaimed);
        tracing::info!(dropped, kept, reclaimed, "dropped compressed layers");
    }
    Ok(())
}

/// Images that containers were made from stay in any case.
fn relieve(engine: &Engine, marks: Watermarks, stop: &AtomicBool) -> Result<(), Error> {
    let done = engine.storage().relieve(marks, &|_| false, stop)?;
    if done.reclaimed > 0 {
        let (removed, reclaimed) = (done.removed.len(), done.reclaimed);
        tracing::info!(removed, reclaimed, "made space on the disk");
    }
    Ok(())
}
