//! Signatures of images: what a policy file demands, where signatures are, and whether they are good.
//!
//! Three pure parts: [`policy`] reads the file (containers-policy.json(5)) and chooses the rule for a
//! reference; [`check`] says whether the signatures that were found fulfil it, over bytes alone, by
//! [`openpgp`] for simple signing and by [`key`], [`certificate`], [`rekor`] and [`bundle`] for sigstore; [`lookaside`]
//! says where simple signing keeps its own. One part that asks: [`fetch`]. Knows no store and decides
//! nothing about images: who pulls asks.
//!
//! A policy is all or nothing: what cannot be read, fetched or understood is not good.

mod bundle;
mod certificate;
mod check;
mod der;
mod fetch;
#[cfg(test)]
mod fuzz;
mod identity;
mod json;
mod key;
pub(crate) mod lookaside;
mod openpgp;
mod payload;
mod policy;
mod rekor;

pub use check::{Attached, Refusal, Signatures, Subject};
pub use fetch::MAX_SIGNATURE;
pub use policy::{InvalidPolicy, Policy, Rule};
