//! `restart`

use super::{Context, many, stop};
use crate::args::containers::StopArgs;
use crate::error::CliError;

pub(super) async fn run(args: StopArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let query = stop::query(&args);
    many::at_once(context.daemon, &args.names, |daemon, name| {
        let query = query.clone();
        async move { Ok(daemon.client.container_restart(&name, &query).await?) }
    })
    .await
}
