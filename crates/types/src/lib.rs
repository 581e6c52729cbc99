//! The vocabulary of Brig: the words every other crate uses and nothing else.
//!
//! Ids, names, references, the container's specification, its life cycle, what an error is about.
//! Everything here is a plain value: this crate does no I/O, reads no clock and no environment,
//! knows no Docker JSON (that is `api`) and no OCI runtime configuration (that is rendered by
//! `engine` and consumed by `runtime`).
//!
//! Boundary types: [`ContainerId`], [`ContainerName`], [`ImageRef`], [`Digest`], [`Platform`],
//! [`ContainerSpec`], [`Mount`], [`Lifecycle`], [`ErrorKind`].

pub mod container;
mod digest;
mod error_kind;
pub mod id;
mod image_ref;
mod lifecycle;
mod mount;
mod name;
mod platform;
mod process;
mod signal;
mod units;

pub use container::{
    ContainerSpec, DeviceRequest, IPC_SYSCTLS, LogConfig, MountKind, MountRequest, NetworkMode,
    Propagation, Resources, SeccompProfile, Security, Ulimit,
};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use error_kind::ErrorKind;
pub use id::{ContainerId, ExecId, InvalidId};
pub use image_ref::{ImageRef, InvalidReference};
pub use lifecycle::{Change, ExitStatus, Lifecycle, Refused};
pub use mount::Mount;
pub use name::{ContainerName, InvalidName};
pub use platform::{InvalidPlatform, Platform};
pub use process::ProcessRef;
pub use signal::{InvalidSignal, Signal};
pub use units::{InvalidSize, parse_bytes, parse_cpus};
