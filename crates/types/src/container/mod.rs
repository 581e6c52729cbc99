//! What a container is to be: the domain form of `docker run`'s flags.
//!
//! Absent means "not said": the image's configuration and the defaults are merged in by `engine`.
//! Fields grow with the product; whoever adds one teaches `api` to convert it both ways and
//! `engine::render` to honour it.

mod change;
mod mounts;
mod namespaces;
mod network;
mod resources;
mod said;
mod secrets;
mod security;
mod user_namespace;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{HealthCheck, ImageRef, LogConfig, Platform, RestartPolicy};

pub use change::ContainerChange;
pub use mounts::{IdMap, MountKind, MountRequest, Propagation, VolumeRequest};
pub use namespaces::{NamespaceMode, Namespaces};
pub use network::{
    ContainerPort, DnsRequest, EndpointRequest, InvalidPort, NetworkMode, Networking, PortRequest,
    Protocol, port_range,
};
pub use resources::{
    BlockIo, BlockRate, CdiRequest, DeviceRequest, DeviceRule, InvalidUlimit, Resources, Ulimit,
};
pub use secrets::{SecretRequest, SecretTarget};
pub use security::{SeccompProfile, Security};
pub use user_namespace::{AutoIds, IdMaps, IdRange, USUAL_IDS, UserNamespace, meet};

/// Kernel parameters of an IPC namespace beside those below `fs.mqueue`, ipc_namespaces(7).
pub const IPC_SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Everything a user may say about a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// The image as the user wrote it: a reference, an id or a prefix of one.
    pub image: String,
    /// The platform asked for; none means the host's.
    pub platform: Option<Platform>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point; an empty list removes it, and an empty word its command, too.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value` added to the image's environment; a bare `NAME` removes it.
    pub env: Vec<String>,
    /// Replaces the image's working directory; absolute.
    pub working_dir: Option<String>,
    /// `user[:group]`, by name or number; replaces the image's.
    pub user: Option<String>,
    /// Supplementary groups, by name or number.
    pub groups: Vec<String>,
    /// The host name inside; none means the short id, or the host's own with host networking.
    pub hostname: Option<String>,
    /// The NIS domain name inside.
    pub domainname: Option<String>,
    /// Labels, over the image's.
    pub labels: BTreeMap<String, String>,
    /// Ports it says it listens on, `80/tcp`; documentation only.
    pub exposed_ports: BTreeSet<String>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input stays open.
    pub open_stdin: bool,
    /// Whether standard input closes when the first attached client's ends.
    pub stdin_once: bool,
    /// Which of stdin, stdout and stderr the creating client attaches to; shown by `inspect` only.
    pub attach: [bool; 3],
    /// The terminal's first size, rows and columns; zeros mean not said.
    pub console_size: [u16; 2],
    /// Signal that asks it to stop; none means the image's, then SIGTERM.
    /// As it was written, which `inspect` shows; it parses as a [`crate::Signal`].
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL; negative waits for ever; none means 10.
    pub stop_timeout: Option<i64>,
    /// What is mounted into it.
    pub mounts: Vec<MountRequest>,
    /// Paths inside at which it has volumes of its own: `-v PATH`.
    pub volumes: BTreeSet<String>,
    /// Containers whose mounts it has too, `NAME[:MODE]`.
    pub volumes_from: Vec<String>,
    /// Who keeps volumes that have to be made for it; none is `local`.
    pub volume_driver: Option<String>,
    /// Whether the root is read-only.
    pub read_only: bool,
    /// Size of `/dev/shm` in bytes; none means 64 MiB.
    pub shm_size: Option<i64>,
    /// The most its root may take on disk beside its image, in bytes; none means what there is.
    pub root_size: Option<i64>,
    /// The network.
    pub network: NetworkMode,
    /// What is asked of networks, ports and names.
    pub networking: Networking,
    /// Namespaces that it shares.
    #[serde(skip_serializing_if = "Namespaces::is_default")]
    pub namespaces: Namespaces,
    /// Whether a small init is process 1; none leaves it to the daemon's configuration.
    #[serde(with = "said")]
    pub init: Option<bool>,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// When it is started again by itself.
    pub restart: RestartPolicy,
    /// Kernel parameters inside its namespaces, sysctl(8).
    pub sysctls: BTreeMap<String, String>,
    /// The runtime that runs it, by its name in the daemon's configuration; none means the daemon's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Limits.
    pub resources: Resources,
    /// Privileges.
    pub security: Security,
    /// Secrets that it is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRequest>,
    /// Where its output is kept.
    pub log: LogConfig,
    /// How to see whether it works; none means as its image says.
    pub health: Option<HealthCheck>,
}

impl ContainerSpec {
    /// The image as a reference, if it is one and not an id.
    pub fn image_ref(&self) -> Option<ImageRef> {
        self.image.parse().ok()
    }
}
