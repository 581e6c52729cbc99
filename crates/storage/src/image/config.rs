//! The configuration of an image made here, in the order and spelling Docker writes.

use std::collections::BTreeMap;

use serde::Serialize;
use types::{Digest, Platform};

/// A configuration (OCI image specification, "Image configuration").
#[derive(Debug, Serialize)]
pub(super) struct Configuration<'a> {
    pub architecture: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'a str>,
    pub config: RunConfig,
    pub created: &'a str,
    pub history: [History<'a>; 1],
    pub os: &'a str,
    pub rootfs: RootFs<'a>,
}

/// One step of how it came to be.
#[derive(Debug, Serialize)]
pub(super) struct History<'a> {
    pub created: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub comment: &'a str,
}

/// Its layers.
#[derive(Debug, Serialize)]
pub(super) struct RootFs<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub diff_ids: [&'a Digest; 1],
}

/// How its containers run.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RunConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
}

/// The value of a set's members.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Empty {}

/// How to see whether a container works. Times are in nanoseconds; zero means the default.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Healthcheck {
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl<'a> Configuration<'a> {
    pub(super) fn new(
        platform: &'a Platform,
        config: RunConfig,
        created: &'a str,
        comment: &'a str,
        diff_id: &'a Digest,
    ) -> Self {
        Self {
            architecture: &platform.architecture,
            variant: platform.variant.as_deref(),
            config,
            created,
            history: [History { created, comment }],
            os: &platform.os,
            rootfs: RootFs {
                kind: "layers",
                diff_ids: [diff_id],
            },
        }
    }
}
