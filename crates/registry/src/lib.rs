//! The distribution protocol (OCI distribution specification 1.1, Docker registry API v2): resolve,
//! fetch, push, authentication, mirrors, resume.
//!
//! Streams bytes and owns no file: what it is configured with is data (certificates and keys too), and
//! credentials come with each call. Knows no image beyond its manifests, and no store: who stores a blob
//! verifies it. Makes no connection, no thread and no TLS before the first request.
//!
//! Everything a registry sends is a stranger's: documents, headers, tokens and redirects are bounded and
//! checked, and a blob never delivers more than its descriptor says.
//!
//! What a policy demands of an image's signatures is in [`signatures`].
//!
//! Boundary types: [`Client`], [`Config`], [`Credentials`], [`Repository`], [`Manifest`], [`Descriptor`],
//! [`Blob`], [`Source`], [`Error`].

mod answer;
mod authorize;
mod blob;
mod client;
mod config;
mod credentials;
mod error;
mod feed;
mod fetch;
#[cfg(test)]
mod fuzz;
mod header;
mod hosts;
mod login;
mod manifest;
mod pool;
mod proxy;
mod push;
mod ranges;
mod referrers;
mod repository;
mod resolve;
mod route;
mod search;
mod session;
pub mod signatures;
mod tags;
mod tls;
mod token;
mod transmit;
mod upload;

pub use blob::Blob;
pub use client::Client;
pub use config::{
    ClientCertificate, Config, Host, InvalidConfig, Limits, Mirror, MirrorUse, Proxies, Registry,
};
pub use credentials::{Credential, Credentials};
pub use error::{Action, Error};
pub use feed::Source;
pub use fetch::{Fetched, place_of};
pub use hosts::HostFile;
pub use login::Login;
pub use manifest::{Content, Descriptor, Malformed, Manifest};
pub use repository::Repository;
pub use search::{Found, Search};
pub use tags::Tags;
pub use tls::tls_config;
