//! Filters of `GET /containers/json`.

use api::convert::{exit_code, state_name};
use engine::Engine;
use engine::container::{self, View};
use types::{ImageRef, Lifecycle, NetworkId};

use super::{container_view, image_filter};
use crate::filter::{label, pattern};
use crate::http::error::Failure;
use crate::http::query::Filters;

const STATES: [&str; 7] = [
    "created",
    "restarting",
    "running",
    "removing",
    "paused",
    "exited",
    "dead",
];

const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Filters, checked; those of one key are alternatives, keys are conditions.
#[derive(Debug, Default)]
pub(super) struct Filter {
    filters: Filters,
    exit_codes: Vec<i32>,
    /// Created before this, in nanoseconds since the epoch.
    before: Option<i64>,
    since: Option<i64>,
    /// Ids of the images named by `ancestor`, and of those made from them.
    ancestors: Vec<String>,
}

impl Filter {
    pub(super) async fn read(engine: &Engine, filters: Filters) -> Result<Self, Failure> {
        for (key, values) in &filters {
            check(key, values)?;
        }
        let created = |key: &str| match filters.get(key).and_then(|values| values.first()) {
            Some(who) => container::inspect(engine, who).map(|view| Some(view.created)),
            None => Ok(None),
        };
        let (before, since) = (created("before")?, created("since")?);
        let codes = filters.get("exited").into_iter().flatten();
        let exit_codes = codes.filter_map(|code| code.parse().ok()).collect();
        let ancestors = match filters.get("ancestor") {
            Some(names) => ancestors(engine, names.clone()).await,
            None => Vec::new(),
        };
        Ok(Self {
            filters,
            exit_codes,
            before,
            since,
            ancestors,
        })
    }

    /// Whether states are named: then those that do not run are looked at too.
    pub(super) fn names_states(&self) -> bool {
        self.filters.contains_key("status")
    }

    pub(super) fn takes(&self, view: &View) -> bool {
        self.filters
            .iter()
            .all(|(key, values)| self.takes_key(key, values, view))
    }

    fn takes_key(&self, key: &str, values: &[String], view: &View) -> bool {
        let any = |takes: &dyn Fn(&str) -> bool| values.iter().any(|value| takes(value));
        match key {
            "id" => any(&|value| pattern(value, view.id.as_str())),
            "name" => any(&|value| name(value, view)),
            // All labels must be there, unlike the values of other keys.
            "label" => values.iter().all(|v| label(v, &view.resolved.labels)),
            "status" => any(&|value| value == state_name(&view.lifecycle)),
            "exited" => {
                matches!(view.lifecycle, Lifecycle::Exited { .. })
                    && self.exit_codes.contains(&exit_code(&view.lifecycle))
            }
            "ancestor" => {
                self.ancestors.contains(&view.image.to_string())
                    || any(&|value| same_image(value, view))
            }
            "before" => self.before.is_some_and(|time| view.created < time),
            "since" => self.since.is_some_and(|time| view.created > time),
            "network" => any(&|value| in_network(value, view)),
            "volume" => container_view::mounts(view).iter().any(|m| {
                any(&|value| value == m.destination || value == m.source || value == m.name)
            }),
            "health" => any(&|value| value == container_view::health(view)),
            "expose" => any(&|value| {
                let port = match value.contains('/') {
                    true => value.to_owned(),
                    false => format!("{value}/tcp"),
                };
                view.exposed
                    .iter()
                    .any(|exposed| exposed.to_string() == port)
            }),
            "publish" => any(&|value| published(value, view)),
            // Nothing belongs to a service.
            "is-task" => any(&|value| matches!(value, "false" | "0")),
            _ => true,
        }
    }
}

/// Which containers a prune removes.
#[derive(Debug, Default)]
pub(super) struct PruneFilter {
    labels: Vec<String>,
    not_labels: Vec<String>,
    until: Option<i64>,
}

