//! The Dockerfile language: text -> stages and instructions, each with its place in the file.
//!
//! Sentences about mistakes are BuildKit's where users know them. Variables stay as they are: what they
//! mean depends on the build.

mod error;
mod heredoc;
mod instruction;
mod lines;
mod mount;
mod parse;
#[cfg(test)]
mod tests;
mod words;

pub use error::Error;
pub use heredoc::Heredoc;
pub(crate) use heredoc::parse as parse_heredoc;
pub use instruction::{
    Arg, CommandLine, Dockerfile, Healthcheck, Inline, Instruction, Pair, Run, RunNetwork, Stage,
    Transfer, Verb,
};
pub use lines::{Directive, directives};
pub use mount::{Device, Mount, MountKind, MountSpec, Sharing};
pub use parse::{parse, parse_trigger};
