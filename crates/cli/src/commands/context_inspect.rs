//! `context inspect`

use serde_json::{Value, json};

use crate::args::Globals;
use crate::args::contexts::ContextInspectArgs;
use crate::contexts::{self, DEFAULT, Store};
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
    system::objects(&found, &failures, args.format.as_deref())
}

fn one(store: &Store, name: &str, globals: &Globals) -> Result<Value, CliError> {
    if name == DEFAULT {
        let host = contexts::default_host(globals, &super::variable);
        return Ok(json!({
            "Name": DEFAULT,
            "Metadata": {},
            "Endpoints": { "docker": { "Host": host, "SkipTLSVerify": false } },
            "TLSMaterial": {},
            "Storage": { "MetadataPath": NOWHERE, "TLSPath": NOWHERE },
        }));
    }
    let stored = store.get(name)?;
    let files: Vec<String> = store.tls(name).into_keys().collect();
    let material = match files.is_empty() {
        true => json!({}),
        false => json!({ "docker": files }),
    };
    let mut object = stored.meta;
    object.insert("TLSMaterial".to_owned(), material);
    let storage = json!({
        "MetadataPath": store.meta_path(name).display().to_string(),
        "TLSPath": store.tls_path(name).display().to_string(),
    });
    object.insert("Storage".to_owned(), storage);
    Ok(object.into())
}