impl PruneFilter {
    pub(super) fn read(mut filters: Filters) -> Result<Self, Failure> {
        let mut take = |key: &str| filters.remove(key).unwrap_or_default();
        let (labels, not_labels) = (take("label"), take("label!"));
        let until = match take("until").as_slice() {
            [] => None,
            [text] => Some(image_filter::until(text)?),
            _ => return Err(Failure::bad_request("more than one until filter specified")),
        };
        match filters.keys().next() {
            Some(key) => Err(Failure::bad_request(format!("invalid filter '{key}'"))),
            None => Ok(Self {
                labels,
                not_labels,
                until,
            }),
        }
    }

    pub(super) fn takes(&self, view: &View) -> bool {
        let labels = &view.resolved.labels;
        self.labels.iter().all(|l| label(l, labels))
            && !self.not_labels.iter().any(|l| label(l, labels))
            && self.until.is_none_or(|time| view.created < time)
    }
}

fn check(key: &str, values: &[String]) -> Result<(), Failure> {
    let invalid = |value: &str, expected: &str| {
        Err(Failure::bad_request(format!(
            "invalid filter '{key}={value}': {expected} is expected"
        )))
    };
    let one_of = |known: &[&str]| match values.iter().find(|v| !known.contains(&v.as_str())) {
        Some(value) => invalid(value, &known.join(", ")),
        None => Ok(()),
    };
    match key {
        "status" => one_of(&STATES),
        "health" => one_of(&HEALTH),
        "is-task" => one_of(&["true", "false", "1", "0"]),
        "exited" => match values.iter().find(|v| v.parse::<i32>().is_err()) {
            Some(value) => invalid(value, "an exit code"),
            None => Ok(()),
        },
        "ancestor" | "before" | "expose" | "id" | "isolation" | "label" | "name" | "network"
        | "publish" | "since" | "volume" => Ok(()),
        _ => Err(Failure::bad_request(format!("invalid filter '{key}'"))),
    }
}

/// By name or id, or the beginning of one.
fn in_network(value: &str, view: &View) -> bool {
    let mut networks = view.networks.iter();
    view.spec.network.network() == Some(value)
        || networks.any(|network| {
            let id = network.network.as_ref();
            let begins = |id: &NetworkId| !value.is_empty() && id.as_str().starts_with(value);
            network.name == value || id.is_some_and(begins)
        })
}

/// A port of the host that is published, `80`, `80/udp` or a range.
fn published(value: &str, view: &View) -> bool {
    let (ports, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let Some((first, last)) = types::port_range(ports) else {
        return false;
    };
    view.ports.iter().any(|port| {
        (first..=last).contains(&port.host_port) && port.port.protocol.as_str() == protocol
    })
}

/// With and without the slash that the API shows.
fn name(value: &str, view: &View) -> bool {
    let bare = view.name.as_str();
    pattern(value, bare) || pattern(value, &format!("/{bare}"))
}

fn same_image(value: &str, view: &View) -> bool {
    let named: Option<ImageRef> = value.parse().ok();
    named.is_some() && named == view.image_ref
}

/// Ids of the images that exist by these names, and of those made from them; what does not exist is nobody's
/// ancestor.
async fn ancestors(engine: &Engine, names: Vec<String>) -> Vec<String> {
    let engine = engine.clone();
    let find = move || {
        let find = |name: &String| engine::image::with_descendants(&engine, name).ok();
        let found = names.iter().filter_map(find).flatten();
        found.map(|image| image.id.to_string()).collect()
    };
    tokio::task::spawn_blocking(find).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_values_are_refused() {
        let show = |key: &str, value: &str| {
            check(key, &[value.to_owned()]).map_err(|failure| failure.message().to_owned())
        };
        assert_eq!(show("nane", "x"), Err("invalid filter 'nane'".to_owned()));
        assert_eq!(
            show("status", "up"),
            Err(
                "invalid filter 'status=up': created, restarting, running, removing, paused, \
                 exited, dead is expected"
                    .to_owned()
            )
        );
        assert!(show("exited", "x").is_err() && show("exited", "137").is_ok());
        assert!(show("health", "fine").is_err() && show("name", "anything").is_ok());
    }
}
