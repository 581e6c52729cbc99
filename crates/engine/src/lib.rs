//! What the product does, one verb a file: containers, exec sessions and images as use cases, their
//! records, undo, recovery.
//!
//! No HTTP, no Docker JSON, no command line, no raw system call. Verbs that only touch memory, disk
//! and a shim are blocking functions, to be called where blocking is allowed; verbs that wait are
//! async.
//!
//! Boundary types: [`Engine`], [`Config`], [`Error`], [`container::View`], [`exec::View`],
//! [`event::Event`].
//!
//! No lock is held over I/O but the one that orders the changes of a single container's record, and
//! no reader takes that one: a container that is stuck holds up nobody who lists the others.

pub mod cdi;
pub mod container;
pub mod event;
pub mod exec;
mod health;
pub mod image;
pub mod network;
pub mod render;
pub mod secret;
pub mod system;
pub mod user_ids;
pub mod volume;

mod clock;
mod engine;
mod error;
mod forward;
mod gone;
mod host;
mod readable;
mod record;
mod recover;
mod run_root;
mod steps;
mod successor;
mod supervise;
mod table;
mod undo;
mod users;

use std::path::PathBuf;

pub use container::step;
pub use engine::Engine;
pub use error::Error;
pub use forward::TlsError;
pub use shim::{AttachOptions, Streams};
pub use steps::{DIES, Passed, steps, watched};
pub use storage::{
    Asked, Checked, Checking, Descriptor, DockerConfig, Empty, Healthcheck, Image, ImageUsage,
    Import, Loaded, Problem, Remedy, Removed, RunConfig, Statement, Variant, Watermarks,
};
pub use successor::{Left, Waiting};
pub use users::UnknownUser;

/// Where an engine keeps things and finds its helpers.
#[derive(Debug, Clone)]
pub struct Config {
    /// What survives reboots: images, layers, records, logs.
    pub data_root: PathBuf,
    /// What does not: sockets, bundles.
    pub run_root: PathBuf,
    /// The cgroup under which containers' own are made: `/brig`.
    pub cgroup_parent: String,
    /// `brig-shim`.
    pub shim: PathBuf,
    /// `brig-init`, static, mounted into containers that ask for `--init`.
    pub init: PathBuf,
    /// Another OCI runtime to drive by its command line; none means our own, in the shim.
    pub foreign_runtime: Option<PathBuf>,
    /// More of them, which a container may ask for by name; another table may take this one's place.
    pub runtimes: container::Runtimes,
    /// Where devices are described, the later over the earlier: `/etc/cdi`, `/var/run/cdi`.
    pub cdi_dirs: Vec<PathBuf>,
    /// Whether SELinux confines containers, where the machine has it.
    pub selinux: bool,
    /// What containers have that do not say it.
    pub usual: container::Usual,
    /// How networks are made.
    pub network: network::Settings,
    /// How registries are asked, until [`image::registries::reload`] says otherwise.
    pub registries: image::registries::Config,
    /// What is done for the disk in the background.
    pub upkeep: image::Upkeep,
    /// What images have to fulfil, likewise; none is nothing.
    pub signature_policy: Option<image::signatures::Policy>,
    /// Ids of the host for containers with user namespaces.
    pub user_ids: user_ids::Settings,
    /// The key of the secrets; none is the data root's path with `.key` behind it.
    pub secret_key: Option<PathBuf>,
    /// For tests only: the name of a step of create or start (see [`steps`]) that fails as if the
    /// machine had refused it, so that what it leaves behind can be looked at.
    pub fail_at: Option<String>,
}
