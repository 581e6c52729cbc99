//! What is told of images: Docker's events of them.

use std::collections::BTreeMap;

use storage::{Image, Removed};
use types::ImageRef;

use crate::event::{Event, Kind};
use crate::{Engine, clock};

/// Tells what has happened to an image: its labels and its name are in it.
fn tell(
    engine: &Engine,
    action: &'static str,
    id: String,
    name: String,
    labels: BTreeMap<String, String>,
) {
    let mut attributes = labels;
    attributes.insert("name".to_owned(), name);
    engine.events().push(Event {
        kind: Kind::Image,
        action: action.into(),
        id,
        attributes,
        time: clock::now(),
    });
}

fn labels(image: &Image) -> BTreeMap<String, String> {
    let config = image.config.config().as_ref();
    let labels = config.and_then(|config| config.labels().clone());
    labels.unwrap_or_default().into_iter().collect()
}

fn labels_of(engine: &Engine, name: &str) -> BTreeMap<String, String> {
    let found = engine.storage().image(name);
    found.map(|image| labels(&image)).unwrap_or_default()
}

/// Something that concerns a reference: `pull`, `push`.
pub(super) fn of_reference(engine: &Engine, action: &'static str, reference: &ImageRef) {
    let labels = labels_of(engine, &reference.to_string());
    let name = reference.familiar_name();
    tell(engine, action, reference.familiar(), name, labels);
}

/// Something that concerns an image: `load`, `import`, `save`, `create`, `tag`; under this name.
pub(super) fn of_image(engine: &Engine, action: &'static str, id: &str, name: &str) {
    let labels = labels_of(engine, id);
    tell(engine, action, id.to_owned(), name.to_owned(), labels);
}

/// What a removal did; the image is as it was before.
pub(super) fn removed(engine: &Engine, image: &Image, removed: &[Removed]) {
    for step in removed {
        let (action, id) = match step {
            Removed::Untagged(_) => ("untag", image.id.to_string()),
            Removed::Deleted(digest) if *digest == image.id => ("delete", digest.to_string()),
            // A part of it.
            Removed::Deleted(_) => continue,
        };
        tell(engine, action, id.clone(), id, labels(image));
    }
}

/// That images were pruned, and what that brought.
pub(super) fn pruned(engine: &Engine, reclaimed: u64) {
    let reclaimed = ("reclaimed", reclaimed.to_string());
    crate::event::emit(engine, Kind::Image, "prune", "", [reclaimed]);
}
