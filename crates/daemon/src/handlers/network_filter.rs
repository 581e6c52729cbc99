//! Filters of `GET /networks` and `POST /networks/prune`.

use engine::network::View;

use super::image_filter::until;
use crate::filter::label;
use crate::http::error::Failure;
use crate::http::query::Filters;

/// Filters, checked; those of one key are alternatives, keys are conditions.
#[derive(Debug)]
pub(super) struct Filter(Filters);

impl Filter {
    pub(super) fn read(filters: Filters) -> Result<Self, Failure> {
        for (key, values) in &filters {
            let known: &[&str] = match key.as_str() {
                "driver" | "id" | "label" | "name" | "scope" => continue,
                "type" => &["custom", "builtin"],
                "dangling" => &["true", "false", "1", "0"],
                _ => return Err(Failure::bad_request(format!("invalid filter '{key}'"))),
            };
            if let Some(value) = values.iter().find(|v| !known.contains(&v.as_str())) {
                let expected = known.join(", ");
                return Err(Failure::bad_request(format!(
                    "invalid filter '{key}={value}': {expected} is expected"
                )));
            }
        }
        Ok(Self(filters))
    }

    pub(super) fn takes(&self, view: &View) -> bool {
        self.0.iter().all(|(key, values)| {
            let any = |takes: &dyn Fn(&str) -> bool| values.iter().any(|value| takes(value));
            match key.as_str() {
                "driver" => any(&|value| value == view.spec.driver),
                "id" => any(&|value| view.id.as_str().contains(value)),
                "name" => any(&|value| view.spec.name.contains(value)),
                "scope" => any(&|value| value == view.spec.scope),
                "type" => any(&|value| (value == "builtin") == view.predefined),
                "dangling" => any(&|value| {
                    let dangling = matches!(value, "true" | "1");
                    (!view.used && !view.predefined) == dangling
                }),
                // All labels must be there, unlike the values of other keys.
                _ => values.iter().all(|v| label(v, &view.spec.labels)),
            }
        })
    }
}

/// Which networks a prune removes.
#[derive(Debug)]
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
            [text] => Some(until(text)?),
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
        let labels = &view.spec.labels;
        self.labels.iter().all(|l| label(l, labels))
            && !self.not_labels.iter().any(|l| label(l, labels))
            && self
                .until
                .is_none_or(|time| view.created.is_some_and(|created| created < time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_values_are_refused() {
        let show = |key: &str, value: &str| {
            let filters: Filters = [(key.to_owned(), vec![value.to_owned()])].into();
            Filter::read(filters)
                .map(drop)
                .map_err(|f| f.message().to_owned())
        };
        assert_eq!(
            show("colour", "x"),
            Err("invalid filter 'colour'".to_owned())
        );
        assert_eq!(
            show("type", "mine"),
            Err("invalid filter 'type=mine': custom, builtin is expected".to_owned())
        );
        assert_eq!(show("dangling", "1"), Ok(()));
    }
}
