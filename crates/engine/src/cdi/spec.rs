//! A specification of devices as its vendor writes it: the Container Device Interface, versions 0.3 to
//! 1.1. What is not known in it is refused, as it might be what keeps the device from harm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

/// A file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Specification {
    cdi_version: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) devices: Vec<Device>,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// One device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default, rename = "containerEdits")]
    pub(super) edits: Edits,
}

/// What a container gets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Edits {
    /// `NAME=value`
    pub env: Vec<String>,
    /// Devices.
    pub device_nodes: Vec<Node>,
    /// Network interfaces of the host.
    pub net_devices: Vec<NetDevice>,
    /// What runs at points of its life.
    pub hooks: Vec<Hook>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Its share of the processor's caches.
    pub intel_rdt: Option<Rdt>,
    /// Supplementary groups.
    #[serde(rename = "additionalGids", alias = "additionalGIDs")]
    pub additional_gids: Vec<u32>,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Where it is inside.
    pub path: String,
    /// Where it is on the host; none is the same.
    #[serde(default)]
    pub host_path: Option<String>,
    /// `b`, `c`, `u` or `p`; none is what it is on the host.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// None is as on the host.
    #[serde(default)]
    pub major: Option<u32>,
    /// None is as on the host.
    #[serde(default)]
    pub minor: Option<u32>,
    /// Permission bits.
    #[serde(default)]
    pub file_mode: Option<u32>,
    /// Some of `rwm`.
    #[serde(default)]
    pub permissions: Option<String>,
    /// Owner.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Group.
    #[serde(default)]
    pub gid: Option<u32>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetDevice {
    /// Its name on the host.
    pub host_interface_name: String,
    /// Its name inside.
    pub name: String,
}

/// A hook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// When it runs: `createContainer`, ...
    pub hook_name: String,
    /// The program.
    pub path: PathBuf,
    /// Its arguments, its name among them.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: Vec<String>,
    /// Seconds.
    #[serde(default)]
    pub timeout: Option<i64>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Path on the host.
    pub host_path: String,
    /// Path inside.
    pub container_path: String,
    /// As mount(8) has them.
    #[serde(default)]
    pub options: Vec<String>,
    /// None is `bind`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// A share of the processor's caches.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rdt {
    /// The class.
    #[serde(default, rename = "closID")]
    pub clos_id: Option<String>,
    /// Of the cache.
    #[serde(default, rename = "l3CacheSchema")]
    pub l3_cache_schema: Option<String>,
    /// Of the memory's bandwidth.
    #[serde(default, rename = "memBwSchema")]
    pub mem_bw_schema: Option<String>,
    /// Lines of `schemata`.
    #[serde(default)]
    pub schemata: Vec<String>,
    /// Whether it is watched.
    #[serde(default, alias = "enableCMT", alias = "enableMBM")]
    pub enable_monitoring: Option<bool>,
}

/// Versions that are read.
const VERSIONS: [&str; 10] = [
    "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0", "0.1.0", "0.2.0",
];

/// When hooks run.
const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// `vendor.com/class`, each part of letters, digits and some marks between them.
pub(super) fn is_kind(text: &str) -> bool {
    let part = |text: &str, marks: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(plain)
    };
    let parts = text.split_once('/');
    parts.is_some_and(|(vendor, class)| part(vendor, "-_.") && part(class, "-_"))
}

/// `0`, `GPU-1:2`.
pub(super) fn is_name(text: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(end)
        && text.ends_with(end)
        && text.chars().all(|c| end(c) || "-_.:".contains(c))
}

