//! Compose file -> project; observe; pure plan; execute through the client of `api`.
//!
//! Never links the engine. Not written yet.
