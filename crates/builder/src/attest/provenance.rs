//! Where a build comes from: SLSA provenance, with BuildKit's own parts in it.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use types::{Decimals, Platform, rfc3339};

use super::{Material, Statement, definition, is_true};
use crate::graph::Graph;
use crate::source::Source;

const KIND_0_2: &str = "https://slsa.dev/provenance/v0.2";
const KIND_1: &str = "https://slsa.dev/provenance/v1";
const BUILD_TYPE_0_2: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
/// What its file is called, as by BuildKit.
const FILE: &str = "provenance.json";
const OWN_0_2: &str = "https://mobyproject.org/buildkit@v1#metadata";

/// What of the machine's and the client's is no part of what was asked for.
const LEFT_OUT: [&str; 4] = [
    "cgroup-parent",
    "image-resolve-mode",
    "platform",
    "cache-imports",
];

/// Which of the two forms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// 0.2
    #[default]
    Old,
    /// 1
    New,
}

/// How it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// With arguments, the Dockerfile and all steps.
    pub full: bool,
    /// In which form.
    pub version: Version,
    /// What names who builds.
    pub builder: String,
    /// The client promises that the same comes of it each time.
    pub reproducible: bool,
    /// What its file is called; none is BuildKit's word.
    pub file: Option<String>,
}

/// What is known of a build.
#[derive(Debug)]
pub struct Facts<'a> {
    /// `dockerfile.v0`; empty of a definition in LLB.
    pub frontend: &'a str,
    /// What that was told.
    pub attributes: &'a HashMap<String, String>,
    /// What the build was made of.
    pub materials: &'a [Material],
    /// The Dockerfile.
    pub source: Option<&'a Source>,
    /// All steps.
    pub graph: Option<&'a Graph>,
    /// What names the build.
    pub id: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub started: i64,
    /// Nanoseconds since the Unix epoch.
    pub finished: i64,
}

impl Provenance {
    /// Reads what stands behind `attest:provenance`.
    pub(super) fn read(mut pairs: BTreeMap<String, String>) -> Result<Self, String> {
        let full = match pairs.remove("mode").as_deref() {
            None | Some("min" | "") => false,
            Some("max") => true,
            Some(other) => {
                return Err(format!(
                    "the provenance mode {other} is not known: min or max is expected"
                ));
            }
        };
        let version = match pairs.remove("version").as_deref() {
            None | Some("v0.2" | "") => Version::Old,
            Some("v1") => Version::New,
            Some(other) => {
                return Err(format!(
                    "the provenance version {other} is not known: v0.2 or v1 is expected"
                ));
            }
        };
        let read = Self {
            full,
            version,
            builder: pairs.remove("builder-id").unwrap_or_default(),
            reproducible: pairs
                .remove("reproducible")
                .is_some_and(|value| is_true(&value)),
            file: pairs.remove("filename").as_deref().and_then(base_name),
        };
        match pairs.pop_first() {
            None => Ok(read),
            Some((name, _)) => Err(format!(
                "the provenance option {name} is not known: mode, version, builder-id, reproducible or \
                 filename is expected"
            )),
        }
    }

    /// The statement.
    pub fn statement(&self, facts: &Facts<'_>) -> Statement {
        let (kind, predicate) = match self.version {
            Version::Old => (KIND_0_2, self.version_0_2(facts)),
            Version::New => (KIND_1, self.version_1(facts)),
        };
        Statement {
            kind: kind.to_owned(),
            predicate,
            file: self.file.clone().unwrap_or_else(|| FILE.to_owned()),
        }
    }

    fn version_0_2(&self, facts: &Facts<'_>) -> Value {
        let (parameters, complete) = self.parameters(facts);
        let mut metadata = json!({
            "buildInvocationID": facts.id,
            "buildStartedOn": time(facts.started),
            "buildFinishedOn": time(facts.finished),
            "completeness": {
                "parameters": complete,
                "environment": true,
                "materials": facts.is_public(),
            },
            "reproducible": self.reproducible,
            (OWN_0_2): self.own(facts),
        });
        prune(&mut metadata);
        let mut predicate = json!({
            "builder": { "id": self.builder },
            "buildType": BUILD_TYPE_0_2,
            "materials": facts.materials(),
            "invocation": {
                "configSource": facts.config_source("entryPoint"),
                "parameters": parameters,
                "environment": { "platform": Platform::host().to_string() },
            },
            "metadata": metadata,
        });
        if let Some(steps) = self.steps(facts) {
            predicate["buildConfig"] = steps;
        }
        predicate
    }

