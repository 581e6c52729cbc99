//! `state`: how a container stands, in the specification's words.

use serde_json::{Value, json};

use crate::Outcome;
use crate::args::Args;
use crate::failure::Failure;
use crate::state_file::{Place, Record, Status};

pub(crate) fn state(args: &Args, id: &str) -> Outcome {
    let place = Place::of(&args.root, id)?;
    print(&document(&place.read()?))?;
    Ok(0)
}

/// The state document with what runc adds to it.
pub(super) fn document(record: &Record) -> Value {
    let status = record.status();
    let pid = if status == Status::Stopped {
        0
    } else {
        record.saved.process.pid
    };
    let root = record
        .spec
        .root()
        .as_ref()
        .map(|root| record.saved.bundle.join(root.path()));
    json!({
        "ociVersion": record.spec.version(),
        "id": record.saved.id,
        "pid": pid,
        "status": status.name(),
        "bundle": record.saved.bundle,
        "rootfs": root,
        "created": record.created,
        "annotations": record.spec.annotations().clone().unwrap_or_default(),
        "owner": "",
    })
}

pub(super) fn print(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Failure::Malformed {
        path: "standard output".into(),
        source,
    })?;
    println!("{text}");
    Ok(())
}
