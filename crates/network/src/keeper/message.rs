//! Messages as they travel: JSON text.

use serde::{Deserialize, Serialize};

/// The text is no message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(serde_json::Error);

/// A message as it travels.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    // Every message is a struct or an enum of strings and numbers: nothing that JSON cannot say.
    serde_json::to_vec(message).unwrap_or_default()
}

/// A message as it was meant.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(Malformed)
}
