//! What `POST /containers/create` takes, and the portable half of `inspect`.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::loose;

use super::{Empty, HostConfig, NetworkingConfig, Words, go_struct, is_zero};

go_struct! {
    /// What a container runs, as far as it does not depend on the host.
    pub struct ContainerConfig {
        /// Host name inside.
        pub hostname: String,
        /// NIS domain name inside.
        pub domainname: String,
        /// `user[:group]`
        pub user: String,
        /// Whether the creating client attaches to standard input.
        pub attach_stdin: bool,
        /// To standard output.
        pub attach_stdout: bool,
        /// To standard error.
        pub attach_stderr: bool,
        /// Ports it listens on, `80/tcp`; documentation only.
        #[serde(skip_serializing_if = "is_zero")]
        pub exposed_ports: BTreeMap<String, Empty>,
        /// Whether it has a terminal.
        pub tty: bool,
        /// Whether standard input stays open.
        pub open_stdin: bool,
        /// Whether it closes with the first client's.
        pub stdin_once: bool,
        /// `NAME=value`
        pub env: Option<Vec<String>>,
        /// Replaces the image's command.
        pub cmd: Option<Words>,
        /// How health is checked.
        #[serde(skip_serializing_if = "is_zero")]
        pub healthcheck: Option<Healthcheck>,
        /// Windows only.
        #[serde(skip_serializing_if = "is_zero")]
        pub args_escaped: bool,
        /// The image.
        pub image: String,
        /// Paths that get a volume of their own.
        pub volumes: Option<BTreeMap<String, Empty>>,
        /// Working directory.
        pub working_dir: String,
        /// Replaces the image's entry point.
        pub entrypoint: Option<Words>,
        /// Whether it has no network.
        #[serde(skip_serializing_if = "is_zero")]
        pub network_disabled: bool,
        /// Before API 1.44.
        #[serde(skip_serializing_if = "is_zero")]
        pub mac_address: String,
        /// Instructions for builds upon the image.
        pub on_build: Option<Vec<String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// Signal that asks it to stop.
        #[serde(skip_serializing_if = "is_zero")]
        pub stop_signal: String,
        /// Seconds until it is killed.
        #[serde(skip_serializing_if = "is_zero")]
        pub stop_timeout: Option<i64>,
        /// Shell of the shell form, for builds.
        #[serde(skip_serializing_if = "is_zero")]
        pub shell: Option<Vec<String>>,
    }

    /// How a container's health is checked; durations in nanoseconds.
    pub struct Healthcheck {
        /// `["NONE"]`, `["CMD", ...]`, `["CMD-SHELL", text]`; empty inherits.
        #[serde(skip_serializing_if = "is_zero")]
        pub test: Vec<String>,
        /// Between checks.
        #[serde(skip_serializing_if = "is_zero")]
        pub interval: i64,
        /// For one check.
        #[serde(skip_serializing_if = "is_zero")]
        pub timeout: i64,
        /// Grace at the start.
        #[serde(skip_serializing_if = "is_zero")]
        pub start_period: i64,
        /// Between checks at the start.
        #[serde(skip_serializing_if = "is_zero")]
        pub start_interval: i64,
        /// Failures in a row that make it unhealthy.
        #[serde(skip_serializing_if = "is_zero")]
        pub retries: i64,
        /// Brig's own: what is done when it is unhealthy, `none`, `restart[:N]`, `stop` or `kill`.
        #[serde(skip_serializing_if = "is_zero")]
        pub action: String,
    }
}

/// What stands beside the portable half of a request for a container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Beside {
    #[serde(default, deserialize_with = "crate::wire::zero_of_null")]
    host_config: HostConfig,
    #[serde(default, deserialize_with = "crate::wire::zero_of_null")]
    networking_config: NetworkingConfig,
}

/// The body of `POST /containers/create`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerCreateRequest {
    /// The portable half.
    #[serde(flatten)]
    pub config: ContainerConfig,
    /// The half that depends on the host.
    pub host_config: HostConfig,
    /// Networks to join.
    pub networking_config: NetworkingConfig,
}

impl<'de> Deserialize<'de> for ContainerCreateRequest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (config, beside) = both::<D, ContainerConfig, Beside>(from)?;
        Ok(Self {
            config,
            host_config: beside.host_config,
            networking_config: beside.networking_config,
        })
    }
}

/// Two structs whose fields stand side by side in one object. What serde makes of flattened fields does not know their
/// names, and so could not find them in another case.
pub(super) fn both<'de, D, A, B>(from: D) -> Result<(A, B), D::Error>
where
    D: Deserializer<'de>,
    A: for<'a> Deserialize<'a>,
    B: for<'a> Deserialize<'a>,
{
    let value = serde_json::Map::deserialize(from)?.into();
    let one = loose::from_value(&value).map_err(D::Error::custom)?;
    let other = loose::from_value(&value).map_err(D::Error::custom)?;
    Ok((one, other))
}
