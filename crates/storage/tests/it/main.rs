//! The store on a real file system, with real archives.
#![allow(clippy::disallowed_methods, reason = "tests write the files they need")]

mod support;

mod archives;
mod import;
