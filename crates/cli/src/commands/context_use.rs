//! `context use`, `context show`

use crate::args::Globals;
use crate::args::containers::NamesArgs;
use crate::contexts::{self, DEFAULT, Store};
use crate::error::CliError;
use crate::{credentials, print};

pub(super) fn run(args: NamesArgs, _: &Globals) -> Result<u8, CliError> {
    let name = args.names[0].as_str();
    let in_use = (name != DEFAULT).then_some(name);
    if let Some(name) = in_use {
        contexts::check_name(name)?;
        Store::find(&super::variable)?.get(name)?;
    }
    credentials::set("currentContext", in_use, &super::variable)?;
    print::out(&format!("{name}\n"))?;
    print::complain(&format!("Current context is now {name:?}"));
    let stronger = ["BRIG_HOST", "DOCKER_HOST"].into_iter();
    for variable in stronger.filter(|name| super::variable(name).is_some()) {
        print::complain(&format!(
            "Warning: {variable} environment variable overrides the active context. To use {name:?}, either set the global --context flag, or unset {variable} environment variable."
        ));
    }
    Ok(0)
}

pub(super) fn show(_: NamesArgs, globals: &Globals) -> Result<u8, CliError> {
    let name = contexts::current(globals, &super::variable)?;
    print::out(&format!("{name}\n"))?;
    Ok(0)
}
