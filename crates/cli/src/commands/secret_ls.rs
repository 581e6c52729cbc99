//! `secret ls`, `secret inspect`, `secret rm`

use super::{Context, many};
use crate::args::containers::NamesArgs;
use crate::args::secrets::{SecretInspectArgs, SecretLsArgs};
use crate::error::CliError;
use crate::print;
use crate::print::system;
use crate::print::template::Format;

pub(super) async fn run(args: SecretLsArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let secrets = context.daemon.client.secret_list().await?;
    let format = Format::parse(args.format.as_deref());
    print::out(&print::secrets::list(
        &secrets,
        &format,
        args.quiet,
        Context::now(),
    )?)?;
    Ok(0)
}

pub(super) async fn inspect(args: SecretInspectArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match context.daemon.client.secret_inspect_raw(name).await {
            Ok(object) => found.push(object),
            Err(error) => failures.push(CliError::from(error).to_string()),
        }
    }
    system::objects(&found, &failures, args.format.as_deref())
}

pub(super) async fn rm(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    many::in_turn(&args.names, |name| async move {
        Ok(client.secret_remove(&name).await?)
    })
    .await
}
