//! What is kept of a container: JSON in a versioned envelope, in the one store.
//!
//! The fixed part never changes after create and is encoded once; the status is changed by closure
//! only, through [`crate::table::Container::change`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::{
    ContainerId, ContainerName, ContainerSpec, Digest, HealthStatus, IdMaps, ImageRef, Lifecycle,
    MountRequest, PortRequest, ProcessRef, Resources, RestartPolicy,
};

use crate::Error;
use crate::container::Resolved;
use crate::container::selinux::Labels;
use crate::network::record::{Endpoint, Ports};

/// The version this engine writes. A reader refuses what is newer than itself.
const VERSION: u32 = 1;

/// What create decided, for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fixed {
    pub(crate) id: ContainerId,
    pub(crate) name: ContainerName,
    pub(crate) created: i64,
    pub(crate) spec: ContainerSpec,
    pub(crate) resolved: Resolved,
    pub(crate) image: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image_ref: Option<ImageRef>,
    /// What its users and groups are on the host; none: what they are inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<IdMaps>,
    /// What SELinux calls it, where it is to confine it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selinux: Option<Labels>,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) lifecycle: Lifecycle,
    /// How often it was started again by itself.
    #[serde(default)]
    pub(crate) restarts: u32,
    /// Whether somebody asked for the end of the last run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stopped: bool,
    /// Another name than it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<ContainerName>,
    /// Another policy than it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restart: Option<RestartPolicy>,
    /// The machine's boot in which it was last started: what runs in another one does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
    /// The shim of that start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shim: Option<ProcessRef>,
    /// The networks it is in, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) networks: BTreeMap<String, Endpoint>,
    /// What of it is published while it runs.
    #[serde(default, skip_serializing_if = "Ports::is_empty")]
    pub(crate) ports: Ports,
    /// Its limits, once they have been changed; none: as create was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<Resources>,
    /// What else has been changed since; none: as create decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<Box<Changed>>,
    /// How well it was when that last changed, in the run that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<HealthStatus>,
    /// Names of those of its links that have been taken away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) unlinked: BTreeSet<String>,
}

/// What `update` has put in the place of what create decided, each as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Changed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Both<BTreeMap<String, String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<Both<Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mounts: Option<Both<Vec<MountRequest>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ports: Option<Vec<PortRequest>>,
}

/// As it is asked for, and what that comes to with the image's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Both<T> {
    pub(crate) asked: T,
    pub(crate) resolved: T,
}

impl Changed {
    /// What was asked for, as if it had been asked for so.
    pub(crate) fn spec(self, spec: ContainerSpec) -> ContainerSpec {
        let mut spec = spec;
        spec.labels = self.labels.map_or(spec.labels, |both| both.asked);
        spec.env = self.env.map_or(spec.env, |both| both.asked);
        spec.mounts = self.mounts.map_or(spec.mounts, |both| both.asked);
        spec.networking.ports = self.ports.unwrap_or(spec.networking.ports);
        spec
    }

    /// The same of what that came to.
    pub(crate) fn resolved(self, resolved: Resolved) -> Resolved {
        let mut resolved = resolved;
        resolved.labels = self.labels.map_or(resolved.labels, |both| both.resolved);
        resolved.env = self.env.map_or(resolved.env, |both| both.resolved);
        resolved.mounts = self.mounts.map_or(resolved.mounts, |both| both.resolved);
        resolved
    }
}

impl Status {
    pub(crate) fn created() -> Self {
        Self {
            lifecycle: Lifecycle::Created,
            restarts: 0,
            stopped: false,
            name: None,
            restart: None,
            boot: None,
            shim: None,
            networks: BTreeMap::new(),
            ports: Ports::default(),
            limits: None,
            changed: None,
            health: None,
            unlinked: BTreeSet::new(),
        }
    }

