//! The executing half: a graph becomes files, a Dockerfile an image.
//!
//! Whoever asks is a [`Client`], whoever looks on a [`Progress`]; a build is given up by a [`Cancel`].

mod client;
mod failure;
mod progress;

pub use client::{Client, Tree};
pub use engine::step::Cancel;
pub use failure::Failure;
pub use progress::{Event, Progress, Silent, Status, Time, VertexState};
