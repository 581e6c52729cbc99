//! Escapes, each tried for real: the container is the attacker, the built `brig-runtime` is the
//! victim, and the kernel is the judge. `docs/security.md` has the table of what is tried where.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails, and its files are its own"
)]

macro_rules! need_containers {
    () => {
        if let Some(reason) = crate::support::cannot_run() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{reason}");
            return;
        }
    };
}

#[path = "../support/mod.rs"]
mod support;

mod attacker;
mod capabilities;
mod cgroups;
mod descriptors;
mod devices;
mod environment;
mod help;
mod host_program;
mod joining;
mod links;
mod mappings;
mod procfs;
mod races;
mod sysctl;
