//! Filters of `GET /events`.

use engine::event::{Event, Kind};

use crate::filter::label;
use crate::http::error::Failure;
use crate::http::query::Filters;

/// Those that Docker knows, also of what there is none here.
const KEYS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Keys whose values are the beginning of an id or of a name.
const OBJECTS: [&str; 9] = [
    "config",
    "container",
    "daemon",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
    "volume",
];

/// Actions that go on with a colon and more.
const LONG: [&str; 3] = ["health_status", "exec_create", "exec_start"];

/// The scope of everything that happens on one machine.
pub(super) const SCOPE: &str = "local";

/// Filters, checked; those of one key are alternatives, keys are conditions.
#[derive(Debug)]
pub(super) struct Filter(Filters);

impl Filter {
    pub(super) fn read(filters: Filters) -> Result<Self, Failure> {
        match filters.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(unknown) => Err(Failure::bad_request(format!(
                "invalid filter '{unknown}': one of {} is expected",
                KEYS.join(", ")
            ))),
            None => Ok(Self(filters)),
        }
    }

    pub(super) fn takes(&self, event: &Event) -> bool {
        let name = event.attributes.get("name").map_or("", String::as_str);
        let is_object = |key: &str| self.begins(key, &event.id) || self.begins(key, name);
        self.action(event)
            && self.is("type", event.kind.name())
            && self.is("scope", SCOPE)
            && OBJECTS.into_iter().all(is_object)
            && self.image(event)
            && self.all("label", |value| label(value, &event.attributes))
    }

    fn values(&self, key: &str) -> Option<&[String]> {
        let values = self.0.get(key)?;
        (!values.is_empty()).then_some(values)
    }

    fn any(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_none_or(|values| values.iter().any(|value| fits(value)))
    }

    fn all(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_none_or(|values| values.iter().all(|value| fits(value)))
    }

    fn is(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| value == text)
    }

    fn begins(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| text.starts_with(value))
    }

    fn action(&self, event: &Event) -> bool {
        let long = |value: &String| LONG.contains(&value.as_str());
        match self.values("event").is_some_and(|v| v.iter().any(long)) {
            true => self.begins("event", &event.action),
            false => self.is("event", &event.action),
        }
    }

    /// By id, by reference, or by reference without its tag.
    fn image(&self, event: &Event) -> bool {
        let named = match event.kind {
            Kind::Container => "image",
            _ => "name",
        };
        let name = event.attributes.get(named).map_or("", String::as_str);
        let fits = |text: &str| self.is("image", text) || self.is("image", without_tag(text));
        fits(&event.id) || fits(name)
    }
}

/// `repository` of `repository:tag`; what has a digest stays.
fn without_tag(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') && !repository.contains('@') => repository,
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, action: &'static str, id: &str, attributes: &[(&str, &str)]) -> Event {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Event {
            kind,
            action: action.into(),
            id: id.to_owned(),
            attributes: attributes.iter().map(own).collect(),
            time: 1,
        }
    }

    /// The numbers of the events that these filters take.
    fn taken(filters: &[(&str, &str)]) -> String {
        let events = [
            event(
                Kind::Container,
                "start",
                "abc1",
                &[("name", "web"), ("image", "h:5/nginx:1"), ("tier", "front")],
            ),
            event(
                Kind::Container,
                "exec_create: sh -c x",
                "abd2",
                &[("name", "db"), ("image", "pg")],
            ),
            event(
                Kind::Container,
                "health_status: healthy",
                "abd2",
                &[("name", "db")],
            ),
            event(
                Kind::Image,
                "tag",
                "sha256:01",
                &[("name", "h:5/nginx:2"), ("tier", "back")],
            ),
            event(Kind::Network, "connect", "net3", &[("name", "bridge")]),
            event(Kind::Volume, "create", "data", &[("driver", "local")]),
        ];
        let mut map = Filters::new();
        for (key, value) in filters {
            let values = map.entry((*key).to_owned()).or_default();
            values.push((*value).to_owned());
        }
        let filter = Filter::read(map).unwrap();
        let numbers = (0..events.len()).filter(|n| filter.takes(&events[*n]));
        numbers.map(|n| n.to_string()).collect()
    }

    #[test]
    fn filters_take_what_dockers_take() {
        let table = [
            (&[][..], "012345"),
            (&[("type", "container")], "012"),
            (&[("type", "image"), ("type", "volume")], "35"),
            (&[("event", "start")], "0"),
            (&[("event", "star")], ""),
            (&[("event", "exec_create")], "1"),
            (&[("event", "exec_create: sh -c x")], "1"),
            (&[("event", "health_status")], "2"),
            (&[("event", "health_status: healthy")], "2"),
            (&[("container", "web")], "0"),
            (&[("container", "ab")], "012"),
            (&[("container", "d")], "125"),
            (&[("container", "web"), ("event", "die")], ""),
            (&[("image", "h:5/nginx")], "03"),
            (&[("image", "h:5/nginx:1")], "0"),
            (&[("image", "sha256:01")], "3"),
            (&[("label", "tier")], "03"),
            (&[("label", "tier=front")], "0"),
            (&[("label", "tier"), ("label", "tier=front")], "0"),
            (&[("network", "bri")], "4"),
            (&[("volume", "data"), ("type", "volume")], "5"),
            (&[("scope", "local")], "012345"),
            (&[("scope", "swarm")], ""),
            (&[("service", "x")], ""),
        ];
        for (filters, expected) in table {
            assert_eq!(taken(filters), expected, "{filters:?}");
        }
        let unknown = Filters::from([("colour".to_owned(), vec!["red".to_owned()])]);
        let error = Filter::read(unknown).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("invalid filter 'colour': one of config,")
        );
    }
}