impl Specification {
    /// Whether it holds together.
    pub(super) fn check(&self) -> Result<(), String> {
        if !VERSIONS.contains(&self.cdi_version.as_str()) {
            return Err(format!(
                "cdiVersion {:?} is not known: 0.3.0 to 1.1.0 are",
                self.cdi_version
            ));
        }
        if !is_kind(&self.kind) {
            return Err(format!(
                "the kind {:?}: vendor.com/class is expected",
                self.kind
            ));
        }
        annotations(&self.annotations)?;
        self.container_edits.check()?;
        let mut names = BTreeSet::new();
        for device in &self.devices {
            let name = &device.name;
            let of = |why: String| format!("the device {name:?}: {why}");
            if !is_name(name) {
                return Err(of(
                    "letters, digits and -_.: between them are expected".to_owned()
                ));
            }
            if !names.insert(name) {
                return Err(of("it is there twice".to_owned()));
            }
            annotations(&device.annotations).map_err(of)?;
            device.edits.check().map_err(of)?;
            if device.edits == Edits::default() {
                return Err(of("it edits nothing".to_owned()));
            }
        }
        match self.devices.is_empty() {
            true => Err("it has no devices".to_owned()),
            false => Ok(()),
        }
    }
}

/// Only builds act on some of them; their keys must be such.
fn annotations(all: &BTreeMap<String, String>) -> Result<(), String> {
    match all.keys().find(|key| key.is_empty()) {
        Some(_) => Err("an annotation has no name".to_owned()),
        None => Ok(()),
    }
}

impl Edits {
    fn check(&self) -> Result<(), String> {
        if let Some(bad) = self
            .env
            .iter()
            .find(|e| !e.contains('=') || e.starts_with('='))
        {
            return Err(format!("the variable {bad:?}: NAME=value is expected"));
        }
        self.device_nodes.iter().try_for_each(Node::check)?;
        self.hooks.iter().try_for_each(Hook::check)?;
        self.mounts.iter().try_for_each(Mount::check)?;
        let unnamed =
            |device: &&NetDevice| device.host_interface_name.is_empty() || device.name.is_empty();
        match self.net_devices.iter().find(unnamed) {
            Some(_) => Err("a network device has no name".to_owned()),
            None => Ok(()),
        }
    }

    /// Adds another's.
    pub(super) fn extend(&mut self, more: &Self) {
        self.env.extend(more.env.iter().cloned());
        self.device_nodes.extend(more.device_nodes.iter().cloned());
        self.net_devices.extend(more.net_devices.iter().cloned());
        self.hooks.extend(more.hooks.iter().cloned());
        self.mounts.extend(more.mounts.iter().cloned());
        self.intel_rdt = more.intel_rdt.clone().or(self.intel_rdt.take());
        for gid in &more.additional_gids {
            if *gid != 0 && !self.additional_gids.contains(gid) {
                self.additional_gids.push(*gid);
            }
        }
    }
}

impl Node {
    fn check(&self) -> Result<(), String> {
        let path = &self.path;
        let kind = self.kind.as_deref().unwrap_or_default();
        let permissions = self.permissions.as_deref().unwrap_or_default();
        if !path.starts_with('/') {
            return Err(format!(
                "the device node {path:?}: an absolute path is expected"
            ));
        }
        if !["", "b", "c", "u", "p"].contains(&kind) {
            return Err(format!(
                "the device node {path}: type {kind:?}: b, c, u or p is expected"
            ));
        }
        match permissions.chars().all(|c| "rwm".contains(c)) {
            true => Ok(()),
            false => Err(format!(
                "the device node {path}: permissions {permissions:?}: some of r, w and m are expected"
            )),
        }
    }
}

impl Hook {
    fn check(&self) -> Result<(), String> {
        let name = &self.hook_name;
        if !HOOKS.contains(&name.as_str()) {
            return Err(format!(
                "the hook {name:?}: one of {} is expected",
                HOOKS.join(", ")
            ));
        }
        match self.path.is_absolute() {
            true => Ok(()),
            false => Err(format!("the hook {name}: an absolute path is expected")),
        }
    }
}

impl Mount {
    fn check(&self) -> Result<(), String> {
        let Self {
            host_path,
            container_path,
            ..
        } = self;
        match host_path.is_empty() || !container_path.starts_with('/') {
            true => Err(format!(
                "the mount of {host_path:?} at {container_path:?}: two absolute paths are expected"
            )),
            false => Ok(()),
        }
    }
}
