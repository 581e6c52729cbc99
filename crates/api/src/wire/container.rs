//! What the daemon says about containers.

use std::collections::BTreeMap;

use super::config::both;
use super::{
    ContainerConfig, Descriptor, EndpointSettings, HostConfig, Mount, NetworkSettings, PortBinding,
    PortSummary, go_struct, is_zero,
};

/// The body of `POST /containers/{id}/update`: limits and restart policy as Docker has them, and more.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct ContainerUpdateRequest {
    /// Limits and restart policy.
    #[serde(flatten)]
    pub host_config: HostConfig,
    /// The rest.
    #[serde(flatten)]
    pub more: MoreChanges,
}

impl<'de> serde::Deserialize<'de> for ContainerUpdateRequest {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (host_config, more) = both::<D, HostConfig, MoreChanges>(from)?;
        Ok(Self { host_config, more })
    }
}

/// The header that has a [`ContainerCreateResponse`], in base64, where the answer is a connection
/// (`POST /containers/create?run=1`).
pub const MADE: &str = "brig-made";

go_struct! {
    /// The answer to `POST /containers/create`.
    pub struct ContainerCreateResponse {
        /// The new container.
        pub id: String,
        /// What the user should know.
        pub warnings: Vec<String>,
    }

    /// The answer to `POST /commit`.
    pub struct CommitResponse {
        /// The new image.
        pub id: String,
    }

    /// What a container is doing.
    pub struct ContainerState {
        /// One word.
        pub status: String,
        /// Whether its command runs.
        pub running: bool,
        /// Whether it is frozen.
        pub paused: bool,
        /// Whether it waits to be started again.
        pub restarting: bool,
        /// Whether the out-of-memory killer struck.
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        /// Whether it was given up.
        pub dead: bool,
        /// First process, 0 if none.
        pub pid: i32,
        /// Exit code of the last run.
        pub exit_code: i32,
        /// Why it could not run.
        pub error: String,
        /// RFC 3339; year 1 is never.
        pub started_at: String,
        /// RFC 3339; year 1 is never.
        pub finished_at: String,
        /// What was seen of its health, if that is looked at.
        #[serde(skip_serializing_if = "is_zero")]
        pub health: Option<Health>,
        /// What ended the last run, if one has ended.
        #[serde(skip_serializing_if = "is_zero")]
        pub exit_reason: Option<ExitReason>,
    }

    /// What ended a container's last run: Brig's own word, of which Docker's clients take no notice.
    pub struct ExitReason {
        /// One word: `exited`, `signal`, `oom`, `stop`, `restart`, `kill`, `remove`, `unhealthy`, `start-failed` or `lost`.
        pub cause: String,
        /// The signal that killed its first process, as `SIGKILL`.
        #[serde(skip_serializing_if = "is_zero")]
        pub signal: String,
        /// The container's own limit where it ran out of memory, in bytes.
        #[serde(skip_serializing_if = "is_zero")]
        pub memory_limit: Option<i64>,
        /// The step at which it could not be started.
        #[serde(skip_serializing_if = "is_zero")]
        pub step: String,
        /// One sentence.
        pub words: String,
    }

    /// What was seen of a container's health.
    pub struct Health {
        /// `starting`, `healthy` or `unhealthy`.
        pub status: String,
        /// Failures in a row.
        pub failing_streak: u32,
        /// The last looks.
        pub log: Vec<HealthProbe>,
    }

    /// One look.
    pub struct HealthProbe {
        /// RFC 3339.
        pub start: String,
        /// RFC 3339.
        pub end: String,
        /// 0 is good.
        pub exit_code: i32,
        /// What it said.
        pub output: String,
    }

    /// A container's health in a listing.
    pub struct HealthSummary {
        /// `none`, `starting`, `healthy` or `unhealthy`.
        pub status: String,
        /// Failures in a row.
        pub failing_streak: u32,
    }

    /// Docker's graph driver, which Brig does not have.
    pub struct GraphDriver {
        /// Its facts.
        pub data: Option<BTreeMap<String, String>>,
        /// Its name.
        pub name: String,
    }

    /// A mount as it was made.
    pub struct MountPoint {
        /// `bind`, `volume`, `tmpfs`, `image`.
        pub r#type: String,
        /// Of a volume.
        #[serde(skip_serializing_if = "is_zero")]
        pub name: String,
        /// Path on the host.
        pub source: String,
        /// Path inside.
        pub destination: String,
        /// Of a volume.
        #[serde(skip_serializing_if = "is_zero")]
        pub driver: String,
        /// Mode text of `-v`.
        pub mode: String,
        /// Whether it can be written to.
        #[serde(rename = "RW")]
        pub rw: bool,
        /// Propagation.
        pub propagation: String,
    }

    /// The answer to `GET /containers/{id}/json`.
    pub struct ContainerInspect {
        /// Id.
        pub id: String,
        /// RFC 3339.
        pub created: String,
        /// The program.
        pub path: String,
        /// Its arguments.
        pub args: Vec<String>,
        /// What it is doing.
        pub state: ContainerState,
        /// The image's id.
        pub image: String,
        /// File on the host.
        pub resolv_conf_path: String,
        /// File on the host.
        pub hostname_path: String,
        /// File on the host.
        pub hosts_path: String,
        /// File on the host.
        pub log_path: String,
        /// With a leading slash.
        pub name: String,
        /// How often a policy started it again.
        pub restart_count: u32,
        /// Storage driver.
        pub driver: String,
        /// Operating system.
        pub platform: String,
        /// Of the image's manifest; from API 1.48.
        #[serde(skip_serializing_if = "is_zero")]
        pub image_manifest_descriptor: Option<Descriptor>,
        /// SELinux.
        pub mount_label: String,
        /// SELinux.
        pub process_label: String,
        /// AppArmor.
        pub app_armor_profile: String,
        /// Exec sessions; null if none.
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        /// The half that depends on the host.
        pub host_config: HostConfig,
        /// Before API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub graph_driver: Option<GraphDriver>,
        /// Bytes in the writable layer, if asked for.
        #[serde(skip_serializing_if = "is_zero")]
        pub size_rw: Option<i64>,
        /// Bytes with the image, if asked for.
        #[serde(skip_serializing_if = "is_zero")]
        pub size_root_fs: Option<i64>,
        /// Mounts as they were made.
        pub mounts: Vec<MountPoint>,
        /// The portable half, the image's merged in.
        pub config: ContainerConfig,
        /// Networks.
        pub network_settings: NetworkSettings,
    }

    /// A line of `GET /containers/json`.
    pub struct ContainerSummary {
        /// Id.
        pub id: String,
        /// With leading slashes.
        pub names: Vec<String>,
        /// As it was named at creation.
        pub image: String,
        /// Its id.
        #[serde(rename = "ImageID")]
        pub image_id: String,
        /// Of the image's manifest; from API 1.48.
        #[serde(skip_serializing_if = "is_zero")]
        pub image_manifest_descriptor: Option<Descriptor>,
        /// Program and arguments.
        pub command: String,
        /// Seconds since the epoch.
        pub created: i64,
        /// Published ports.
        pub ports: Vec<PortSummary>,
        /// Bytes in the writable layer, if asked for.
        #[serde(skip_serializing_if = "is_zero")]
        pub size_rw: Option<i64>,
        /// Bytes with the image, if asked for.
        #[serde(skip_serializing_if = "is_zero")]
        pub size_root_fs: Option<i64>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// One word.
        pub state: String,
        /// For people.
        pub status: String,
        /// What ended the last run, for people; Brig's own.
        #[serde(skip_serializing_if = "is_zero")]
        pub exit_reason: String,
        /// Since API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub health: Option<HealthSummary>,
        /// A bit of the host's half.
        pub host_config: SummaryHostConfig,
        /// Networks.
        pub network_settings: SummaryNetworkSettings,
        /// Mounts.
        pub mounts: Vec<MountPoint>,
    }

    /// A bit of the host's half.
    pub struct SummaryHostConfig {
        /// Network mode.
        pub network_mode: String,
        /// OCI annotations.
        #[serde(skip_serializing_if = "is_zero")]
        pub annotations: BTreeMap<String, String>,
    }

    /// Networks in a listing.
    pub struct SummaryNetworkSettings {
        /// By name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// The answer to `POST /containers/{id}/wait`.
    pub struct ContainerWaitResponse {
        /// Exit code.
        pub status_code: i64,
        /// Why there is none.
        #[serde(skip_serializing_if = "is_zero")]
        pub error: Option<WaitError>,
    }

    /// Why waiting failed.
    pub struct WaitError {
        /// One sentence.
        pub message: String,
    }

    /// What only Brig changes of a container that is there.
    pub struct MoreChanges {
        /// Labels by name; null takes one away.
        #[serde(skip_serializing_if = "is_zero")]
        pub labels: BTreeMap<String, Option<String>>,
        /// Variables by name; null takes one away.
        #[serde(skip_serializing_if = "is_zero")]
        pub env: BTreeMap<String, Option<String>>,
        /// Ports to publish, as in `PortBindings`.
        #[serde(skip_serializing_if = "is_zero")]
        pub add_ports: BTreeMap<String, Option<Vec<PortBinding>>>,
        /// Ports not to publish any more; an empty address or port means any.
        #[serde(skip_serializing_if = "is_zero")]
        pub remove_ports: BTreeMap<String, Option<Vec<PortBinding>>>,
        /// What to mount, as in `Mounts`.
        #[serde(skip_serializing_if = "is_zero")]
        pub add_mounts: Vec<Mount>,
        /// Paths inside at which nothing is to be mounted any more.
        #[serde(skip_serializing_if = "is_zero")]
        pub remove_mounts: Vec<String>,
    }

    /// The answer to `POST /containers/{id}/update`.
    pub struct ContainerUpdateResponse {
        /// What the user should know; null if nothing.
        pub warnings: Option<Vec<String>>,
    }

    /// The answer to `GET /containers/{id}/top`.
    pub struct ContainerTop {
        /// Rows.
        pub processes: Vec<Vec<String>>,
        /// Columns.
        pub titles: Vec<String>,
    }

    /// The answer to `POST /containers/prune`.
    pub struct ContainersPruned {
        /// Ids.
        pub containers_deleted: Option<Vec<String>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }

    /// The answer to `POST /build/prune`.
    pub struct BuildPruned {
        /// Ids.
        pub caches_deleted: Option<Vec<String>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}
