//! Dockerfile -> instructions -> graph -> cached, concurrent execution; the BuildKit protocols.
//!
//! One half is pure. [`dockerfile`] reads the language, [`expand`] its variables, [`ignore`] the
//! files of a context that are left out; [`plan`] makes of a file and options a [`graph`] of operations and
//! an image's configuration, [`llb`] reads the definitions that BuildKit's clients send into the same graph,
//! [`check`] says what is likely not meant, [`attest`] what is to be known of a build. None of these opens a file, asks a
//! clock or a registry, or knows a container: what a base image says is given to the planner. The other
//! half, [`solve`], executes.
//!
//! Boundary types: [`dockerfile::Dockerfile`], [`plan::Options`], [`plan::Plan`], [`graph::Graph`]. The
//! graph is where the doors meet: a Dockerfile by the classic API or by BuildKit's, and LLB.

pub mod attest;
pub mod buildkit;
pub mod check;
pub mod dockerfile;
pub mod expand;
#[cfg(test)]
mod fuzz;
pub mod graph;
pub mod llb;
pub mod plan;
pub mod solve;
mod source;
mod suggest;

use types::go;

pub use source::{Position, Source, Span};
/// Which files of a context are left out: the client asks, too, and it knows `types` only.
pub use types::ignore;
