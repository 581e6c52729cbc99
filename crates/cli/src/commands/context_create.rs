//! `context create`, `context update`

use crate::args::Globals;
use crate::args::contexts::{ContextCreateArgs, ContextUpdateArgs};
use crate::contexts::{self, DEFAULT, Store, Stored, Tls};
use crate::error::CliError;
use crate::print;

pub(super) fn create(args: ContextCreateArgs, globals: &Globals) -> Result<u8, CliError> {
    let name = args.names[0].as_str();
    let store = Store::find(&super::variable)?;
    contexts::check_name(name)?;
    if store.has(name) {
        return Err(CliError::Invalid(format!(
            "context {name:?} already exists"
        )));
    }
    let change = contexts::change(&args.docker)?;
    let from = args.from.clone().or_else(|| change.from.clone());
    let (mut stored, mut tls) = match (&from, change.is_empty() || change.from.is_some()) {
        (Some(from), _) => copied(&store, from, globals)?,
        // Without a word it is as the one in use.
        (None, true) => copied(
            &store,
            &contexts::current(globals, &super::variable)?,
            globals,
        )?,
        (None, false) => (Stored::new(name, "", "", false), Tls::new()),
    };
    stored.name = name.to_owned();
    stored.meta["Name"] = name.into();
    describe(&mut stored, args.description.as_deref());
    tls.extend(change.apply(&mut stored));
    store.put(&stored, Some(&tls))?;
    print::out(&format!("{name}\n"))?;
    print::complain(&format!("Successfully created context {name:?}"));
    Ok(0)
}

/// What another one is.
fn copied(store: &Store, from: &str, globals: &Globals) -> Result<(Stored, Tls), CliError> {
    if from != DEFAULT {
        return Ok((store.get(from)?, store.tls(from)?));
    }
    contexts::default_as_stored(globals, &super::variable)
}

fn describe(stored: &mut Stored, description: Option<&str>) {
    if let Some(text) = description {
        stored.meta["Metadata"]["Description"] = text.into();
    }
}

pub(super) fn update(args: ContextUpdateArgs, globals: &Globals) -> Result<u8, CliError> {
    let name = args.names[0].as_str();
    let store = Store::find(&super::variable)?;
    contexts::check_name(name)?;
    let mut stored = store.get(name)?;
    describe(&mut stored, args.description.as_deref());
    let change = contexts::change(&args.docker)?;
    let anew = !change.is_empty();
    let tls = match &change.from {
        Some(from) => {
            let (other, mut tls) = copied(&store, from, globals)?;
            stored.meta["Endpoints"] = other.meta["Endpoints"].clone();
            tls.extend(change.apply(&mut stored));
            tls
        }
        None => change.apply(&mut stored),
    };
    store.put(&stored, anew.then_some(&tls))?;
    print::out(&format!("{name}\n"))?;
    print::complain(&format!("Successfully updated context {name:?}"));
    Ok(0)
}
