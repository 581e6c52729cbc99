//! A disk that fills up: above the high watermark what is least needed goes until the low one is
//! reached. What pulls have left first, then what is kept twice, then images that no container needs,
//! those without a name before the others, the oldest first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sys::dir::Dir;
use types::Digest;

use crate::error::Error;
use crate::store::Store;
use crate::{Image, Removed, compact, image, usage};

/// Shares of the disk, in per cent, above which space is made and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Nothing is done below.
    pub high: u8,
    /// Enough is free below.
    pub low: u8,
}

/// What was done for a full disk.
#[derive(Debug, Clone, Default)]
pub struct Relieved {
    /// What is gone, in order.
    pub removed: Vec<Removed>,
    /// Bytes that are or will be free by it.
    pub reclaimed: u64,
}

/// Makes space if there is too little. `spare` says which images must stay.
pub(crate) fn relieve(
    store: &Arc<Store>,
    marks: Watermarks,
    spare: &dyn Fn(&Image) -> bool,
    stop: &AtomicBool,
) -> Result<Relieved, Error> {
    let mut relieved = Relieved::default();
    let dir = &store.paths.root;
    let room = Dir::open(dir)
        .and_then(sys::disk::room)
        .map_err(Error::file("measure", dir))?;
    let used = room.total - room.available;
    if used <= share(room.total, marks.high) {
        return Ok(relieved);
    }
    let surplus = used.saturating_sub(share(room.total, marks.low.min(marks.high)));
    relieved.reclaimed += store.partials.collect(&store.paths.partials(), true)?;
    if relieved.reclaimed < surplus {
        relieved.reclaimed += compact::compact(store, stop)?.reclaimed;
    }
    while relieved.reclaimed < surplus && !stop.load(Ordering::Relaxed) {
        // Without one, what it shared with others may be theirs alone.
        let Some((id, bytes)) = least_needed(store, spare)? else {
            break;
        };
        match image::remove(store, &id.to_string(), true) {
            Ok(removed) => relieved.removed.extend(removed),
            // Somebody was quicker.
            Err(Error::NoSuchImage(_)) => continue,
            Err(error) => return Err(error),
        }
        relieved.reclaimed += bytes;
    }
    Ok(relieved)
}

fn share(total: u64, percent: u8) -> u64 {
    total / 100 * u64::from(percent.min(100))
}

/// The image to go next, and what it frees.
fn least_needed(
    store: &Store,
    spare: &dyn Fn(&Image) -> bool,
) -> Result<Option<(Digest, u64)>, Error> {
    let mut images = image::list(store)?;
    let used = store.read(image::in_use)?;
    images.retain(|image| !used.contains(&image.id.to_string()) && !spare(image));
    images.sort_by_key(|image| (!image.references.is_empty(), image.added));
    let Some(image) = images.first() else {
        return Ok(None);
    };
    let usage = usage::image_usage(store, &image.id)?;
    Ok(Some((image.id.clone(), usage.unique)))
}
