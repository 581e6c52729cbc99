//! Dockerfile -> instructions -> graph -> cached, concurrent execution; the BuildKit protocols.
//!
//! What stands so far is pure: [`dockerfile`] reads the language, [`expand`] its variables, [`ignore`] the
//! files of a context that are left out. Nothing here opens a file, asks a clock or knows a container.

pub mod dockerfile;
pub mod expand;
mod go;
pub mod ignore;
mod source;
mod suggest;

pub use source::{Position, Source, Span};
