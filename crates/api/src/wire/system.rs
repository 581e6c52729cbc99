//! What the daemon and the machine are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{go_struct, is_zero};

go_struct! {
    /// The answer to `GET /version`.
    pub struct Version {
        /// The product.
        pub platform: VersionPlatform,
        /// Its parts.
        pub components: Vec<Component>,
        /// The engine's version.
        pub version: String,
        /// Newest API.
        pub api_version: String,
        /// Oldest API.
        #[serde(rename = "MinAPIVersion")]
        pub min_api_version: String,
        /// Commit it was built from.
        pub git_commit: String,
        /// Compiler.
        pub go_version: String,
        /// Operating system.
        pub os: String,
        /// Processor.
        pub arch: String,
        /// Kernel.
        pub kernel_version: String,
        /// Whether experimental features are on.
        #[serde(skip_serializing_if = "is_zero")]
        pub experimental: bool,
        /// When it was built, RFC 3339.
        pub build_time: String,
    }

    /// How upgrades of the daemon in place stand; Brig's own.
    pub struct UpgradeState {
        /// Another one each time that the program is executed.
        pub instance: String,
        /// The version that runs.
        pub version: String,
        /// The file whose program takes its place.
        pub program: String,
        /// How often it was asked for.
        pub asked: u64,
        /// How many of those have failed: all up to this one.
        pub failed: u64,
        /// Why the last one did.
        pub error: String,
    }

    /// The product's name.
    pub struct VersionPlatform {
        /// For people.
        pub name: String,
    }

    /// A part of the product.
    pub struct Component {
        /// Its name.
        pub name: String,
        /// Its version.
        pub version: String,
        /// Further facts.
        #[serde(skip_serializing_if = "is_zero")]
        pub details: Option<ComponentDetails>,
    }

    /// Facts about the engine, as the client prints them.
    pub struct ComponentDetails {
        /// Newest API.
        pub api_version: String,
        /// Processor.
        pub arch: String,
        /// When it was built, RFC 3339.
        pub build_time: String,
        /// `true` or `false`
        pub experimental: String,
        /// Commit.
        pub git_commit: String,
        /// Compiler.
        pub go_version: String,
        /// Kernel.
        pub kernel_version: String,
        /// Oldest API.
        #[serde(rename = "MinAPIVersion")]
        pub min_api_version: String,
        /// Operating system.
        pub os: String,
    }

    /// The answer to `GET /info`.
    pub struct Info {
        /// This daemon's id.
        #[serde(rename = "ID")]
        pub id: String,
        /// Containers.
        pub containers: i64,
        /// Of which run.
        pub containers_running: i64,
        /// Of which are frozen.
        pub containers_paused: i64,
        /// Of which do not run.
        pub containers_stopped: i64,
        /// Images.
        pub images: i64,
        /// Storage driver.
        pub driver: String,
        /// Facts about it.
        pub driver_status: Vec<[String; 2]>,
        /// Drivers by kind.
        pub plugins: Plugins,
        /// Whether this limit works.
        pub memory_limit: bool,
        /// Whether this limit works.
        pub swap_limit: bool,
        /// Whether this limit works.
        pub cpu_cfs_period: bool,
        /// Whether this limit works.
        pub cpu_cfs_quota: bool,
        /// Whether this limit works.
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        /// Whether this limit works.
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        /// Whether this limit works.
        pub pids_limit: bool,
        /// Whether this works.
        pub oom_kill_disable: bool,
        /// Whether the host forwards.
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Before API 1.50.
        #[serde(skip_serializing_if = "is_zero")]
        pub bridge_nf_iptables: Option<bool>,
        /// Before API 1.50.
        #[serde(skip_serializing_if = "is_zero")]
        pub bridge_nf_ip6tables: Option<bool>,
        /// Whether it logs much.
        pub debug: bool,
        /// Open files.
        pub n_fd: i64,
        /// Goroutines of dockerd.
        pub n_goroutines: i64,
        /// RFC 3339.
        pub system_time: String,
        /// Default log driver.
        pub logging_driver: String,
        /// `cgroupfs`
        pub cgroup_driver: String,
        /// `1` or `2`
        pub cgroup_version: String,
        /// Who listens to events.
        pub n_events_listener: i64,
        /// Kernel.
        pub kernel_version: String,
        /// For people.
        pub operating_system: String,
        /// Its version.
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        /// `linux`
        #[serde(rename = "OSType")]
        pub os_type: String,
        /// As `uname -m`.
        pub architecture: String,
        /// Default registry.
        pub index_server_address: String,
        /// Registries.
        pub registry_config: RegistryConfig,
        /// Processors.
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        /// Bytes.
        pub mem_total: i64,
        /// For swarm.
        pub generic_resources: Option<Vec<Value>>,
        /// The data root.
        pub docker_root_dir: String,
        /// Proxy.
        pub http_proxy: String,
        /// Proxy.
        pub https_proxy: String,
        /// Not by proxy.
        pub no_proxy: String,
        /// Host name.
        pub name: String,
        /// The daemon's.
        pub labels: Vec<String>,
        /// Whether experimental features are on.
        pub experimental_build: bool,
        /// The engine's version.
        pub server_version: String,
        /// OCI runtimes.
        pub runtimes: BTreeMap<String, Runtime>,
        /// Which is used.
        pub default_runtime: String,
        /// Cluster.
        pub swarm: Swarm,
        /// Whether containers survive the daemon.
        pub live_restore_enabled: bool,
        /// Windows only.
        pub isolation: String,
        /// Process 1 of `--init`.
        pub init_binary: String,
        /// Not used here.
        pub containerd_commit: Commit,
        /// The OCI runtime.
        pub runc_commit: Commit,
        /// Process 1 of `--init`.
        pub init_commit: Commit,
        /// `name=seccomp,profile=builtin`, ...
        pub security_options: Vec<String>,
        /// Where CDI specifications are looked for.
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        /// Devices that are described there.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub discovered_devices: Vec<DeviceInfo>,
        /// Where networks get their subnets from.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub default_address_pools: Vec<AddressPool>,
        /// Who makes the rules; since API 1.49.
        #[serde(skip_serializing_if = "is_zero")]
        pub firewall_backend: Option<FirewallInfo>,
        /// What limits this kernel cannot keep.
        pub warnings: Vec<String>,
    }

    /// A range that is cut into subnets.
    pub struct AddressPool {
        /// `172.17.0.0/16`
        pub base: String,
        /// Bits of each subnet's prefix.
        pub size: i64,
    }

    /// Who makes rules for packets.
    pub struct FirewallInfo {
        /// `nftables`
        pub driver: String,
    }

    /// A device that a container may ask for by name.
    pub struct DeviceInfo {
        /// `cdi`
        pub source: String,
        /// `vendor.com/class=name`
        #[serde(rename = "ID")]
        pub id: String,
    }

    /// Drivers by kind.
    pub struct Plugins {
        /// Volumes.
        pub volume: Vec<String>,
        /// Networks.
        pub network: Vec<String>,
        /// Authorization.
        pub authorization: Option<Vec<String>>,
        /// Logs.
        pub log: Vec<String>,
    }

    /// Registries.
    pub struct RegistryConfig {
        /// Networks without TLS.
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        /// By host.
        pub index_configs: BTreeMap<String, RegistryIndex>,
        /// Of the default registry.
        pub mirrors: Option<Vec<String>>,
    }

    /// A registry.
    pub struct RegistryIndex {
        /// Mirrors.
        pub mirrors: Vec<String>,
        /// Host.
        pub name: String,
        /// Whether it is the default.
        pub official: bool,
        /// Whether it is over TLS.
        pub secure: bool,
    }

    /// An OCI runtime.
    pub struct Runtime {
        /// Its program.
        #[serde(rename = "path", skip_serializing_if = "is_zero")]
        pub path: String,
    }

    /// A version of a helper.
    pub struct Commit {
        /// Commit or version.
        #[serde(rename = "ID")]
        pub id: String,
        /// The same again; before API 1.49.
        #[serde(skip_serializing_if = "is_zero")]
        pub expected: String,
    }

    /// A cluster Brig is not part of.
    pub struct Swarm {
        /// Id.
        #[serde(rename = "NodeID")]
        pub node_id: String,
        /// Address.
        pub node_addr: String,
        /// `inactive`
        pub local_node_state: String,
        /// Whether it may control it.
        pub control_available: bool,
        /// Why not.
        pub error: String,
        /// Managers.
        pub remote_managers: Option<Vec<Value>>,
    }
}
