//! Tar archives as a stream of entries, in every dialect in use: v7, ustar, GNU, PAX, sparse files of
//! both, numbers in octal and base 256.
//!
//! The layout of headers is the `tar` crate's; the walk is ours, for what it must not do: hold more
//! than a bounded header in memory, cut attribute values at a newline, or pass over an offset when
//! it names what is wrong. Where readers differ about an odd archive it sides with Go's, which
//! every other engine uses. Knows no file system.

mod number;
mod pax;
mod reader;
mod sparse;

pub(crate) use reader::{Entry, Kind, Reader};
pub(crate) use sparse::Piece;
