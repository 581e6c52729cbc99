//! Events of containers: what they say beside their own.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Event, Kind};
use crate::table::Container;
use crate::{Engine, clock};

/// Tells what has happened to a container.
pub(crate) fn of_container(
    engine: &Engine,
    container: &Container,
    action: impl Into<Cow<'static, str>>,
) {
    of_container_with(engine, container, action, []);
}

/// The same, with more to say: its labels, its image and its name are in each.
pub(crate) fn of_container_with<const N: usize>(
    engine: &Engine,
    container: &Container,
    action: impl Into<Cow<'static, str>>,
    more: [(&str, String); N],
) {
    let fixed = &container.fixed;
    let mut attributes: BTreeMap<String, String> = container.resolved().labels.clone();
    attributes.insert("image".to_owned(), fixed.spec.image.clone());
    attributes.insert("name".to_owned(), container.name().as_str().to_owned());
    attributes.extend(more.map(|(name, value)| (name.to_owned(), value)));
    engine.events().push(Event {
        kind: Kind::Container,
        action: action.into(),
        id: container.id().to_string(),
        attributes,
        time: clock::now(),
    });
}
