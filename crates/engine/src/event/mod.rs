//! What happened: the last events, in memory and in order, for any number of readers.
//!
//! Who tells of something appends to a ring and is done: no reader can hold it up. A reader has a place
//! in the ring; one that is so slow that the ring has passed its place by is told so, and its stream
//! ends. The ring is written to the run directory in the background, so that `--since` reaches over
//! restarts of the daemon.

mod container;
mod kept;
mod ring;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Engine, clock};

pub(crate) use container::{of_container, of_container_with};
pub(crate) use kept::{keep, read, write};
pub use ring::{Missed, Reader};
pub(crate) use ring::{Ring, SIZE};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Builds and their cache.
    Builder,
    /// Containers.
    Container,
    /// The daemon itself.
    Daemon,
    /// Images.
    Image,
    /// Networks.
    Network,
    /// Secrets.
    Secret,
    /// Volumes.
    Volume,
}

impl Kind {
    /// Docker's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
            Self::Network => "network",
            Self::Secret => "secret",
            Self::Volume => "volume",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    pub kind: Kind,
    /// Docker's word for what happened: `start`, `exec_create: sh -c true`.
    pub action: Cow<'static, str>,
    /// Which container, image, network or volume; empty when it is about several.
    pub id: String,
    /// More about it.
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since the Unix epoch; no two events have the same.
    pub time: i64,
}

/// Tells of something that has happened. Never waits.
pub(crate) fn emit<const N: usize>(
    engine: &Engine,
    kind: Kind,
    action: impl Into<Cow<'static, str>>,
    id: impl Into<String>,
    attributes: [(&str, String); N],
) {
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    engine.events().push(Event {
        kind,
        action: action.into(),
        id: id.into(),
        attributes: attributes.into(),
        time: clock::now(),
    });
}

/// Tells that the daemon has read its configuration again. `id` and `name` are the daemon's.
pub fn reloaded(engine: &Engine, id: &str) {
    let name = engine.host().name.clone();
    emit(engine, Kind::Daemon, "reload", id, [("name", name)]);
}

/// The time of the last event that is remembered.
pub fn last(engine: &Engine) -> i64 {
    engine.events().last()
}

/// Tells that a newer daemon goes on with what this one's predecessor did. `id` and `name` are the daemon's.
pub fn upgraded(engine: &Engine, id: &str, from: &str, to: &str) {
    let name = engine.host().name.clone();
    let more = [
        ("name", name),
        ("from", from.to_owned()),
        ("to", to.to_owned()),
    ];
    emit(engine, Kind::Daemon, "upgrade", id, more);
}

/// Reads what happens from now on, or with what has happened as far as it is remembered.
pub fn subscribe(engine: &Engine, past: bool) -> Reader {
    engine.events().reader(past)
}
