//! The configuration of an image made here, in the order and spelling Docker writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::Digest;

/// A configuration (OCI image specification, "Image configuration").
#[derive(Debug, Serialize)]
pub(super) struct Configuration<'a> {
    pub architecture: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub author: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'a str>,
    pub config: RunConfig,
    pub created: &'a str,
    pub history: Vec<History>,
    pub os: &'a str,
    pub rootfs: RootFs,
}

/// One step of how it came to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether it made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// Its layers, the lowest first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RootFs {
    #[serde(rename = "type")]
    pub kind: String,
    pub diff_ids: Vec<Digest>,
}

impl RootFs {
    pub(super) fn of(diff_ids: Vec<Digest>) -> Self {
        Self {
            kind: "layers".to_owned(),
            diff_ids,
        }
    }
}

/// How an image's containers run, as the instructions of a Dockerfile say.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// `user[:group]`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports it listens on, `80/tcp`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_none"
    )]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none"
    )]
    pub env: Vec<String>,
    /// The entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// How to see whether it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Paths that get a volume of their own.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_none"
    )]
    pub volumes: BTreeMap<String, Empty>,
    /// The working directory.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Instructions for builds upon it.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none"
    )]
    pub on_build: Vec<String>,
    /// Labels.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_none"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to stop.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
}

/// The value of a set's members.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Empty {}

/// How to see whether a container works. Times are in nanoseconds; zero means the default.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", text]`.
    #[serde(deserialize_with = "null_is_none")]
    pub test: Vec<String>,
    /// Nanoseconds between checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Nanoseconds that one may take.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Nanoseconds at the start in which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Nanoseconds between checks at the start.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// What Docker writes into a configuration beside what its specification has.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DockerConfig {
    /// How to see whether its containers work.
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for builds upon it.
    #[serde(deserialize_with = "null_is_none")]
    pub on_build: Vec<String>,
    /// The shell of instructions that are no list; empty is `/bin/sh -c`.
    #[serde(deserialize_with = "null_is_none")]
    pub shell: Vec<String>,
}

impl DockerConfig {
    /// Of a configuration's text; nothing where that is of another form.
    pub(super) fn of(text: &str) -> Self {
        #[derive(Deserialize)]
        struct Outer {
            config: Option<DockerConfig>,
        }
        let outer: Option<Outer> = serde_json::from_str(text).ok();
        outer.and_then(|outer| outer.config).unwrap_or_default()
    }
}

/// Go writes what is empty as `null`.
fn null_is_none<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl RunConfig {
    /// Takes from a container's configuration what this one leaves open, as Docker does for what is
    /// committed: sets are joined, and a command goes with its entry point.
    pub(super) fn complete(&mut self, of: &Self) {
        fn joined<V: Clone>(mine: &mut BTreeMap<String, V>, of: &BTreeMap<String, V>) {
            for (key, value) in of {
                mine.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        fn first(mine: &mut String, of: &String) {
            if mine.is_empty() {
                mine.clone_from(of);
            }
        }
        let empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
        first(&mut self.user, &of.user);
        first(&mut self.working_dir, &of.working_dir);
        first(&mut self.stop_signal, &of.stop_signal);
        joined(&mut self.exposed_ports, &of.exposed_ports);
        joined(&mut self.volumes, &of.volumes);
        joined(&mut self.labels, &of.labels);
        let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
        let named: Vec<String> = self.env.iter().map(|entry| key(entry)).collect();
        let rest = of.env.iter().filter(|entry| !named.contains(&key(entry)));
        self.env.extend(rest.cloned());
        if empty(&self.entrypoint) {
            if empty(&self.cmd) {
                self.cmd.clone_from(&of.cmd);
            }
            if self.entrypoint.is_none() {
                self.entrypoint.clone_from(&of.entrypoint);
            }
        }
        if self
            .healthcheck
            .as_ref()
            .is_none_or(|own| own.test.is_empty())
        {
            self.healthcheck.clone_from(&of.healthcheck);
        }
        // What is empty is not written.
        self.cmd.take_if(|words| words.is_empty());
        self.entrypoint.take_if(|words| words.is_empty());
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
