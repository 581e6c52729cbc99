//! `kill`

use super::{Context, many};
use crate::args::containers::KillArgs;
use crate::error::CliError;

pub(super) async fn run(args: KillArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let signal = args.signal.as_deref();
    many::in_turn(&args.names, |name| async move {
        Ok(client.container_kill(&name, signal).await?)
    })
    .await
}
