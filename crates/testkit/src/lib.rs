//! Real daemons, real clients and real kernels for tests.
//!
//! [`Brig::start`] gives a test a daemon of its own: its own data, run directory, socket and cgroup
//! parent, so that tests run side by side and beside an installed Brig. [`Brig::finish`] removes
//! everything through the front door and then looks at the machine: no mount, cgroup, process or
//! file may be left. A test that panics on the way is cleaned up after by force.
//!
//! Knows the product by its programs only: depends on none of its crates.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests tell why they skip"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation of a test is a panic"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

mod address;
mod brig;
mod builds;
mod control;
mod dockerd;
mod hosts;
mod images;
mod leftovers;
mod network;
mod output;
mod processes;
mod programs;
pub mod registry;
mod signing;
mod tables;
mod terminal;
mod wait;

pub use address::address;
pub use brig::{Brig, Setup};
pub use builds::Build;
pub use control::{cgroup_of, cgroup_setting, unified_cgroups};
pub use dockerd::Dockerd;
pub use hosts::{Host, Lan, at};
pub use images::{busybox_tar, debian_tar};
pub use leftovers::{Leftovers, cgroups};
pub use network::Network;
pub use output::Output;
pub use processes::{Process, kill, processes_naming};
pub use programs::{Client, cache, clients, docker_plugin, docker_py, old_compose, program};
pub use signing::Signing;
pub use tables::{delete_table, tables};
pub use terminal::Terminal;
pub use wait::{AtEnd, now, until, within};

/// Whether the tests run as root, which everything that makes a container needs. Says so when not.
pub fn root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let is = uid.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0");
    if !is {
        eprintln!("SKIP: not root: no container can be made");
    }
    is
}
