//! `stop`

use api::client::StopQuery;

use super::{Context, many};
use crate::args::containers::StopArgs;
use crate::error::CliError;

pub(super) async fn run(args: StopArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let query = query(&args);
    many::at_once(context.daemon, &args.names, |daemon, name| {
        let query = query.clone();
        async move { Ok(daemon.client.container_stop(&name, &query).await?) }
    })
    .await
}

pub(super) fn query(args: &StopArgs) -> StopQuery {
    StopQuery {
        signal: args.signal.clone(),
        timeout: args.timeout,
    }
}
