//! `volume rm`

use super::{Context, many};
use crate::args::volumes::VolumeRmArgs;
use crate::error::CliError;

pub(super) async fn run(args: VolumeRmArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    many::in_turn(&args.names, |name| async move {
        Ok(client.volume_remove(&name, args.force).await?)
    })
    .await
}
