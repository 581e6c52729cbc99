//! Bundle -> process: the OCI runtime, as a library for `brig-shim` and as `brig-runtime`.
//!
//! Synchronous and single-threaded from start to execve(2): the one way it makes a process is
//! clone3(2) of the caller, which therefore must have one thread. Knows the OCI runtime
//! specification and the kernel (through `sys`); knows nothing of images, Docker, the daemon or the
//! shim.
//!
//! Boundary types: [`CreateRequest`], [`Created`], [`Container`], [`ExecRequest`], [`Error`].
//!
//! How it goes: [`prepare`] checks the configuration and turns it into a plan, with everything that
//! needs the host's view opened; [`mod@create`] makes the cgroup and clones; the copy runs the table
//! of [`init::steps`], talking to its maker by [`protocol`].

mod cgroup;
mod checkpoint;
mod container;
mod create;
mod error;
mod exec;
mod features;
#[cfg(test)]
mod fuzz;
mod groundwork;
mod hooks;
mod id_maps;
mod init;
mod later;
mod mount_options;
mod nest;
mod net_devices;
mod network;
mod parse;
mod prepare;
mod protocol;
mod resctrl;
mod rootless;
mod saved;
mod seccomp;
mod shared_root;
mod start;
mod supervisor;
mod usher;
mod warning;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Process, Spec};
use types::{Mount, Signal};

pub use cgroup::{CgroupDriver, SystemdFailure, merge_resources, planned as planned_cgroup};
pub use checkpoint::{
    CgroupsMode, CheckpointRequest, CriuOptions, RestoreRequest, Restored, restore,
};
pub use container::Container;
pub use create::{Created, create};
pub use error::Error;
pub use exec::Joining;
pub use features::features;
pub use groundwork::Groundwork;
pub use init::root::link_mount_table;
pub use nest::{is_apart, nest, nest_again, settle};
pub use network::{Network, begin_network};
pub use parse::{parse_process, parse_resources, parse_spec};
pub use prepare::check_id;
pub use rootless::Rootless;
pub use saved::{Saved, SavedDirectory};
pub use seccomp::{CompiledFilter, seccomp_flags};
pub use shared_root::SharedRoot;
pub use start::open_gate;
pub use warning::on_warning;

/// What [`create`] needs.
#[derive(Debug)]
pub struct CreateRequest<'a> {
    /// The container's id; names its cgroup where the specification names none.
    pub id: &'a str,
    /// The bundle: relative paths of the specification start here.
    pub bundle: &'a Path,
    /// The configuration (config.json).
    pub spec: &'a Spec,
    /// The root file system, mounted in the container's own namespace only, so that nothing is left
    /// on the host whoever dies. Empty: `spec.root.path` is a directory that is there.
    pub rootfs: &'a [Mount],
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// The signal the kernel sends to the container when the calling thread dies.
    pub parent_death_signal: Option<Signal>,
    /// A listening SOCK_SEQPACKET unix socket at which the process waits for [`open_gate`], for
    /// callers that end before the container starts. None: it waits for [`Created::start`], and
    /// ends when the caller does before that.
    pub gate: Option<OwnedFd>,
    /// Whether the process goes on to its command as soon as it can, without a wait for
    /// [`Created::start`], which then only tells how that went: for callers with nothing to do in
    /// between. With a gate, or with hooks that run in between, it waits all the same.
    pub start_at_once: bool,
    /// Where such a word may come from while the process works: heard by then, it is as if it had been given at
    /// once.
    pub word: Option<Word<'a>>,
    /// A network namespace for a specification that asks for a new one. None, or one that has to belong
    /// to a new user namespace: it is made with the others.
    pub network: Option<Network>,
    /// A filter that takes the place of the specification's.
    pub filter: Option<&'a CompiledFilter>,
    /// What was made of it before; the rest is made now.
    pub groundwork: Option<Groundwork>,
    /// Who makes the cgroup.
    pub cgroup_driver: CgroupDriver,
    /// Whether the container may go without a cgroup where the caller may make none.
    pub rootless: Rootless,
    /// How many descriptors from 3 on the process keeps besides the standard streams.
    pub preserve_fds: u32,
    /// Whether it gets a session keyring of its own instead of the caller's.
    pub new_keyring: bool,
    /// Whether the root is changed without pivot_root(2), which the first file system of a machine,
    /// a ramdisk, does not allow.
    pub no_pivot: bool,
    /// The directory in which word is left of the mounts of a container without a mount namespace
    /// before they are made, for [`SharedRoot::noted`]. None: they stay if the caller is killed.
    pub note_mounts_in: Option<&'a Path>,
    /// What the caller has to do that may as well be done while the process works: called when it was
    /// made.
    pub meanwhile: Option<fn()>,
    /// For tests: the step of [`steps`] that is to fail. None in real life.
    pub fail_at: Option<&'a str>,
}

/// Somebody who may say, before the process is ready, that it is to be started then.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// Readable when something has been said. Nothing is taken from it: who has said it is answered by the caller.
    pub source: BorrowedFd<'a>,
    /// Whether that is the word.
    pub is_start: fn(BorrowedFd<'_>) -> bool,
}

/// Where a process' standard streams go.
#[derive(Debug)]
pub enum Stdio {
    /// The caller's own.
    Inherit,
    /// These descriptors become 0, 1 and 2.
    Files([OwnedFd; 3]),
    /// A new pseudo-terminal of the container's devpts, whose master the caller gets back.
    Terminal {
        /// Rows and columns; zeros leave the kernel's default.
        size: [u16; 2],
        /// Whether ends of lines come as the programs write them, without the carriage return that
        /// a terminal puts before each (ONLCR): for callers that show them on a terminal, which
        /// does it itself.
        bare_lines: bool,
    },
}

/// What [`Container::exec`] needs.
#[derive(Debug)]
pub struct ExecRequest<'a> {
    /// Arguments, environment, identity, capabilities and limits of the new process.
    pub process: &'a Process,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// How many descriptors from 3 on the process keeps besides the standard streams.
    pub preserve_fds: u32,
    /// Whether it gets the session keyring of [`CreateRequest::new_keyring`].
    pub new_keyring: bool,
    /// Cgroups below the container's to run in, as `[CONTROLLERS:]PATH`; empty is the container's
    /// own.
    pub cgroups: &'a [&'a str],
    /// What the caller has to do that may as well be done while the process works: called when it was
    /// made. Not by [`Container::begin_exec`], which returns by then.
    pub meanwhile: Option<fn()>,
}

/// A process joined to a container.
#[derive(Debug)]
pub struct Executed {
    /// The process, a child of the caller, who has not reaped it.
    pub pid: i32,
    /// The same, to wait for.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

/// The newest version of the specification that is known.
pub const SPEC_VERSION: &str = "1.3.0";

/// The names of all steps of [`create`] and [`Created::start`], in their order: what
/// [`CreateRequest::fail_at`] takes.
pub fn steps() -> Vec<&'static str> {
    let ours = create::STEPS.iter().copied();
    ours.chain(init::steps::names()).collect()
}
