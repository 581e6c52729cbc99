//! Devices that vendors describe in files: the Container Device Interface. A name as
//! `vendor.com/class=name` stands for device nodes, mounts, variables and hooks.
//!
//! The files are read when somebody asks: they come and go with drivers. Of two directories the later
//! one counts; within one directory nobody may describe a device twice.

mod build;
mod spec;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use types::CdiRequest;

pub use build::{Grants, Wanted};
use spec::Specification;
pub use spec::{Edits, Hook, Mount, NetDevice, Node, Rdt};

/// The driver by which devices are named.
const DRIVER: &str = "cdi";

/// Whose GPUs are meant when nobody is named, in this order; others come after them.
const GPUS: [&str; 2] = ["nvidia.com/gpu", "amd.com/gpu"];

/// Why a request for devices cannot be fulfilled. Wordings are Docker's where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfulfilled {
    /// Nobody describes them.
    #[error(
        "CDI device injection failed: unresolvable CDI devices {}{}", names.join(", "), hint(faults)
    )]
    Unknown {
        /// The devices.
        names: Vec<String>,
        /// What is wrong with files that were passed over.
        faults: Vec<String>,
    },
    /// Nobody has what is asked for by what it can do.
    #[error(
        "could not select device driver {driver:?} with capabilities: [{capabilities}]{}",
        hint(faults)
    )]
    Driver {
        /// The driver asked for.
        driver: String,
        /// `[gpu]`
        capabilities: String,
        /// What is wrong with files that were passed over.
        faults: Vec<String>,
    },
    /// There are fewer.
    #[error("{asked} devices {kind} were asked for, {there} are there")]
    Count {
        /// `nvidia.com/gpu`
        kind: String,
        /// How many.
        asked: i64,
        /// How many there are.
        there: usize,
    },
    /// A name of a build's that is none.
    #[error("invalid device {0:?}: vendor.com/class=name is expected")]
    Name(String),
    /// A command of a build is nothing without it.
    #[error("required device {0:?} is not registered")]
    NotThere(String),
    /// A build may not have them.
    #[error("{} requested by the build but not allowed", are(_0))]
    Forbidden(Vec<String>),
    /// What a build is allowed cannot be read.
    #[error("invalid entitlement device={0}: device=NAME[,alias=NAME] is expected")]
    Grant(String),
}

fn are(names: &[String]) -> String {
    match names {
        [name] => format!("device {name} is"),
        names => format!("devices {} are", names.join(", ")),
    }
}

fn hint(faults: &[String]) -> String {
    match faults {
        [] => String::new(),
        faults => format!(" ({})", faults.join("; ")),
    }
}

/// Every device that is described.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// By whole name.
    devices: BTreeMap<String, Found>,
    /// Names that one directory has twice.
    ambiguous: BTreeSet<String>,
    /// Files that were passed over, and why.
    faults: Vec<String>,
}

#[derive(Debug, Clone)]
struct Found {
    edits: Edits,
    /// Those of its file, and its own, which count more.
    annotations: BTreeMap<String, String>,
    /// What every device of its file brings, and which file that is.
    shared: (PathBuf, Edits),
}

impl Registry {
    /// Reads all files in `dirs`.
    pub fn read(dirs: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for dir in dirs {
            registry.read_dir(dir);
        }
        registry
    }

    fn read_dir(&mut self, dir: &Path) {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort();
        let mut here = BTreeSet::new();
        for file in files {
            let ending = file.extension().and_then(|ending| ending.to_str());
            if !matches!(ending, Some("json" | "yaml" | "yml")) {
                continue;
            }
            match read(&file) {
                Ok(specification) => self.add(&file, specification, &mut here),
                Err(why) => self.faults.push(format!("{}: {why}", file.display())),
            }
        }
    }

    fn add(&mut self, file: &Path, of: Specification, here: &mut BTreeSet<String>) {
        for device in of.devices {
            let name = format!("{}={}", of.kind, device.name);
            if here.insert(name.clone()) {
                self.ambiguous.remove(&name);
            } else {
                self.faults
                    .push(format!("{}: {name} is described twice", file.display()));
                self.ambiguous.insert(name.clone());
            }
            let mut annotations = of.annotations.clone();
            annotations.extend(device.annotations);
            let found = Found {
                edits: device.edits,
                annotations,
                shared: (file.to_owned(), of.container_edits.clone()),
            };
            self.devices.insert(name, found);
        }
    }

