//! What `update` changes of a container that is there.

use std::collections::BTreeMap;

use super::{MountRequest, PortRequest, Resources};
use crate::RestartPolicy;

/// What is to be changed; what it does not name stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerChange {
    /// Limits.
    pub resources: Resources,
    /// When it is started again by itself.
    pub restart: Option<RestartPolicy>,
    /// Labels by name; without a value they go.
    pub labels: BTreeMap<String, Option<String>>,
    /// Variables by name; without a value they go.
    pub env: BTreeMap<String, Option<String>>,
    /// Ports to be reached on the host from now on.
    pub publish: Vec<PortRequest>,
    /// Those that are not to be any more: the container's port, and of the host's what is said.
    pub unpublish: Vec<PortRequest>,
    /// What is mounted from now on.
    pub mount: Vec<MountRequest>,
    /// Paths inside at which nothing is mounted any more.
    pub unmount: Vec<String>,
}

impl ContainerChange {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Labels as they are after it.
    pub fn labels_of(&self, old: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = old.clone();
        for (name, value) in &self.labels {
            match value {
                Some(value) => drop(all.insert(name.clone(), value.clone())),
                None => drop(all.remove(name)),
            }
        }
        all
    }

    /// An environment, `NAME=value` each, as it is after it: what is there keeps its place.
    pub fn env_of(&self, old: &[String]) -> Vec<String> {
        let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
        let kept = old
            .iter()
            .filter(|entry| !self.env.contains_key(&name(entry)));
        let said = self.env.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("{name}={value}"))
        });
        kept.cloned().chain(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_variables_come_and_go() {
        let pairs = |all: &[(&str, Option<&str>)]| {
            let own = |(name, value): &(&str, Option<&str>)| {
                ((*name).to_owned(), value.map(str::to_owned))
            };
            all.iter().map(own).collect()
        };
        let change = ContainerChange {
            labels: pairs(&[("a", Some("2")), ("b", None), ("new", Some(""))]),
            env: pairs(&[("A", Some("x=y")), ("B", None), ("NOT", None)]),
            ..ContainerChange::default()
        };
        let old = ["a", "b", "c"].map(|name| (name.to_owned(), "1".to_owned()));
        let labels = change.labels_of(&old.into_iter().collect());
        assert_eq!(format!("{labels:?}"), r#"{"a": "2", "c": "1", "new": ""}"#);
        let env = ["A=1", "AB=1", "B=1", "PATH=/bin"].map(str::to_owned);
        assert_eq!(change.env_of(&env), ["AB=1", "PATH=/bin", "A=x=y"]);
        assert!(!change.is_empty() && ContainerChange::default().is_empty());
    }
}
