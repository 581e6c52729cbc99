//! `pause`

use super::{Context, many};
use crate::args::containers::NamesArgs;
use crate::error::CliError;

pub(super) async fn run(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    many::at_once(context.daemon, &args.names, |daemon, name| async move {
        Ok(daemon.client.container_pause(&name).await?)
    })
    .await
}
