//! The vocabulary of Brig: the words every other crate uses and nothing else.
//!
//! Ids, names, references, the container's specification, its life cycle, what an error is about.
//! Everything here is a plain value: this crate does no I/O, reads no clock and no environment,
//! knows no Docker JSON (that is `api`) and no OCI runtime configuration (that is rendered by
//! `engine` and consumed by `runtime`).
//!
//! Boundary types: [`ContainerId`], [`ContainerName`], [`ImageRef`], [`Digest`], [`Platform`],
//! [`ContainerSpec`], [`Mount`], [`Lifecycle`], [`ErrorKind`].

mod bandwidth;
pub mod container;
mod digest;
mod ended;
mod error_kind;
pub mod go;
mod health;
pub mod id;
pub mod ignore;
mod image_ref;
mod lifecycle;
mod log;
mod mac;
mod mount;
mod name;
mod network;
pub mod pattern;
mod platform;
mod process;
mod restart;
mod signal;
mod time;
mod units;
mod volume;

pub use bandwidth::{Bandwidth, InvalidRate, Rate};
pub use container::{
    AutoIds, BlockIo, BlockRate, CdiRequest, ContainerChange, ContainerPort, ContainerSpec,
    DeviceRequest, DeviceRule, DnsRequest, EndpointRequest, IPC_SYSCTLS, IdMap, IdMaps, IdRange,
    InvalidPort, InvalidUlimit, MountKind, MountRequest, NamespaceMode, Namespaces, NetworkMode,
    Networking, PortRequest, Propagation, Protocol, Resources, SeccompProfile, SecretRequest,
    SecretTarget, Security, USUAL_IDS, Ulimit, UserNamespace, VolumeRequest, meet, port_range,
};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use ended::{Asked, By, Cause, Reason};
pub use error_kind::ErrorKind;
pub use health::{
    Health, HealthAction, HealthCheck, HealthStatus, InvalidHealthAction, Probe, Probed,
};
pub use id::{ContainerId, EndpointId, ExecId, InvalidId, NetworkId};
pub use image_ref::{ImageRef, InvalidReference};
pub use lifecycle::{Change, ExitStatus, Lifecycle, Refused};
pub use log::{DRIVERS as LOG_DRIVERS, InvalidLog, LogConfig, LogLimits};
pub use mac::{InvalidMac, MacAddress};
pub use mount::Mount;
pub use name::{ContainerName, InvalidName};
pub use network::{NetworkSpec, PoolSpec};
pub use platform::{InvalidPlatform, Platform};
pub use process::ProcessRef;
pub use restart::{InvalidRestartPolicy, RestartPolicy};
pub use signal::{InvalidSignal, Signal};
pub use time::{Decimals, Rfc3339, parse_rfc3339, rfc3339};
pub use units::{InvalidSize, parse_bytes, parse_cpus};
pub use volume::{InvalidVolumeName, VolumeName};
