//! The resolver of containers, without its sockets: bytes of a question go in with the time, bytes
//! of an answer or of a question for an upstream come out.
//!
//! ```text
//!   question ─► Resolver ─► Names: name, alias, id, service, address   ─► answer
//!                  │    ─► Cache: what an upstream said not long ago   ─► answer
//!                  └──► Act::Ask: an upstream, and the next when it is silent
//! ```
//!
//! What is ours is answered from names alone, whatever type is asked for; all else travels as it
//! came. A name is looked up among the networks that its asker is on and nowhere else.

mod answer;
mod cache;
pub mod host;
mod names;
mod resolver;
mod wire;

#[cfg(test)]
mod tests;

pub use names::Names;
pub use resolver::{Act, Asker, Resolver, Via};
