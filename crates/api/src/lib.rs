//! The Docker Engine API as data: JSON types, their conversion to and from Brig's own words, the
//! stream framings, and a typed client.
//!
//! Both ends of the socket use it, so they cannot drift apart. It holds no logic of the product:
//! it knows no engine, no file and no clock; what a container comes to is decided elsewhere. [`grpc`]
//! carries the protocols of builds.
//! Wire types never travel further in than the daemon's handlers, domain types never onto the wire.
//!
//! Boundary types: everything in [`wire`], [`convert::Refusal`], [`client::Client`],
//! [`stream::Frame`], [`Version`].

pub mod client;
pub mod convert;
pub mod grpc;
pub mod loose;
pub mod stream;
mod version;
pub mod wire;

pub use version::{InvalidVersion, Version};