    /// Nothing of a network is its own any more but its places in them.
    pub(crate) fn let_go_of_networks(&mut self) {
        for endpoint in self.networks.values_mut() {
            endpoint.live = None;
        }
        self.ports = Ports::default();
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    fixed: &'a RawValue,
    status: &'a Status,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    fixed: Fixed,
    status: Status,
}

/// The fixed part as it stands in every later record.
pub(crate) fn encode_fixed(fixed: &Fixed) -> Result<Box<RawValue>, Error> {
    serde_json::value::to_raw_value(fixed).map_err(|source| Error::Encode {
        what: "a container's record",
        source,
    })
}

/// The body of a record.
pub(crate) fn encode(fixed: &RawValue, status: &Status) -> Result<String, Error> {
    serde_json::to_string(&Written {
        version: VERSION,
        fixed,
        status,
    })
    .map_err(|source| Error::Encode {
        what: "a container's record",
        source,
    })
}

/// The reverse of [`encode`].
pub(crate) fn decode(id: &ContainerId, body: &str) -> Result<(Fixed, Status), Error> {
    let failed = |source| Error::Record {
        id: id.clone(),
        source,
    };
    let Version { version } = serde_json::from_str(body).map_err(failed)?;
    if version > VERSION {
        return Err(failed(serde::de::Error::custom(format!(
            "it has version {version}, written by a newer program; {VERSION} is the newest known"
        ))));
    }
    let Read { mut fixed, status } = serde_json::from_str(body).map_err(failed)?;
    // Written before there was more than what was asked for.
    if fixed.resolved.mounts.is_empty() {
        fixed.resolved.mounts.clone_from(&fixed.spec.mounts);
    }
    Ok((fixed, status))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::Value;

    use super::*;

    pub(crate) fn fixed(digit: char, name: &str) -> Fixed {
        Fixed {
            id: digit.to_string().repeat(64).parse().unwrap(),
            name: name.parse().unwrap(),
            created: 7,
            spec: ContainerSpec::default(),
            resolved: Resolved {
                entrypoint: Vec::new(),
                command: vec!["true".to_owned()],
                env: Vec::new(),
                working_dir: String::new(),
                user: String::new(),
                hostname: "h".to_owned(),
                labels: BTreeMap::new(),
                exposed_ports: BTreeSet::default(),
                stop_signal: types::Signal::TERM,
                stop_timeout: 10,
                mounts: Vec::new(),
                health: None,
                shell: Vec::new(),
            },
            image: Digest::sha256([1; 32]),
            image_ref: None,
            ids: None,
            selinux: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let fixed = fixed('a', "web");
        let status = Status {
            lifecycle: Lifecycle::Running {
                process: ProcessRef { pid: 7, started: 9 },
                started: 3,
                paused: false,
            },
            restarts: 2,
            boot: Some("boot".into()),
            shim: None,
            ..Status::created()
        };
        let body = encode(&encode_fixed(&fixed).unwrap(), &status).unwrap();
        assert!(
            body.starts_with(r#"{"version":1,"fixed":{"id":"aaaa"#),
            "{body}"
        );
        assert_eq!(decode(&fixed.id, &body).unwrap(), (fixed, status));
    }

    /// Whether all that `old` says is said by `new`, too.
    pub(crate) fn keeps(new: &Value, old: &Value) -> bool {
        match (new, old) {
            (Value::Object(new), Value::Object(old)) => old
                .iter()
                .all(|(key, value)| new.get(key).is_some_and(|new| keeps(new, value))),
            (Value::Array(new), Value::Array(old)) => {
                new.len() == old.len() && new.iter().zip(old).all(|(new, old)| keeps(new, old))
            }
            (new, old) => new == old,
        }
    }

    /// Records as they are on people's disks are read, and nothing that they say is lost. The first has
    /// everything that there is: whoever adds to a record adds it there, and leaves an old one below it, without.
    #[test]
    fn records_on_disk_are_read_for_ever() {
        let text = include_str!("../tests/fixtures/records/containers.json");
        let records: Vec<Value> = serde_json::from_str(text).unwrap();
        for (number, record) in records.iter().enumerate() {
            let id = record["fixed"]["id"].as_str().unwrap().parse().unwrap();
            let (fixed, status) = decode(&id, &record.to_string())
                .unwrap_or_else(|error| panic!("record {number}: {}", error.chain()));
            let again = encode(&encode_fixed(&fixed).unwrap(), &status).unwrap();
            let again: Value = serde_json::from_str(&again).unwrap();
            assert!(keeps(&again, record), "record {number}: {again:#}");
            assert!(number > 0 || again == *record, "not everything: {again:#}");
        }
    }

    #[test]
    fn a_newer_record_is_refused() {
        let fixed = fixed('a', "web");
        let error = decode(&fixed.id, r#"{"version":9,"fixed":{"unknown":1}}"#).unwrap_err();
        assert!(error.chain().contains("version 9"), "{}", error.chain());
    }
}
