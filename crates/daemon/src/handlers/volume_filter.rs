//! Filters of `GET /volumes` and `POST /volumes/prune`.

use engine::volume::{LOCAL, Volume};

use crate::filter::{label, pattern};
use crate::http::error::Failure;
use crate::http::query::Filters;

/// Which volumes are shown.
#[derive(Debug, Default)]
pub(super) struct Filter {
    names: Vec<String>,
    drivers: Vec<String>,
    labels: Vec<String>,
    dangling: Option<bool>,
}

impl Filter {
    pub(super) fn read(mut filters: Filters) -> Result<Self, Failure> {
        let mut take = |key: &str| filters.remove(key).unwrap_or_default();
        let filter = Self {
            names: take("name"),
            drivers: take("driver"),
            labels: take("label"),
            dangling: flag("dangling", &take("dangling"))?,
        };
        known(&filters)?;
        Ok(filter)
    }

    pub(super) fn takes(&self, volume: &Volume) -> bool {
        let any = |values: &[String], fits: &dyn Fn(&str) -> bool| {
            values.is_empty() || values.iter().any(|value| fits(value))
        };
        any(&self.names, &|name| pattern(name, volume.name.as_str()))
            && any(&self.drivers, &|driver| driver == LOCAL)
            && self.labels.iter().all(|l| label(l, &volume.labels))
            && self
                .dangling
                .is_none_or(|dangling| volume.users.is_empty() == dangling)
    }
}

/// Which volumes a prune removes.
#[derive(Debug, Default)]
pub(super) struct PruneFilter {
    /// Those with a name too.
    pub(super) all: bool,
    labels: Vec<String>,
    not_labels: Vec<String>,
}

impl PruneFilter {
    pub(super) fn read(mut filters: Filters) -> Result<Self, Failure> {
        let mut take = |key: &str| filters.remove(key).unwrap_or_default();
        let filter = Self {
            all: flag("all", &take("all"))?.unwrap_or(false),
            labels: take("label"),
            not_labels: take("label!"),
        };
        known(&filters)?;
        Ok(filter)
    }

    pub(super) fn takes(&self, volume: &Volume) -> bool {
        self.labels.iter().all(|l| label(l, &volume.labels))
            && !self.not_labels.iter().any(|l| label(l, &volume.labels))
    }
}

fn flag(name: &str, values: &[String]) -> Result<Option<bool>, Failure> {
    match values.first().map(String::as_str) {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(other) => Err(Failure::bad_request(format!(
            "invalid filter '{name}={other}': true or false is expected"
        ))),
    }
}

fn known(rest: &Filters) -> Result<(), Failure> {
    match rest.keys().next() {
        Some(key) => Err(Failure::bad_request(format!("invalid filter '{key}'"))),
        None => Ok(()),
    }
}
