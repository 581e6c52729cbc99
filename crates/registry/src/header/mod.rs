//! Headers of the protocol, read from strangers: pure functions of text, bounded, never panicking.

mod challenge;
mod link;
mod range;
mod retry_after;

pub(crate) use challenge::{Challenge, challenges};
pub(crate) use link::next;
pub(crate) use range::{content_range, received};
pub(crate) use retry_after::retry_after;

/// No honest header is longer.
const MAX_HEADER: usize = 16 << 10;
