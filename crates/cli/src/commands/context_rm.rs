//! `context rm`

use crate::args::Globals;
use crate::args::contexts::ContextRmArgs;
use crate::contexts::{self, DEFAULT, Store};
use crate::error::CliError;
use crate::{credentials, print};

pub(super) fn run(args: ContextRmArgs, globals: &Globals) -> Result<u8, CliError> {
    let store = Store::find(&super::variable)?;
    let in_use = contexts::current(globals, &super::variable)?;
    let mut failures = Vec::new();
    for name in &args.names {
        match remove(&store, name, &in_use, args.force) {
            Ok(()) => print::out(&format!("{name}\n"))?,
            Err(error) => failures.push(error.to_string()),
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(CliError::Invalid(failures.join("\n"))),
    }
}

fn remove(store: &Store, name: &str, in_use: &str, force: bool) -> Result<(), CliError> {
    if name == DEFAULT {
        return Err(CliError::Invalid(format!(
            "context {DEFAULT:?} cannot be removed"
        )));
    }
    if !store.has(name) {
        return Err(CliError::Invalid(format!(
            "context {name:?} does not exist"
        )));
    }
    if name == in_use {
        if !force {
            return Err(CliError::Invalid(format!(
                "context {name:?} is in use, set -f flag to force remove"
            )));
        }
        credentials::set("currentContext", None, &super::variable)?;
    }
    store.remove(name)
}