    /// The names of all devices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let known = |name: &&String| !self.ambiguous.contains(*name);
        self.devices.keys().filter(known).map(String::as_str)
    }

    /// What a container gets that asks for these.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn edits(&self, requests: &[CdiRequest]) -> Result<Edits, Unfulfilled> {
        let mut names: Vec<String> = Vec::new();
        for request in requests {
            for name in self.meant(request)? {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let unknown: Vec<String> = names
            .iter()
            .filter(|name| !self.names().any(|known| known == name.as_str()))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            return Err(Unfulfilled::Unknown {
                names: unknown,
                faults: self.faults.clone(),
            });
        }
        let mut files = BTreeSet::new();
        let mut edits = Edits::default();
        for found in names.iter().filter_map(|name| self.devices.get(name)) {
            let (file, shared) = &found.shared;
            if files.insert(file) {
                edits.extend(shared);
            }
            edits.extend(&found.edits);
        }
        Ok(edits)
    }

    /// The devices' whole names.
    fn meant(&self, request: &CdiRequest) -> Result<Vec<String>, Unfulfilled> {
        if request.driver == DRIVER {
            return Ok(request.ids.clone());
        }
        let Some(kind) = self.kind(request) else {
            let list = |list: &Vec<String>| format!("[{}]", list.join(" "));
            let capabilities: Vec<String> = request.capabilities.iter().map(list).collect();
            return Err(Unfulfilled::Driver {
                driver: request.driver.clone(),
                capabilities: capabilities.join(" "),
                faults: self.faults.clone(),
            });
        };
        if !request.ids.is_empty() {
            let whole = |id: &String| match id.contains('=') {
                true => id.clone(),
                false => format!("{kind}={id}"),
            };
            return Ok(request.ids.iter().map(whole).collect());
        }
        self.counted(&kind, request.count)
    }

    /// The kind of device that a driver or a capability stands for.
    fn kind(&self, request: &CdiRequest) -> Option<String> {
        let kinds: BTreeSet<&str> = self
            .names()
            .filter_map(|name| name.split_once('='))
            .map(|(kind, _)| kind)
            .collect();
        let of_driver = |kind: &str| {
            let vendor = kind.split(['.', '/']).next().unwrap_or_default();
            request.driver.is_empty() || vendor == request.driver
        };
        let wants_gpu = |list: &Vec<String>| list.iter().any(|word| word == "gpu");
        if request.driver.is_empty() && !request.capabilities.iter().any(wants_gpu) {
            return None;
        }
        let known = GPUS.into_iter().filter(|kind| kinds.contains(kind));
        let others = kinds.iter().copied().filter(|kind| kind.ends_with("/gpu"));
        let mut all = known.chain(others);
        all.find(|kind| of_driver(kind)).map(str::to_owned)
    }

    fn counted(&self, kind: &str, count: i64) -> Result<Vec<String>, Unfulfilled> {
        let prefix = format!("{kind}=");
        let of_kind: Vec<&str> = self.names().filter(|n| n.starts_with(&prefix)).collect();
        let all = format!("{prefix}all");
        let single = |name: &&str| *name != all;
        if count < 0 {
            return Ok(match of_kind.contains(&all.as_str()) {
                true => vec![all],
                false => of_kind.into_iter().map(str::to_owned).collect(),
            });
        }
        // Numbers come first, in their order: they name each device once.
        let mut single: Vec<&str> = of_kind.into_iter().filter(single).collect();
        single.sort_by_key(|name| name[prefix.len()..].parse::<u32>().unwrap_or(u32::MAX));
        let wanted = usize::try_from(count).unwrap_or(0);
        match single.get(..wanted) {
            Some(first) => Ok(first.iter().map(|name| (*name).to_owned()).collect()),
            None => Err(Unfulfilled::Count {
                kind: kind.to_owned(),
                asked: count,
                there: single.len(),
            }),
        }
    }
}

fn read(file: &Path) -> Result<Specification, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let json = file.extension().is_some_and(|ending| ending == "json");
    let value = match json {
        true => serde_json::from_str(&text).map_err(|error| error.to_string())?,
        false => yaml::parse(&text)?,
    };
    let specification: Specification =
        serde_json::from_value(value).map_err(|error| error.to_string())?;
    specification.check()?;
    Ok(specification)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPUS: &str = "
cdiVersion: 0.6.0
kind: nvidia.com/gpu
containerEdits:
  env: [ALL=1]
devices:
- name: '0'
  containerEdits: {deviceNodes: [{path: /dev/nvidia0}]}
- name: '1'
  containerEdits: {deviceNodes: [{path: /dev/nvidia1, fileMode: 0660}]}
- name: all
  containerEdits: {env: [EVERY=1]}