    fn version_1(&self, facts: &Facts<'_>) -> Value {
        let (request, complete) = self.parameters(facts);
        let mut internal = json!({ "builderPlatform": Platform::host().to_string() });
        if let Some(steps) = self.steps(facts) {
            internal["buildConfig"] = steps;
        }
        let mut metadata = json!({
            "invocationId": facts.id,
            "startedOn": time(facts.started),
            "finishedOn": time(facts.finished),
            "buildkit_metadata": self.own(facts),
            "buildkit_completeness": {
                "request": complete,
                "resolvedDependencies": facts.is_public(),
            },
            "buildkit_reproducible": self.reproducible,
        });
        prune(&mut metadata);
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_1,
                "externalParameters": {
                    "configSource": facts.config_source("path"),
                    "request": request,
                },
                "internalParameters": internal,
                "resolvedDependencies": facts.materials(),
            },
            "runDetails": {
                "builder": { "id": self.builder },
                "metadata": metadata,
            },
        })
    }

    /// What was asked for, and whether that is all of it.
    fn parameters(&self, facts: &Facts<'_>) -> (Value, bool) {
        let mut complete = true;
        let mut told = Map::new();
        for (name, value) in facts.attributes.iter().collect::<BTreeMap<_, _>>() {
            if LEFT_OUT.contains(&name.as_str()) || name.starts_with("attest:") {
                continue;
            }
            let private = ["build-arg:", "label:"]
                .iter()
                .any(|kind| name.starts_with(kind));
            if private && !self.full {
                complete = false;
                continue;
            }
            let value = match name == "context" || name.starts_with("context:") {
                true => without_password(value),
                false => value.clone(),
            };
            told.insert(name.clone(), Value::String(value));
        }
        let mut parameters = json!({ "frontend": facts.frontend, "args": told });
        let locals = facts.locals();
        if !locals.is_empty() {
            let named = locals.iter().map(|name| json!({ "name": name }));
            parameters["locals"] = named.collect();
        }
        prune(&mut parameters);
        (parameters, complete)
    }

    /// What only the full form says: the Dockerfile.
    fn own(&self, facts: &Facts<'_>) -> Value {
        let Some(source) = facts.source.filter(|_| self.full) else {
            return Value::Null;
        };
        let data = BASE64_STANDARD.encode(source.text());
        json!({
            "source": {
                "infos": [{
                    "filename": source.name(),
                    "language": "Dockerfile",
                    "data": data,
                }],
            },
        })
    }

    fn steps(&self, facts: &Facts<'_>) -> Option<Value> {
        let graph = facts.graph.filter(|_| self.full)?;
        Some(definition::of(graph))
    }
}

impl Facts<'_> {
    fn is_public(&self) -> bool {
        self.locals().is_empty()
    }

    fn locals(&self) -> Vec<&str> {
        let locals = self.materials.iter().filter_map(|material| match material {
            Material::Local(name) => Some(name.as_str()),
            _ => None,
        });
        locals.collect()
    }

    fn materials(&self) -> Value {
        self.materials.iter().filter_map(Material::named).collect()
    }

    /// Where the Dockerfile is.
    fn config_source(&self, path: &str) -> Value {
        let Some(source) = self.source else {
            return json!({});
        };
        let mut said = json!({ (path): source.name() });
        let context = self
            .attributes
            .get("context")
            .map(|text| without_password(text));
        let repository = self.materials.iter().find_map(|material| match material {
            Material::Repository { url, commit } if context.as_ref() == Some(url) => Some(commit),
            _ => None,
        });
        if let (Some(url), Some(commit)) = (&context, repository) {
            said["uri"] = json!(url);
            said["digest"] = json!({ "sha1": commit });
        }
        said
    }
}

/// The last part of a path; none of what names no file.
fn base_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    (!matches!(name, "" | "." | "..")).then(|| name.to_owned())
}

/// Takes away what says nothing.
fn prune(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        });
    }
}

/// An address without who asks.
pub(crate) fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}{path}"),
        None => address.to_owned(),
    }
}

/// A time of the build, in nanoseconds since the Unix epoch.
fn time(nanos: i64) -> String {
    rfc3339(nanos, Decimals::Nine).to_string()
}
