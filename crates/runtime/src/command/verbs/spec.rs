//! `spec`: a configuration to begin with.

use std::path::Path;

use serde_json::{Map, Value, json};
use sys::cgroup::{Layout, Mode};

use super::flags;
use crate::Outcome;
use crate::failure::{Failure, OnFile};
use crate::global::Global;
use crate::words::{Flag, Verb, Words};

/// What it says: a shell with few rights in namespaces of its own.
const TEMPLATE: &str = include_str!("../template.json");

pub(super) const VERB: Verb = Verb {
    name: "spec",
    usage: "",
    about: "write a configuration to begin with",
    flags: &[
        flags::BUNDLE,
        Flag::switch("rootless", "one for a user without rights"),
    ],
    arguments: (0, 0),
    interleaved: true,
    enters: false,
    run: spec,
};

fn spec(_global: &Global, words: &Words) -> Outcome {
    let dir = words.path("bundle").unwrap_or(Path::new(""));
    let path = dir.join("config.json");
    if sys::fd::open_path(&path).is_ok() {
        let message = format!("File {} exists. Remove it first", path.display());
        return Err(Failure::Usage(message));
    }
    let unified = Layout::detect().is_ok_and(|layout| layout.mode() == Mode::Unified);
    let rootless = words.has("rootless").then(|| Ids {
        user: sys::process::user(),
        group: sys::process::group(),
    });
    let text = configuration(unified, rootless)?;
    sys::file::replace_unsynced(&path, text.as_bytes(), 0o666).on_file("write", &path)?;
    Ok(0)
}

/// Who the container's root is to be.
#[derive(Debug, Clone, Copy)]
struct Ids {
    user: u32,
    group: u32,
}

fn configuration(unified: bool, rootless: Option<Ids>) -> Result<String, Failure> {
    let malformed = |source| Failure::Malformed {
        path: "the template".into(),
        source,
    };
    let mut config: Value = serde_json::from_str(TEMPLATE).map_err(malformed)?;
    // In version 1 a cgroup namespace hides less than the mounts do.
    if !unified {
        remove_namespace(&mut config, "cgroup");
    }
    if let Some(ids) = rootless {
        without_rights(&mut config, ids);
    }
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, indent);
    serde::Serialize::serialize(&config, &mut writer).map_err(malformed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn remove_namespace(config: &mut Value, name: &str) {
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != name);
    }
}

/// As runc changes it: a user namespace with the caller as its root, the network and /sys of the
/// host because new ones could not be made useful, no owner that is not mapped, no limits.
fn without_rights(config: &mut Value, ids: Ids) {
    remove_namespace(config, "network");
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.push(json!({"type": "user"}));
    }
    for mount in config["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            mount["type"] = json!("none");
            mount["source"] = json!("/sys");
            mount["options"] = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
        } else if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
            let owner = |option: &Value| {
                let text = option.as_str().unwrap_or_default();
                text.starts_with("gid=") || text.starts_with("uid=")
            };
            options.retain(|option| !owner(option));
        }
    }
    let Some(linux) = config["linux"].as_object_mut() else {
        return;
    };
    let map = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
    let mut changed = Map::new();
    changed.insert("uidMappings".to_owned(), map(ids.user));
    changed.insert("gidMappings".to_owned(), map(ids.group));
    linux.shift_remove("resources");
    changed.append(linux);
    *linux = changed;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration() {
        for rootless in [None, Some(Ids { user: 7, group: 8 })] {
            for unified in [true, false] {
                let text = configuration(unified, rootless).unwrap();
                let spec: oci_spec::runtime::Spec = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    spec.process().as_ref().unwrap().args().as_deref(),
                    Some(&["sh".to_owned()][..])
                );
            }
        }
    }

    #[test]
    fn a_user_without_rights_is_root_of_a_user_namespace() {
        let ids = Ids { user: 7, group: 8 };
        let text = configuration(true, Some(ids)).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            config["linux"]["gidMappings"],
            json!([{"containerID": 0, "hostID": 8, "size": 1}])
        );
        let namespaces: Vec<_> = config["linux"]["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|namespace| namespace["type"].as_str().unwrap())
            .collect();
        assert_eq!(namespaces, ["pid", "ipc", "uts", "mount", "cgroup", "user"]);
        assert!(config["linux"]["resources"].is_null());
        assert!(!text.contains("gid=5"));
    }
}
