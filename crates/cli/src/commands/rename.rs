//! `rename`

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;

pub(super) async fn run(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    let [old, new] = args.names.as_slice() else {
        return Err(CliError::Invalid("two names are expected".to_owned()));
    };
    let empty = |name: &str| name.trim().is_empty();
    if empty(old) || empty(new) {
        return Err(CliError::Invalid(
            "Error: Neither old nor new names may be empty".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let renamed = context.daemon.client.container_rename(old, new).await;
    renamed.map_err(|error| {
        CliError::Invalid(format!(
            "{}\nError: failed to rename container named {old}",
            CliError::from(error)
        ))
    })?;
    Ok(0)
}
