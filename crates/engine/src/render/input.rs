//! What rendering needs to know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use types::{ContainerId, ContainerSpec, IdMaps, Mount, ProcessRef};

use crate::cdi::Edits;
use crate::container::{Files, Resolved};

/// Everything the configuration depends on.
#[derive(Debug, Clone)]
pub struct RenderInput<'a> {
    /// The container.
    pub id: &'a ContainerId,
    /// What was asked for.
    pub spec: &'a ContainerSpec,
    /// That, merged with the image's configuration.
    pub resolved: &'a Resolved,
    /// Who the process is, looked up in the image's own passwd(5) and group(5).
    pub identity: Identity,
    /// Files of the host that become `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`. An empty
    /// path mounts nothing there.
    pub files: &'a Files,
    /// The devices of `spec.resources.devices`, directories walked; of a privileged container all
    /// devices of the host's `/dev`.
    pub devices: Vec<HostDevice>,
    /// What devices bring that others describe, but for the devices themselves.
    pub described: Edits,
    /// The container's own cgroup, absolute: `/brig/<id>`.
    pub cgroup_path: String,
    /// Major and minor number of the devices of `spec.resources.block_io`.
    pub block_devices: BTreeMap<String, (u32, u32)>,
    /// What it has of other containers and the host.
    pub joined: Joined,
    /// `brig-init` on the host; mounted if `spec.init` says so.
    pub init: &'a Path,
    /// The machine.
    pub host: HostFacts,
    /// What is mounted where, as far as the request does not say.
    pub placed: &'a Placed,
    /// What its users and groups are on the host; none: what they are inside.
    pub ids: Option<&'a IdMaps>,
}

/// What a container joins, as paths on the host; none makes its own, or keeps the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// A network namespace.
    pub network: Option<PathBuf>,
    /// A PID namespace.
    pub pid: Option<PathBuf>,
    /// A user namespace.
    pub user: Option<PathBuf>,
    /// An IPC namespace.
    pub ipc: Option<PathBuf>,
    /// The memory that is seen at `/dev/shm`.
    pub shm: Option<PathBuf>,
    /// Whose namespaces those are: the paths name pids.
    pub processes: Vec<(ContainerId, ProcessRef)>,
}

/// What is looked up for mounts when a container starts, by where they are inside.
#[derive(Debug, Clone, Default)]
pub struct Placed {
    /// What mounts its volumes and images.
    pub mounts: BTreeMap<String, Mount>,
    /// Owner and group of bind sources whose ids are translated.
    pub owners: BTreeMap<String, (u32, u32)>,
}

/// Who a process is, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups: the user's own in group(5) and those asked for. `gid` need not be
    /// among them.
    pub groups: Vec<u32>,
    /// The home directory in passwd(5); empty becomes `/`.
    pub home: String,
}

/// What kind of special file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe.
    Fifo,
}

/// A device of the host and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    /// Path inside the container.
    pub container_path: String,
    /// Character or block.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Some of `r`, `w` and `m`.
    pub permissions: String,
}

/// What rendering needs to know of the machine.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// What its cgroups can limit.
    pub cgroups: sys::cgroup::Capabilities,
    /// Kernel version, major and minor; for the conditions of seccomp profiles.
    pub kernel: (u32, u32),
    /// Processor in Rust's words, `std::env::consts::ARCH`.
    pub arch: &'static str,
    /// Number of the last capability this kernel knows: `/proc/sys/kernel/cap_last_cap`.
    pub last_capability: u8,
    /// Capabilities that this daemon has itself (bounding set); bit n is capability n.
    pub bounding: u64,
    /// The directories `/sys/devices/system/cpu/cpu*/thermal_throttle` that are there.
    pub thermal_throttle: Vec<String>,
}

/// What the process of an exec session depends on.
#[derive(Debug, Clone)]
pub struct ExecInput<'a> {
    /// What was asked for the container.
    pub spec: &'a ContainerSpec,
    /// That, merged with the image's configuration.
    pub resolved: &'a Resolved,
    /// Who the new process is.
    pub identity: Identity,
    /// The command and its arguments.
    pub command: &'a [String],
    /// Over the container's environment.
    pub env: &'a [String],
    /// None means the container's.
    pub working_dir: Option<&'a str>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The terminal's size, rows and columns; zeros mean not said.
    pub console_size: [u16; 2],
    /// Whether it gets all capabilities.
    pub privileged: bool,
    /// The machine.
    pub host: &'a HostFacts,
}
