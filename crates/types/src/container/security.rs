//! Privileges.

use serde::{Deserialize, Serialize};

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// Everything: all capabilities, all devices, no seccomp, nothing masked.
    pub privileged: bool,
    /// Capabilities beyond the default, without or with `CAP_`; `ALL` is every one.
    pub cap_add: Vec<String>,
    /// Capabilities less than the default.
    pub cap_drop: Vec<String>,
    /// Whether no program inside may gain privileges by exec; none leaves it to the daemon's configuration.
    #[serde(with = "super::said")]
    pub no_new_privileges: Option<bool>,
    /// The system call filter.
    pub seccomp: SeccompProfile,
    /// The AppArmor profile of its processes; none is what the daemon itself has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor: Option<String>,
    /// What SELinux is to call it, in Docker's words: `disable`, `type:spc_t`, `level:s0:c1,c2`, ...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether it may change its own cgroup at `/sys/fs/cgroup`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub writable_cgroups: bool,
    /// Replaces the default masked paths; an empty list unmasks all.
    pub masked_paths: Option<Vec<String>>,
    /// Replaces the default read-only paths.
    pub readonly_paths: Option<Vec<String>>,
}

/// Which system call filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeccompProfile {
    /// Nobody said: what the daemon is told, else Docker's default.
    #[default]
    Default,
    /// Docker's default, whatever the daemon is told.
    Builtin,
    /// None.
    Unconfined,
    /// A profile in Docker's JSON format: the text itself, as clients send it.
    Custom(String),
}
