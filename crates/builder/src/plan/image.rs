//! The configuration of an image, as registries and layouts hold it, with Docker's additions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use types::Platform;

use crate::dockerfile::Healthcheck;

/// What an empty base has for `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who made a line of the history.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// A set of names, `{"80/tcp": {}}`.
pub type Names = BTreeMap<String, Map<String, Value>>;

/// An image's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// `MAINTAINER`
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// `amd64`
    #[serde(default)]
    pub architecture: String,
    /// `linux`
    #[serde(default)]
    pub os: String,
    /// `v7`
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// How its containers are run.
    #[serde(default)]
    pub config: RunConfig,
    /// Its layers.
    #[serde(default)]
    pub rootfs: Rootfs,
    /// What was done to make it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "or_null"
    )]
    pub history: Vec<History>,
    /// What else somebody wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Layers without compression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// `layers`
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Their digests, lowest first.
    #[serde(default, deserialize_with = "or_null")]
    pub diff_ids: Vec<String>,
}

/// One line of an image's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339; filled in when the image is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What was done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// By whom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// With what.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// No layer belongs to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// How containers of an image are run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// `USER`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `EXPOSE`
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "or_null"
    )]
    pub exposed_ports: Names,
    /// `ENV`
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub env: Vec<String>,
    /// `ENTRYPOINT`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// `VOLUME`
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "or_null"
    )]
    pub volumes: Names,
    /// `WORKDIR`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// `LABEL`
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "or_null"
    )]
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// The command is quoted already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// `HEALTHCHECK`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `ONBUILD`
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub on_build: Vec<String>,
    /// `SHELL`
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub shell: Vec<String>,
    /// What else somebody wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `null` is nothing: other programs write it for empty lists.
fn or_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl ImageConfig {
    /// The configuration of `scratch`.
    pub fn empty(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone().unwrap_or_default(),
            config: RunConfig {
                env: vec![format!("PATH={DEFAULT_PATH}")],
                working_dir: "/".to_owned(),
                ..RunConfig::default()
            },
            rootfs: Rootfs {
                kind: "layers".to_owned(),
                diff_ids: Vec::new(),
            },
            ..Self::default()
        }
    }

    /// The platform it says it is for, if it says so.
    pub fn platform(&self) -> Option<Platform> {
        let said = !self.os.is_empty() && !self.architecture.is_empty();
        said.then(|| Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: (!self.variant.is_empty()).then(|| self.variant.clone()),
        })
    }

    /// Whether it has no files at all.
    pub fn is_empty(&self) -> bool {
        self.rootfs.diff_ids.is_empty() && self.history.iter().all(|line| line.empty_layer)
    }

    pub(super) fn note(&mut self, what: String, layer: bool, created: Option<&String>) {
        self.history.push(History {
            created: created.cloned(),
            created_by: what,
            comment: COMMENT.to_owned(),
            empty_layer: !layer,
            ..History::default()
        });
    }

    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let known = self.config.env.iter_mut();
        match known
            .into_iter()
            .find(|old| old.split('=').next() == Some(name))
        {
            Some(old) => *old = line,
            None => self.config.env.push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_goes_there_and_back() {
        let text = r#"{"architecture":"arm","os":"linux","variant":"v7","config":{"Env":["A=1"],"Cmd":["sh"],"Entrypoint":null,"OnBuild":null,"Volumes":null,"Healthcheck":{"Test":["NONE"]},"MacAddress":"x"},"rootfs":{"type":"layers","diff_ids":["sha256:0"]},"history":[{"created_by":"x","empty_layer":true}],"moby.x":1}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.platform().unwrap().to_string(), "linux/arm/v7");
        assert_eq!(config.config.healthcheck.as_ref().unwrap().test, ["NONE"]);
        assert!(!config.is_empty());
        let again = serde_json::to_string(&config).unwrap();
        assert!(again.contains(r#""MacAddress":"x""#) && again.contains(r#""moby.x":1"#));
        assert_eq!(serde_json::from_str::<ImageConfig>(&again).unwrap(), config);
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut config = ImageConfig::default();
        for (name, value) in [("A", "1"), ("AB", "2"), ("A", "3=4")] {
            config.set_env(name, value);
        }
        assert_eq!(config.config.env, ["A=3=4", "AB=2"]);
    }
}
