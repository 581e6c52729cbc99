//! `context inspect`

use serde_json::{Value, json};

use crate::args::Globals;
use crate::args::contexts::ContextInspectArgs;
use crate::contexts::{self, DEFAULT, Store, Tls};
use crate::error::CliError;
use crate::print::system;

/// Where the context is kept that is in no file.
const NOWHERE: &str = "<IN MEMORY>";

pub(super) fn run(args: ContextInspectArgs, globals: &Globals) -> Result<u8, CliError> {
    let store = Store::find(&super::variable)?;
    let mut names = args.names.clone();
    if names.is_empty() {
        names.push(contexts::current(globals, &super::variable)?);
    }
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &names {
        match one(&store, name, globals) {
            Ok(object) => found.push(object),
            Err(error) => failures.push(error.to_string()),
        }
    }
    system::own_objects(&found, &failures, args.format.as_deref())
}

fn one(store: &Store, name: &str, globals: &Globals) -> Result<Value, CliError> {
    if name == DEFAULT {
        let (stored, tls) = contexts::default_as_stored(globals, &super::variable)?;
        return Ok(json!({
            "Name": DEFAULT,
            "Metadata": {},
            "Endpoints": stored.meta["Endpoints"],
            "TLSMaterial": material(tls),
            "Storage": { "MetadataPath": NOWHERE, "TLSPath": NOWHERE },
        }));
    }
    let stored = store.get(name)?;
    let material = material(store.tls(name)?);
    let mut object = stored.meta;
    object.insert("TLSMaterial".to_owned(), material);
    let storage = json!({
        "MetadataPath": store.meta_path(name).display().to_string(),
        "TLSPath": store.tls_path(name).display().to_string(),
    });
    object.insert("Storage".to_owned(), storage);
    Ok(object.into())
}

/// The names of keys and certificates.
fn material(tls: Tls) -> Value {
    match tls.is_empty() {
        true => json!({}),
        false => json!({ "docker": tls.into_keys().collect::<Vec<_>>() }),
    }
}