";

    fn registry(files: &[(&str, &str)]) -> Registry {
        let dir = tempfile::tempdir().unwrap();
        let mut dirs: Vec<PathBuf> = Vec::new();
        for (name, text) in files {
            let path = dir.path().join(name);
            let parent = path.parent().unwrap().to_owned();
            std::fs::create_dir_all(&parent).unwrap();
            #[allow(clippy::disallowed_methods, reason = "a test")]
            std::fs::write(path, text).unwrap();
            if !dirs.contains(&parent) {
                dirs.push(parent);
            }
        }
        Registry::read(&dirs)
    }

    fn named(ids: &[&str]) -> CdiRequest {
        CdiRequest {
            driver: "cdi".to_owned(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            ..CdiRequest::default()
        }
    }

    fn gpus(driver: &str, count: i64) -> CdiRequest {
        CdiRequest {
            driver: driver.to_owned(),
            count,
            capabilities: vec![vec!["gpu".to_owned()]],
            ..CdiRequest::default()
        }
    }

    /// Environment and devices.
    fn shown(registry: &Registry, request: CdiRequest) -> String {
        match registry.edits(&[request]) {
            Ok(edits) => {
                let nodes = edits.device_nodes.iter().map(|node| node.path.clone());
                let all: Vec<String> = edits.env.iter().cloned().chain(nodes).collect();
                all.join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn devices_are_found_by_name_and_by_what_they_can_do() {
        let registry = registry(&[("a/gpus.yaml", GPUS)]);
        assert_eq!(
            shown(&registry, named(&["nvidia.com/gpu=1", "nvidia.com/gpu=0"])),
            "ALL=1 /dev/nvidia1 /dev/nvidia0"
        );
        assert_eq!(shown(&registry, gpus("", -1)), "ALL=1 EVERY=1");
        assert_eq!(
            shown(&registry, gpus("nvidia", 2)),
            "ALL=1 /dev/nvidia0 /dev/nvidia1"
        );
        assert_eq!(
            shown(&registry, gpus("nvidia", 3)),
            "3 devices nvidia.com/gpu were asked for, 2 are there"
        );
        assert_eq!(
            shown(&registry, gpus("amd", 1)),
            "could not select device driver \"amd\" with capabilities: [[gpu]]"
        );
        assert_eq!(
            shown(&registry, named(&["nvidia.com/gpu=7"])),
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=7"
        );
        assert_eq!(
            registry.devices["nvidia.com/gpu=1"].edits.device_nodes[0].file_mode,
            Some(0o660)
        );
    }

    #[test]
    fn the_later_directory_counts_and_two_of_one_do_not() {
        let one = |value: &str| {
            format!(
                r#"{{"cdiVersion": "0.5.0", "kind": "v.com/x", "devices": [{{"name": "d",
                   "containerEdits": {{"env": ["A={value}"]}}}}]}}"#
            )
        };
        let (first, second) = (one("1"), one("2"));
        let both = registry(&[("a/x.json", &first), ("b/x.json", &second)]);
        assert_eq!(shown(&both, named(&["v.com/x=d"])), "A=2");
        let twice = registry(&[("a/x.json", &first), ("a/y.json", &second)]);
        assert!(shown(&twice, named(&["v.com/x=d"])).contains("is described twice"));
        let mended = registry(&[
            ("a/x.json", &first),
            ("a/y.json", &second),
            ("b/z.json", &second),
        ]);
        assert_eq!(shown(&mended, named(&["v.com/x=d"])), "A=2");
    }

    #[test]
    fn files_that_make_no_sense_are_passed_over_and_named() {
        let head = r#""cdiVersion": "0.5.0", "kind": "v.com/x""#;
        let device = |edits: &str| {
            format!(r#"{{{head}, "devices": [{{"name": "d", "containerEdits": {edits}}}]}}"#)
        };
        for (text, says) in [
            ("{".to_owned(), "EOF"),
            (
                r#"{"cdiVersion": "9", "kind": "v.com/x", "devices": []}"#.to_owned(),
                "cdiVersion",
            ),
            (device("{}"), "it edits nothing"),
            (device(r#"{"env": ["A"]}"#), "NAME=value"),
            (device(r#"{"envs": ["A=1"]}"#), "unknown field"),
            (
                device(r#"{"deviceNodes": [{"path": "x"}]}"#),
                "absolute path",
            ),
            (
                device(r#"{"hooks": [{"hookName": "later", "path": "/x"}]}"#),
                "one of prestart",
            ),
            (
                device(r#"{"mounts": [{"hostPath": "/x", "containerPath": "y"}]}"#),
                "absolute paths",
            ),
            (
                r#"{"cdiVersion": "0.5.0", "kind": "x", "devices": []}"#.to_owned(),
                "vendor.com/class",
            ),
        ] {
            let registry = registry(&[("a/x.json", &text)]);
            let told = shown(&registry, named(&["v.com/x=d"]));
            assert!(
                told.contains("a/x.json: ") && told.contains(says),
                "{text}: {told}"
            );
        }
    }
}
