//! What BuildKit's protocols need of a builder: its errors, what a file offers, and the protocol by which
//! clients send files. Pure: what carries them is the daemon's, their messages are the crate `buildkit`'s.

pub mod error;
pub mod files;
pub mod outline;
