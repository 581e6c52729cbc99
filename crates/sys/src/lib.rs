//! x
pub mod term;
