//! Layers on disk: a tar archive put in place below one directory, in overlayfs's form.

mod pack;
mod place;
mod record;
mod room;
mod times;
mod unpack;
mod verify;
mod whiteout;
mod worker;

pub(crate) use pack::{pack, repack};
pub(crate) use place::clean;
pub(crate) use record::{Rebuilt, get_number, put_number};
pub use unpack::{Among, unpack_among};
pub(crate) use unpack::{Unpacked, gave_up, unpack, unpack_files};
pub(crate) use verify::{LastOf, Verified, verify};
pub(crate) use whiteout::{GONE, OPAQUE_NAME, is_opaque, is_reserved, is_whiteout};
pub(crate) use worker::{Worker, unpack_growing};
