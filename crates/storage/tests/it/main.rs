//! The store on a real file system, with real archives.
#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of tests are tests too: they write files and may panic"
)]

mod support;

mod archives;
mod check;
mod commit;
mod compact;
mod concurrent;
mod containers;
mod crash;
mod full_disk;
mod fuzz;
mod import;
mod layers;
mod names;
mod power;
mod pull;
mod quota;
mod relieve;
mod usage;
mod volume_races;
mod volumes;
