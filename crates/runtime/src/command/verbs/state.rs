//! `state`: how a container stands, in the specification's words.

use serde_json::{Map, Value, json};

use super::ID;
use crate::Outcome;
use crate::failure::Failure;
use crate::global::Global;
use crate::state_file::{Place, Record, Status};
use crate::words::{Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "state",
    usage: ID,
    about: "show a container's state as JSON",
    flags: &[],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: state,
};

fn state(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    print(&document(&place.read()?, ""))?;
    Ok(0)
}

/// The state document with what runc adds to it, in runc's order.
pub(super) fn document(record: &Record, owner: &str) -> Value {
    let status = record.status();
    let pid = if status == Status::Stopped {
        0
    } else {
        record.saved.process.pid
    };
    let root = record.spec.root().as_ref();
    let root = root.map(|root| record.saved.bundle.join(root.path()));
    let mut document = Map::new();
    let mut put = |name: &str, value| document.insert(name.to_owned(), value);
    put("ociVersion", json!(record.spec.version()));
    put("id", json!(record.saved.id));
    put("pid", json!(pid));
    put("status", json!(status.name()));
    put("bundle", json!(record.saved.bundle));
    put("rootfs", json!(root));
    put("created", json!(record.created));
    let annotations = record.spec.annotations().as_ref();
    if let Some(annotations) = annotations.filter(|all| !all.is_empty()) {
        let sorted: std::collections::BTreeMap<_, _> = annotations.iter().collect();
        put("annotations", json!(sorted));
    }
    put("owner", json!(owner));
    Value::Object(document)
}

pub(super) fn print(value: &Value) -> Result<(), Failure> {
    println!("{}", text(serde_json::to_string_pretty(value))?);
    Ok(())
}

pub(super) fn print_line(value: &Value) -> Result<(), Failure> {
    println!("{}", text(serde_json::to_string(value))?);
    Ok(())
}

fn text(text: serde_json::Result<String>) -> Result<String, Failure> {
    text.map_err(|source| Failure::Malformed {
        path: "standard output".into(),
        source,
    })
}
