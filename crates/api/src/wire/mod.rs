//! Docker's JSON, name for name and in dockerd's field order.
//!
//! Reading is as lenient as Go's decoder: an absent field and `null` are the zero value, unknown
//! fields are skipped. Writing is as dockerd does it: what is a nil slice there is `null` here,
//! hence the `Option`s around lists; what is left out when empty there is left out here.

mod archive;
mod config;
mod container;
mod disk;
mod error;
mod event;
mod exec;
mod host_config;
mod image;
mod network;
mod progress;
mod registry;
mod secret;
mod stats;
mod system;
mod volume;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use archive::{FileKind, PathChange, PathStat, go_mode};
pub use config::{ContainerConfig, ContainerCreateRequest, Healthcheck};
pub use container::{
    BuildPruned, CommitResponse, ContainerCreateResponse, ContainerInspect, ContainerState,
    ContainerSummary, ContainerTop, ContainerUpdateRequest, ContainerUpdateResponse,
    ContainerWaitResponse, ContainersPruned, ExitReason, GraphDriver, Health, HealthProbe,
    HealthSummary, MADE, MoreChanges, MountPoint, SummaryHostConfig, SummaryNetworkSettings,
    WaitError,
};
pub use disk::{DiskUsage, KindUsage};
pub use error::ErrorResponse;
pub use event::{Event, EventActor};
pub use exec::{
    ExecCreateRequest, ExecCreateResponse, ExecInspect, ExecProcessConfig, ExecStartRequest,
};
pub use host_config::{
    BindOptions, DeviceMapping, DeviceRequest, DriverConfig, HostConfig, ImageOptions, LogConfig,
    Mount, NetRate, PortBinding, RestartPolicy, SecretReference, ThrottleDevice, TmpfsOptions,
    Ulimit, VolumeOptions, WeightDevice,
};
pub use image::{
    AttestationStatement, Descriptor, HistoryItem, ImageConfig, ImageDeleteItem, ImageInspect,
    ImageMetadata, ImageRootFs, ImageSummary, ImagesPruned, ManifestAttestation, ManifestImage,
    ManifestSize, ManifestSummary, UnpackedSize,
};
pub use network::{
    ConfigReference, EndpointIpam, EndpointResource, EndpointSettings, Ipam, IpamPool, IpamStatus,
    Network, NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse,
    NetworkDisconnectRequest, NetworkSettings, NetworkStatus, NetworkingConfig, NetworksPruned,
    PacketExplained, PortExplained, PortSummary, SubnetStatus,
};
pub use progress::{ErrorDetail, Progress, ProgressDetail};
pub use registry::{
    AuthConfig, AuthResponse, CheckProblem, CheckReport, DistributionInspect, ImageMount,
    OciPlatform, PushResult, RegistryManifest, SearchResult,
};
pub use secret::{Secret, SecretRequest};
pub use stats::{
    BlockIoCount, BlockIoStats, ContainerStats, CpuStats, CpuUsage, MemoryStats, NetworkStats,
    PidsStats, ThrottlingData,
};
pub use system::{
    AddressPool, Commit, Component, ComponentDetails, DeviceInfo, FirewallInfo, Info, Plugins,
    RegistryConfig, RegistryIndex, Runtime, Swarm, UpgradeState, Version, VersionPlatform,
};

pub use volume::{
    Volume, VolumeCopied, VolumeCreateRequest, VolumeList, VolumeSnapshot, VolumeUsage,
    VolumesPruned,
};

/// Reads `null` as the zero value, as Go does.
fn zero_of_null<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// For fields that Go marks `omitempty`.
fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares structs whose every field may be absent or null.
macro_rules! go_struct {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(default, deserialize_with = "crate::wire::zero_of_null")]
                pub $field: $ty,
            )*
        }
    )*};
}
use go_struct;

/// An object without content: Go's `struct{}` as a set's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// A list of words that may also be written as a single word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a string or a list of strings")]
        enum Either {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Either::deserialize(from)? {
            Either::One(word) => vec![word],
            Either::Many(words) => words,
        }))
    }
}
