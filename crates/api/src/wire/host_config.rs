//! The half of a container's configuration that depends on the host.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{go_struct, is_zero};

go_struct! {
    /// Docker's HostConfig with its Resources.
    pub struct HostConfig {
        /// `source:target[:mode]`
        pub binds: Option<Vec<String>>,
        /// Where the client wrote the id.
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        /// Where output is kept.
        pub log_config: LogConfig,
        /// `default`, `bridge`, `none`, `host`, a network's name, `container:ID`.
        pub network_mode: String,
        /// Published ports by `80/tcp`.
        pub port_bindings: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
        /// When it is started again.
        pub restart_policy: RestartPolicy,
        /// Whether it is removed when it ends.
        pub auto_remove: bool,
        /// Driver of volumes named in `binds`.
        pub volume_driver: String,
        /// Containers whose volumes it gets.
        pub volumes_from: Option<Vec<String>>,
        /// The terminal's first size, rows and columns.
        pub console_size: [u16; 2],
        /// OCI annotations.
        #[serde(skip_serializing_if = "is_zero")]
        pub annotations: BTreeMap<String, String>,
        /// Capabilities more.
        pub cap_add: Option<Vec<String>>,
        /// Capabilities less.
        pub cap_drop: Option<Vec<String>>,
        /// `private` or `host`.
        pub cgroupns_mode: String,
        /// Name servers.
        pub dns: Option<Vec<String>>,
        /// resolv.conf(5) options.
        pub dns_options: Option<Vec<String>>,
        /// Search domains.
        pub dns_search: Option<Vec<String>>,
        /// Lines for `/etc/hosts`: `name:address`.
        pub extra_hosts: Option<Vec<String>>,
        /// Supplementary groups.
        pub group_add: Option<Vec<String>>,
        /// IPC namespace.
        pub ipc_mode: String,
        /// Cgroup of another container.
        pub cgroup: String,
        /// Legacy links.
        pub links: Option<Vec<String>>,
        /// Adjustment of the out-of-memory killer's score.
        pub oom_score_adj: i64,
        /// PID namespace.
        pub pid_mode: String,
        /// All privileges.
        pub privileged: bool,
        /// Publish all exposed ports.
        pub publish_all_ports: bool,
        /// Read-only root.
        pub readonly_rootfs: bool,
        /// `no-new-privileges`, `seccomp=...`, ...
        pub security_opt: Option<Vec<String>>,
        /// Options of the storage driver.
        #[serde(skip_serializing_if = "is_zero")]
        pub storage_opt: BTreeMap<String, String>,
        /// `target` to options.
        #[serde(skip_serializing_if = "is_zero")]
        pub tmpfs: BTreeMap<String, String>,
        /// UTS namespace.
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        /// User namespace.
        #[serde(rename = "UsernsMode")]
        pub userns_mode: String,
        /// Bytes of `/dev/shm`.
        pub shm_size: i64,
        /// Kernel parameters.
        #[serde(skip_serializing_if = "is_zero")]
        pub sysctls: BTreeMap<String, String>,
        /// Name of an OCI runtime.
        #[serde(skip_serializing_if = "is_zero")]
        pub runtime: String,
        /// Windows only.
        pub isolation: String,
        /// Relative weight.
        pub cpu_shares: i64,
        /// Bytes.
        pub memory: i64,
        /// Billionths of a processor.
        pub nano_cpus: i64,
        /// Cgroup above the container's own.
        pub cgroup_parent: String,
        /// Weight of block I/O.
        pub blkio_weight: u16,
        /// The same by device.
        pub blkio_weight_device: Option<Vec<WeightDevice>>,
        /// Bytes a second by device.
        pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
        /// Bytes a second by device.
        pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
        /// Operations a second by device.
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
        /// Operations a second by device.
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
        /// Microseconds.
        pub cpu_period: i64,
        /// Microseconds.
        pub cpu_quota: i64,
        /// Microseconds.
        pub cpu_realtime_period: i64,
        /// Microseconds.
        pub cpu_realtime_runtime: i64,
        /// `0-2,4`
        pub cpuset_cpus: String,
        /// `0-2,4`
        pub cpuset_mems: String,
        /// Devices.
        pub devices: Option<Vec<DeviceMapping>>,
        /// Rules as in cgroup v1's `devices.allow`.
        pub device_cgroup_rules: Option<Vec<String>>,
        /// Requests to device drivers, as for GPUs.
        pub device_requests: Option<Vec<DeviceRequest>>,
        /// Bytes of kernel memory; gone since API 1.42.
        #[serde(skip_serializing_if = "is_zero")]
        pub kernel_memory: i64,
        /// Bytes of kernel memory for TCP.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_zero")]
        pub kernel_memory_tcp: i64,
        /// Bytes.
        pub memory_reservation: i64,
        /// Bytes of memory and swap; -1 is unlimited.
        pub memory_swap: i64,
        /// 0 to 100; -1 is not said.
        pub memory_swappiness: Option<i64>,
        /// Whether the out-of-memory killer is off.
        pub oom_kill_disable: Option<bool>,
        /// Number of processes; 0 and -1 are unlimited.
        pub pids_limit: Option<i64>,
        /// Resource limits.
        pub ulimits: Option<Vec<Ulimit>>,
        /// Windows only.
        pub cpu_count: i64,
        /// Windows only.
        pub cpu_percent: i64,
        /// Windows only.
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        /// Windows only.
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
        /// Mounts in the long form.
        #[serde(skip_serializing_if = "is_zero")]
        pub mounts: Vec<Mount>,
        /// Replaces the default masked paths.
        pub masked_paths: Option<Vec<String>>,
        /// Replaces the default read-only paths.
        pub readonly_paths: Option<Vec<String>>,
        /// Whether a small init is process 1.
        #[serde(skip_serializing_if = "is_zero")]
        pub init: Option<bool>,
        /// Brig's own: what comes on each network.
        #[serde(skip_serializing_if = "is_zero")]
        pub net_ingress: Option<NetRate>,
        /// Brig's own: what is sent on each network.
        #[serde(skip_serializing_if = "is_zero")]
        pub net_egress: Option<NetRate>,
        /// Brig's own: secrets that it is given.
        #[serde(skip_serializing_if = "is_zero")]
        pub secrets: Vec<SecretReference>,
    }

    /// Brig's own: a secret of a container's, and how it is given.
    pub struct SecretReference {
        /// The secret's name.
        pub source: String,
        /// The file's name in `/run/secrets`, or the variable's; the secret's own if empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub target: String,
        /// Whether it is a variable of the environment.
        #[serde(skip_serializing_if = "is_zero")]
        pub variable: bool,
        /// The file's owner.
        #[serde(rename = "UID", skip_serializing_if = "is_zero")]
        pub uid: u32,
        /// The file's group.
        #[serde(rename = "GID", skip_serializing_if = "is_zero")]
        pub gid: u32,
        /// The file's permission bits; 0444 if not said.
        #[serde(skip_serializing_if = "is_zero")]
        pub mode: Option<u32>,
    }

    /// Brig's own: how much may pass.
    pub struct NetRate {
        /// Bytes a second; 0 is no limit.
        pub rate: u64,
        /// Bytes that may go at once; 0 leaves it to the daemon.
        #[serde(skip_serializing_if = "is_zero")]
        pub burst: u64,
    }

    /// A log driver.
    pub struct LogConfig {
        /// Its name; empty is the daemon's default.
        pub r#type: String,
        /// Its options.
        pub config: Option<BTreeMap<String, String>>,
    }

    /// When a container is started again.
    pub struct RestartPolicy {
        /// `no`, `always`, `unless-stopped`, `on-failure`.
        pub name: String,
        /// Tries, for `on-failure`.
        pub maximum_retry_count: i64,
    }

    /// Where a port is published.
    pub struct PortBinding {
        /// Address of the host.
        pub host_ip: String,
        /// Port or range.
        pub host_port: String,
        /// Brig's own: prefixes of those who may use it; empty means all.
        #[serde(skip_serializing_if = "is_zero")]
        pub allow: Vec<String>,
    }

    /// A device of the host.
    pub struct DeviceMapping {
        /// Path on the host.
        pub path_on_host: String,
        /// Path inside.
        pub path_in_container: String,
        /// Some of `rwm`.
        pub cgroup_permissions: String,
    }

    /// A device's weight.
    pub struct WeightDevice {
        /// Path on the host.
        pub path: String,
        /// 10 to 1000.
        pub weight: u16,
    }

    /// A device's rate.
    pub struct ThrottleDevice {
        /// Path on the host.
        pub path: String,
        /// Bytes or operations a second.
        pub rate: u64,
    }

    /// A request to a driver of devices.
    pub struct DeviceRequest {
        /// The driver's name.
        pub driver: String,
        /// How many; -1 is all.
        pub count: i64,
        /// Which.
        #[serde(rename = "DeviceIDs")]
        pub device_ids: Option<Vec<String>>,
        /// One of these lists must be fulfilled.
        pub capabilities: Option<Vec<Vec<String>>>,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
    }

    /// A resource limit.
    pub struct Ulimit {
        /// `nofile`
        pub name: String,
        /// -1 is unlimited.
        pub hard: i64,
        /// -1 is unlimited.
        pub soft: i64,
    }

    /// A mount in the long form.
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `image`, `cluster`, `npipe`.
        #[serde(skip_serializing_if = "is_zero")]
        pub r#type: String,
        /// A path, or a volume's or image's name.
        #[serde(skip_serializing_if = "is_zero")]
        pub source: String,
        /// Path inside.
        #[serde(skip_serializing_if = "is_zero")]
        pub target: String,
        /// Whether it is read-only.
        #[serde(skip_serializing_if = "is_zero")]
        pub read_only: bool,
        /// Of interest to Docker Desktop only.
        #[serde(skip_serializing_if = "is_zero")]
        pub consistency: String,
        /// For `bind`.
        #[serde(skip_serializing_if = "is_zero")]
        pub bind_options: Option<BindOptions>,
        /// For `volume`.
        #[serde(skip_serializing_if = "is_zero")]
        pub volume_options: Option<VolumeOptions>,
        /// For `image`.
        #[serde(skip_serializing_if = "is_zero")]
        pub image_options: Option<ImageOptions>,
        /// For `tmpfs`.
        #[serde(skip_serializing_if = "is_zero")]
        pub tmpfs_options: Option<TmpfsOptions>,
        /// For `cluster`.
        #[serde(skip_serializing_if = "is_zero")]
        pub cluster_options: Option<Value>,
    }

    /// How a bind mount behaves.
    pub struct BindOptions {
        /// `rprivate`, ...
        #[serde(skip_serializing_if = "is_zero")]
        pub propagation: String,
        /// Whether mounts below stay away.
        #[serde(skip_serializing_if = "is_zero")]
        pub non_recursive: bool,
        /// Whether a missing source is made.
        #[serde(skip_serializing_if = "is_zero")]
        pub create_mountpoint: bool,
        /// Whether read-only covers the top mount only.
        #[serde(skip_serializing_if = "is_zero")]
        pub read_only_non_recursive: bool,
        /// Whether it must cover all.
        #[serde(skip_serializing_if = "is_zero")]
        pub read_only_force_recursive: bool,
        /// Brig's own: whose files are shown as the container's user's, `auto` or `UID:GID`.
        #[serde(skip_serializing_if = "is_zero")]
        pub id_map: String,
    }

    /// How a volume is mounted.
    pub struct VolumeOptions {
        /// Whether an empty one stays empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub no_copy: bool,
        /// Labels, should it have to be made.
        #[serde(skip_serializing_if = "is_zero")]
        pub labels: Option<BTreeMap<String, String>>,
        /// Who keeps it, should it have to be made.
        #[serde(skip_serializing_if = "is_zero")]
        pub driver_config: Option<DriverConfig>,
        /// The part of it that is mounted.
        #[serde(skip_serializing_if = "is_zero")]
        pub subpath: String,
    }

    /// A driver of volumes.
    pub struct DriverConfig {
        /// Its name; empty is `local`.
        #[serde(skip_serializing_if = "is_zero")]
        pub name: String,
        /// Its options.
        #[serde(skip_serializing_if = "is_zero")]
        pub options: Option<BTreeMap<String, String>>,
    }

    /// How an image is mounted.
    pub struct ImageOptions {
        /// The part of it that is mounted.
        #[serde(skip_serializing_if = "is_zero")]
        pub subpath: String,
    }

    /// How a tmpfs behaves.
    pub struct TmpfsOptions {
        /// Bytes; 0 is the kernel's default.
        #[serde(skip_serializing_if = "is_zero")]
        pub size_bytes: i64,
        /// Permission bits.
        #[serde(skip_serializing_if = "is_zero")]
        pub mode: u32,
        /// Further options: `[name]` or `[name, value]`.
        #[serde(skip_serializing_if = "is_zero")]
        pub options: Vec<Vec<String>>,
    }
}
